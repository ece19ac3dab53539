// A part of the state that can be folded away.
import { html } from "./dom.js"

export const Panel = ({ title, sum, fresh, wide, children }) => html`<details open class=${`card panel${wide ? " wide" : ""}${fresh ? " fresh" : ""}`}>
  <summary><h3>${title}</h3>${sum ? html` <span class="sum">${sum}</span>` : null}${fresh ? html`<span class="badge">changed</span>` : null}</summary>${children}</details>`
