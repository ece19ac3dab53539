// The walls: each property of the isolation, open or closed, with the call that closed it; and what
// falls open again if something is left out.
import { jumpTo } from "../actions.js"
import { closings, fallen, layersOf, left, leavesOut, moment, senseless } from "../store/selectors.js"
import { layerSkipped, nothingSkipped } from "../store/travel.js"
import { properties } from "../words/properties.js"
import { html, layerClass, useSelect, useStore } from "./dom.js"

export const Walls = ({ id }) => {
  const store = useStore()
  const { after, changes } = useSelect(state => moment(state, id))
  const last = useSelect(state => closings(state, id))
  const now = after.properties ?? {}
  const closed = properties.filter(([name]) => now[name]?.closed).length
  return html`<section class="walls card" aria-labelledby=${`walls-${id}`}>
    <h2 id=${`walls-${id}`}>Walls <span class="sum">${closed} of ${properties.length} closed</span></h2>
    <ul>${properties.map(([name, , meaning]) => {
      const by = now[name]?.closed ? now[name].by : last[name]?.closed ? last[name].by : null
      const state = now[name]?.closed ? "closed" : "open"
      const fresh = changes.below("properties", name, "closed") ? " fresh" : ""
      return html`<li key=${name}><button class=${`wall ${state}${fresh}`} title=${meaning} disabled=${by === null || by === undefined}
        aria-label=${`${name}: ${meaning}: ${state}. ${by === null || by === undefined ? "It is never closed here" : `${state === "open" ? "It will be closed by" : "Closed by"} #${by + 1}. Go there`}`}
        onClick=${() => store.dispatch(jumpTo(id, by + 1))}>
        <span class="lamp" aria-hidden="true">${state === "closed" ? "\u25a0" : "\u25a1"}</span>${name}<span class="when" aria-hidden="true">${by === null || by === undefined ? "\u2013" : `#${by + 1}`}</span></button></li>`
    })}</ul>
  </section>`
}

export const WhatIf = ({ id }) => {
  const store = useStore()
  const layers = useSelect(state => layersOf(state, id)), out = useSelect(state => left(state, id))
  const open = useSelect(state => fallen(state, id).join(" "))
  const lost = useSelect(state => senseless(state, id)), count = Object.keys(out.events).length
  return html`<section class="whatif card" aria-labelledby=${`whatif-${id}`}>
    <h2 id=${`whatif-${id}`}>What if it had not happened?</h2>
    <p class="layers">${layers.map(({ name, chapter }) => html`<button class=${`chip layer ${layerClass(name)}`} aria-pressed=${Object.hasOwn(out.layers, name)}
      title=${`Leave out the whole layer ${name}`} onClick=${() => store.dispatch(layerSkipped({ recording: id, layer: name }))}>${chapter ? `${chapter} ` : ""}${name}</button>`)}</p>
    ${leavesOut(out) ? html`<p role="status" class=${open ? "warning" : "calm"}>
        Without ${[...Object.keys(out.layers), ...count ? [`${count} single ${count === 1 ? "call" : "calls"}`] : []].join(", ")}:
        ${open ? html` <b>open again: ${open.split(" ").map((name, place) => html`${place ? ", " : ""}<span>${name}</span>`)}</b>` : " every wall still stands."}
        ${lost > 0 ? ` ${lost} later ${lost === 1 ? "call finds" : "calls find"} nothing to work on.` : ""}
        <button class="plain" onClick=${() => store.dispatch(nothingSkipped(id))}>Let all happen again</button></p>`
    : html`<p class="hint">Leave out a layer here, or a single call with its \u2715 in the list, and see which walls fall.</p>`}
  </section>`
}
