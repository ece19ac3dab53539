// What the views ask of the store. Dear answers are remembered by what they were made of.
import { createSelector } from "@reduxjs/toolkit"
import { lines } from "../words/calls.js"
import { Changes } from "./changes.js"
import { History } from "./history.js"
import { skipped } from "./travel.js"

export const recording = (state, id) => state.recordings.list[id]
export const events = (state, id) => recording(state, id)?.events ?? []
export const step = (state, id) => Math.min(state.travel.steps[id] ?? 1, events(state, id).length)
export const left = (state, id) => skipped(state.travel, id)
export const leavesOut = ({ events: single, layers }) => Object.keys(single).length + Object.keys(layers).length > 0

const NONE = { events: {}, layers: {} }
const remembered = new WeakMap() // events -> Map of what is left out -> History
const FEW = 4

export const history = (events, out = NONE) => {
  if (!remembered.has(events)) remembered.set(events, new Map())
  const known = remembered.get(events)
  const key = JSON.stringify([Object.keys(out.events), Object.keys(out.layers)])
  if (!known.has(key)) {
    if (known.size >= FEW) known.delete([...known.keys()].at(-1))
    known.set(key, new History(events, out))
  }
  return known.get(key)
}

// {before, after, changes, at} of the step that we stand on; or, before all until there is folded, of one that is known.
const moments = new Map()
export const moment = (state, id) => {
  if (!moments.has(id)) moments.set(id, createSelector([events, left, near], look))
  return moments.get(id)(state, id)
}
const FAR = 1000 // events, which are folded in the time of a picture
const near = (state, id) => Math.min(step(state, id), history(events(state, id), left(state, id)).reach + FAR)
const look = (events, left, at) => {
  const story = history(events, left)
  const before = story.at(at - 1), after = story.at(at)
  return { before, after, changes: new Changes(before, after), at }
}

// What the recording comes to, as it is left. A long one is folded to its end by and by (main.js): until then
// nothing is known.
const SHORT = 1000
const ending = (state, id, out) => {
  const all = events(state, id), story = history(all, out)
  return story.known || all.length < SHORT ? story.end : null
}

// The histories that are to be folded to their ends.
export const wanted = state => [state.recordings.shown, state.recordings.beside].filter(id => id !== null && events(state, id).length)
  .flatMap(id => [history(events(state, id)), history(events(state, id), left(state, id))])

// {property: {closed, by}} at the end.
const UNKNOWN = {}
export const closings = (state, id) => ending(state, id, left(state, id))?.properties ?? UNKNOWN

// The properties that are closed at the end, but not without what is left out.
export const fallen = (state, id) => {
  const whole = ending(state, id)?.properties, now = closings(state, id)
  if (!leavesOut(left(state, id)) || !whole || now === UNKNOWN) return []
  return Object.keys(whole).filter(name => whole[name].closed && !now[name]?.closed)
}

// How many of the calls that were not left out have nothing to work on then.
export const senseless = (state, id) => {
  const whole = ending(state, id), now = ending(state, id, left(state, id))
  return whole && now ? now.unknown - whole.unknown : 0
}

// A layer, and how long the kernel worked for it; in it the calls. The slowest first.
export const times = createSelector([events], events => {
  const layers = new Map()
  events.forEach((event, index) => {
    const layer = event.layer || "other"
    if (!layers.has(layer)) layers.set(layer, { name: layer, spent: 0, count: 0, calls: new Map() })
    const whole = layers.get(layer)
    if (!whole.calls.has(event.call)) whole.calls.set(event.call, { name: event.call, spent: 0, count: 0, slowest: index })
    const call = whole.calls.get(event.call)
    for (const sum of [whole, call]) { sum.spent += event.microseconds; sum.count += 1 }
    if (event.microseconds > events[call.slowest].microseconds) call.slowest = index
  })
  const sorted = map => [...map.values()].sort((a, b) => b.spent - a.spent)
  return sorted(layers).map(layer => ({ ...layer, calls: sorted(layer.calls) }))
})

export const layersOf = createSelector([events], events => {
  const seen = new Map()
  for (const { layer, chapter } of events) if (layer && !seen.has(layer)) seen.set(layer, chapter)
  return [...seen].map(([name, chapter]) => ({ name, chapter })).sort((a, b) => a.chapter - b.chapter)
})

export const sidesOf = createSelector([events], events => [...new Set(["parent", ...events.map(({ side }) => side)])])

// The steps whose calls contain all the words that are searched for.
export const found = createSelector([events, state => state.looks.query], (events, query) => {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  if (!words.length) return []
  const told = lines(events)
  return events.flatMap((event, index) => {
    const text = `#${index + 1} ${event.side} ${event.layer} ${told.at(index)}`.toLowerCase()
    return words.every(word => text.includes(word)) ? [index + 1] : []
  })
})
