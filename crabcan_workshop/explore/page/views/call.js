// The call that we stand on: what it was, what it has changed, and where one reads more.
import { events, left, moment, recording, step } from "../store/selectors.js"
import { outcome, words } from "../words/calls.js"
import { standsFor } from "../words/descriptors.js"
import { tell } from "../words/changes.js"
import { chapter, manual, source } from "../words/manual.js"
import { meaning } from "../words/meanings.js"
import { ERRORS } from "../words/tables.js"
import { About, html, layerClass, milliseconds, useContext, useSelect } from "./dom.js"

export const Call = ({ id }) => {
  const about = useContext(About)
  const all = useSelect(state => events(state, id)), here = useSelect(state => step(state, id))
  const out = useSelect(state => left(state, id))
  const { before, after, changes, at } = useSelect(state => moment(state, id))
  const event = all[here - 1]
  if (!event) return html`<div class="call card"><h2>Before the first call</h2>
    <p>Nothing has happened yet. Press <kbd>\u2192</kbd> for the next call, or <kbd>space</kbd> to play.</p></div>`
  const gone = out.events[here - 1] || Object.hasOwn(out.layers, event.layer)
  const told = at === here ? tell(changes, before, after) : []
  return html`<div role="group" class=${`call card ${layerClass(event.layer)}`} aria-label="The call">
    <p class="facts"><span class="chip layer">${event.layer || "no layer"}</span> <span class="chip">${event.side}</span>
      <span class="chip">${milliseconds(event.microseconds)}</span>
      ${gone ? html`<span class="chip out">left out</span>` : null}</p>
    <h2><${Words} event=${event} state=${before} /></h2>
    ${event.errno ? html`<p class="error">It failed: ${(ERRORS[event.errno] ?? [`errno ${event.errno}`, ""]).filter(Boolean).join(", ")}.</p>` : null}
    <p class="meaning">${meaning(event)}</p>
    ${at === here ? null : html`<p class="nothing" role="status">Still folding: below is the state after #${at}.</p>`}
    <${Told} wait=${at !== here} told=${told} event=${event} gone=${gone} />
    <${More} event=${event} about=${about} />
  </div>`
}

// The words of the call. What a descriptor stands for, the state before it knows.
const Words = ({ event, state }) => {
  if (event.call === "begin") return "How the world was before"
  const own = state.processes?.[event.side]?.descriptors ?? {}
  const known = fd => own[fd] ? standsFor(own[fd], state) : ""
  const given = words(event, known)
  return html`<code><b>${event.call.slice(0, 100)}</b>(${given.map(({ text, of, name }, place) => html`${place ? ", " : ""}${name ? html`<i>${name}=</i>` : null}${text}${of ? html`<em>\u2039${of}\u203a</em>` : null}`)})${outcome(event)}</code>`
}

const Told = ({ told, event, gone, wait }) => {
  if (wait) return null
  if (gone) return html`<p class="nothing">It is left out: nothing changes here.</p>`
  if (!told.length) return html`<p class="nothing">${event.call === "begin" ? "The explorer takes over what /proc said." : "Nothing of the isolation changes."}</p>`
  return html`<ul class="told">${told.map(({ mark, text, wall }) => html`<li class=${wall ? "wall" : MARKS[mark]}>${text}</li>`)}</ul>`
}
const MARKS = { "+": "came", "-": "went", "~": "other" }

const More = ({ event, about }) => {
  const book = chapter(event, about), code = source(event, about)
  return html`<p class="more">Manual: ${manual(event).map((page, place) => html`${place ? ", " : ""}<code>${page}</code>`)}
    ${book ? html` \u00b7 Book: ${book.link ? html`<a href=${book.link}>${book.name}</a>` : html`<span>${book.name}, <code>${book.file}.md</code></span>`}` : null}
    ${code ? html` \u00b7 Our code: <code>${code}</code>` : null}</p>`
}
