// Where the milliseconds went: a bar as wide as all of the kernel's work; layers, and in them calls.
import { jumpTo } from "../actions.js"
import { events, times } from "../store/selectors.js"
import { html, layerClass, milliseconds, useSelect, useStore } from "./dom.js"

export const Times = ({ id }) => {
  const store = useStore()
  const layers = useSelect(state => times(state, id)), all = useSelect(state => events(state, id))
  const whole = layers.reduce((sum, { spent }) => sum + spent, 0)
  const wall = all.length ? (all.at(-1).at ?? 0) - (all[0].at ?? 0) : 0
  if (!whole) return null
  const share = spent => `width:${spent / whole * 100}%`
  const worth = spent => spent / whole > 0.004
  return html`<section class="card times wide" aria-labelledby=${`times-${id}`}><h2 id=${`times-${id}`}>Where the milliseconds went${" "}
      <span class="sum">${milliseconds(whole)} in the kernel${wall > whole ? ` of ${milliseconds(wall)} in all` : ""}</span></h2>
    <div class="flame">${layers.filter(({ spent }) => worth(spent)).map(layer => html`<div class=${`layer ${layerClass(layer.name)}`} style=${share(layer.spent)}>
      <div class="name" title=${`${layer.name}: ${milliseconds(layer.spent)}, ${layer.count} calls`}>${layer.name} ${milliseconds(layer.spent)}</div>
      <div class="calls">${layer.calls.filter(({ spent }) => worth(spent)).map(call => html`<button style=${`width:${call.spent / layer.spent * 100}%`}
        title=${`${call.name}: ${milliseconds(call.spent)}, ${call.count} calls. Go to the slowest: #${call.slowest + 1}`}
        aria-label=${`${layer.name}, ${call.name}: ${milliseconds(call.spent)} in ${call.count} calls. Go to the slowest, #${call.slowest + 1}`}
        onClick=${() => store.dispatch(jumpTo(id, call.slowest + 1))}>${call.name}</button>`)}</div></div>`)}</div></section>`
}
