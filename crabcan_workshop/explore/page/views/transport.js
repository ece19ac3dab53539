// The slider and its buttons, above a strip on which each call has its place and its colour.
import { jumpTo, togglePlay } from "../actions.js"
import { events, recording, step } from "../store/selectors.js"
import { html, layerClass, useEffect, useRef, useSelect, useStore } from "./dom.js"

export const Transport = ({ id }) => {
  const store = useStore()
  const all = useSelect(state => events(state, id))
  const here = useSelect(state => step(state, id))
  const playing = useSelect(state => state.travel.playing)
  const name = useSelect(state => recording(state, id)?.name)
  const go = place => store.dispatch(jumpTo(id, place))
  const event = all[here - 1]
  return html`<div role="group" class="transport" aria-label="Where in ${name}">
    <div class="buttons">
      <button title="To the beginning (Home)" aria-label="To the beginning" onClick=${() => go(0)}><${Icon} name="begin" /></button>
      <button title="Back (\u2190)" aria-label="One call back" onClick=${() => go(here - 1)}><${Icon} name="back" /></button>
      <button class="play" title="Play (space)" aria-label=${playing ? "Stop" : "Play"} onClick=${() => store.dispatch(togglePlay(id))}><${Icon} name=${playing ? "stop" : "play"} /></button>
      <button title="On (\u2192)" aria-label="One call on" onClick=${() => go(here + 1)}><${Icon} name="on" /></button>
      <button title="To the end (End)" aria-label="To the end" onClick=${() => go(all.length)}><${Icon} name="end" /></button>
    </div>
    <div class="track">
      <${Strip} events=${all} here=${here} />
      <input type="range" min="0" max=${all.length} value=${here} aria-label="Step"
        aria-valuetext=${event ? `${here} of ${all.length}: ${event.side}, ${event.call}` : "before the first call"}
        onInput=${input => go(Number(input.target.value))} />
    </div>
    <output class="count"><b>#${here}</b> of ${all.length}</output>
  </div>`
}

const SHAPES = { begin: "M5 3v10M13 3L7 8l6 5z", back: "M11 3L5 8l6 5z", play: "M5 2l9 6-9 6z", stop: "M4 3h3v10H4zM9 3h3v10H9z",
  on: "M5 3l6 5-6 5z", end: "M11 3v10M3 3l6 5-6 5z" }
const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d=${SHAPES[name]} /></svg>`

// One column of pixels for each call, or several calls in one; the upper half is the parent's.
const Strip = ({ events }) => {
  const canvas = useRef()
  useEffect(() => {
    const draw = () => paint(canvas.current, events)
    draw()
    const scheme = matchMedia("(prefers-color-scheme: dark)")
    const watch = new ResizeObserver(draw)
    watch.observe(canvas.current)
    scheme.addEventListener("change", draw)
    return () => { watch.disconnect(); scheme.removeEventListener("change", draw) }
  }, [events])
  return html`<canvas ref=${canvas} class="strip" aria-hidden="true"></canvas>`
}

const paint = (canvas, events) => {
  if (!canvas) return
  const { clientWidth: width, clientHeight: height } = canvas
  Object.assign(canvas, { width: width * devicePixelRatio, height: height * devicePixelRatio })
  const pen = canvas.getContext("2d")
  pen.scale(devicePixelRatio, devicePixelRatio)
  const style = getComputedStyle(canvas), colours = new Map()
  const colour = layer => {
    const name = `--${layerClass(layer)}`
    if (!colours.has(name)) colours.set(name, style.getPropertyValue(name).trim())
    return colours.get(name)
  }
  const wide = width / Math.max(1, events.length)
  events.forEach((event, index) => {
    pen.fillStyle = colour(event.layer)
    pen.fillRect(index * wide, event.side === "parent" ? 0 : height / 2 + 1, Math.max(wide - (wide > 4 ? 1 : 0), 0.5), height / 2 - 1)
  })
}
