// The view library (preact, with htm in place of a compiler), and how a view hears of the store.
import { Component, createContext } from "preact"
import { useContext, useEffect, useReducer, useRef } from "preact/hooks"

export { html } from "htm/preact"
export { render } from "preact"
export { useContext, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks"

export const Store = createContext(null)
export const About = createContext({}) // where the book and the code are, if the page was told
export const useStore = () => useContext(Store)

// A part of the state; the view is drawn anew when that part is another.
export const useSelect = select => {
  const store = useStore()
  const [, redraw] = useReducer(n => n + 1, 0)
  const last = useRef()
  last.current = { select, value: select(store.getState()) }
  useEffect(() => store.subscribe(() => {
    if (last.current.select(store.getState()) !== last.current.value) redraw()
  }), [store])
  return last.current.value
}

// What is drawn anew only when one of `on` is another: a step changes little of what there is to see.
export class Still extends Component {
  shouldComponentUpdate({ on }) { return on.some((value, place) => value !== this.props.on[place]) }
  render({ draw }) { return draw() }
}

const LAYERS = new Set(["args", "clone", "hostname", "mounts", "namespaces", "caps", "seccomp", "cgroups", "terminal",
  "runtime", "network", "images"])
// A class of our own for a name of the recording's: what it says itself is never markup.
export const layerClass = name => `l-${LAYERS.has(name) ? name : "other"}`

export const milliseconds = microseconds =>
  microseconds >= 1000 ? `${(microseconds / 1000).toFixed(microseconds >= 10000 ? 0 : 1)} ms` : `${Math.round(microseconds)} \u00b5s`
