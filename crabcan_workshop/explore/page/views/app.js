// The whole page.
import { events, moment, recording, step } from "../store/selectors.js"
import { tell } from "../words/changes.js"
import { Call } from "./call.js"
import { Compare } from "./compare.js"
import { Store, About, html, useEffect, useRef, useSelect, useState, useStore } from "./dom.js"
import { Header, Search, takeIn } from "./header.js"
import { Help } from "./help.js"
import { State } from "./state.js"
import { Timeline } from "./timeline.js"
import { Times } from "./times.js"
import { Transport } from "./transport.js"
import { Walls, WhatIf } from "./walls.js"

export const App = ({ store, about, licences }) => html`<${Store.Provider} value=${store}><${About.Provider} value=${about}>
  <${Header} /><${Drop} /><main><${Main} /></main><${Help} licences=${licences} /><${Said} /><//><//>`

const Main = () => {
  const id = useSelect(state => state.recordings.shown), beside = useSelect(state => state.recordings.beside)
  const none = useSelect(state => state.recordings.list.length === 0)
  if (none) return html`<${Welcome} />`
  if (beside !== null) return html`<${Compare} left=${id} right=${beside} />`
  return html`<${One} key=${id} id=${id} />`
}

const One = ({ id }) => {
  const about = useSelect(state => recording(state, id).about)
  return html`<${Transport} id=${id} />
    ${about ? html`<p class="about">${about}</p>` : null}
    <div class="columns">
      <div class="left"><${Search} id=${id} /><${Timeline} id=${id} /></div>
      <div class="right"><${Call} id=${id} /><${Walls} id=${id} /><${WhatIf} id=${id} /><${State} id=${id} /><${Times} id=${id} /></div>
    </div>`
}

const Welcome = () => html`<section class="welcome card"><h2>Open a recording</h2>
  <p>Make one with <code>crabcan run --trace birth.jsonl -- true</code>, and drop the file here, or choose it with <b>Open\u2026</b>.</p></section>`

// A file that is dropped anywhere is opened.
const Drop = () => {
  const store = useStore(), [over, setOver] = useState(false)
  useEffect(() => {
    const has = event => [...event.dataTransfer?.types ?? []].includes("Files")
    const enter = event => { if (has(event)) { event.preventDefault(); setOver(true) } }
    const leave = event => { if (!event.relatedTarget) setOver(false) }
    const drop = event => { if (!has(event)) return; event.preventDefault(); setOver(false); takeIn(store, [...event.dataTransfer.files]) }
    const all = { dragenter: enter, dragover: enter, dragleave: leave, drop }
    for (const [name, deed] of Object.entries(all)) addEventListener(name, deed)
    return () => { for (const [name, deed] of Object.entries(all)) removeEventListener(name, deed) }
  }, [])
  return over ? html`<div class="drop" aria-hidden="true">Drop the recording here</div>` : null
}

// For those who hear the page: each step, once one stands still on it.
const Said = () => {
  const store = useStore(), [text, setText] = useState(""), timer = useRef()
  const id = useSelect(state => state.recordings.shown), here = useSelect(state => step(state, id))
  useEffect(() => {
    clearTimeout(timer.current)
    timer.current = setTimeout(() => setText(spoken(store.getState(), id)), 150)
    return () => clearTimeout(timer.current)
  }, [id, here])
  return html`<p class="unseen" aria-live="polite">${text}</p>`
}

const spoken = (state, id) => {
  const all = events(state, id), here = step(state, id), event = all[here - 1]
  if (!event) return all.length ? "Before the first call" : ""
  const { before, after, changes, at } = moment(state, id)
  const told = (at === here ? tell(changes, before, after) : []).slice(0, 3).map(({ text }) => text).join("; ")
  return `Step ${here} of ${all.length}: ${event.side}, ${event.layer || "no layer"}, ${event.call.slice(0, 60)}. ${told}`
}
