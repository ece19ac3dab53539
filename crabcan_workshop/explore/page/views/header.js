// What can be done with recordings: choose, compare, open, save; search; help.
import { compare, findNext } from "../actions.js"
import { read, save } from "../files.js"
import { added, faultRead, reading, refused, shown } from "../store/recordings.js"
import { helpOpened, quietHidden, searched, searchOpened } from "../store/looks.js"
import { found, recording, step } from "../store/selectors.js"
import { About, html, useContext, useRef, useSelect, useStore } from "./dom.js"

const LARGE = 2 ** 22 // bytes, from which reading takes its time

// Takes in files that were chosen or dropped; what is wrong with one is said, and changes nothing.
export const takeIn = async (store, files) => {
  for (const file of files) {
    store.dispatch(reading(file.size > LARGE ? `Reading ${file.name}, ${Math.round(file.size / 2 ** 20)} MiB\u2026` : ""))
    await new Promise(go => setTimeout(go, file.size > LARGE ? 50 : 0)) // so that this is seen
    try {
      for (const one of await read(file)) store.dispatch(added(one))
      store.dispatch(shown(store.getState().recordings.list.length - 1))
    } catch (error) {
      store.dispatch(refused(error.message))
    }
  }
  store.dispatch(reading(""))
}

export const Header = () => {
  const store = useStore(), input = useRef(), about = useContext(About)
  const list = useSelect(state => state.recordings.list), here = useSelect(state => state.recordings.shown)
  const beside = useSelect(state => state.recordings.beside), fault = useSelect(state => state.recordings.fault)
  const busy = useSelect(state => state.recordings.busy)
  const names = list.map(({ name }, place) => html`<option value=${place}>${name}</option>`)
  return html`<header><h1><${Crab} /> The explorer <span class="hint">a container's birth, call by call</span></h1>
    <div class="tools">
      ${list.length ? html`<label>Recording <select value=${here} onChange=${event => store.dispatch(shown(Number(event.target.value)))}>${names}</select></label>` : null}
      ${list.length > 1 ? html`<label>beside <select value=${beside ?? ""} onChange=${event => store.dispatch(compare(event.target.value === "" ? null : Number(event.target.value)))}>
        <option value="">nothing</option>${list.map(({ name }, place) => place === here ? null : html`<option value=${place}>${name}</option>`)}</select></label>` : null}
      <button onClick=${() => input.current.click()}>Open\u2026</button>
      <input ref=${input} type="file" hidden multiple accept=".jsonl,.json,.trace,.txt,.gz,application/json" aria-label="A recording" tabindex="-1"
        onChange=${event => { takeIn(store, [...event.target.files]); event.target.value = "" }} />
      ${list.length ? html`<button onClick=${() => save(recording(store.getState(), here))}>Save</button>` : null}
      ${typeof about.book === "string" ? html`<a href=${`${about.book}index.html`}>The book</a>` : null}
      <button onClick=${() => store.dispatch(helpOpened(true))} aria-label="Help and keys">?</button>
    </div>
    ${busy ? html`<p class="about" role="status">${busy}</p>` : null}
    ${fault ? html`<p class="fault" role="alert">${fault} <button class="plain" onClick=${() => store.dispatch(faultRead())}>All right</button></p>` : null}
  </header>`
}

const Crab = () => html`<svg class="crab" viewBox="0 0 32 24" width="32" height="24" aria-hidden="true"><path d="M8 18c-4 0-5-8 8-8s12 8 8 8zM7 10C1 9 1 3 6 2c-1 3 1 4 3 5M25 10c6-1 6-7 1-8 1 3-1 4-3 5M8 18l-3 4M12 19l-1 3M20 19l1 3M24 18l3 4"/></svg>`

export const Search = ({ id }) => {
  const store = useStore()
  const query = useSelect(state => state.looks.query), quiet = useSelect(state => state.looks.quiet)
  const steps = useSelect(state => found(state, id)), here = useSelect(state => step(state, id))
  const place = steps.indexOf(here)
  return html`<div class="search" role="search">
    <input type="search" placeholder="Search the calls  ( / )" aria-label="Search the calls" value=${query}
      onInput=${event => store.dispatch(searched(event.target.value))}
      onKeyDown=${event => {
        if (event.key === "Enter") { event.preventDefault(); store.dispatch(findNext(event.shiftKey ? -1 : 1)) }
        if (event.key === "Escape") { store.dispatch(searchOpened(false)); event.target.blur() }
      }} />
    <span class="found" role="status">${query.trim() ? steps.length ? `${place >= 0 ? `${place + 1} of ` : ""}${steps.length} found` : "nothing found" : ""}</span>
    <label class="check"><input type="checkbox" checked=${quiet} onChange=${event => store.dispatch(quietHidden(event.target.checked))} /> only what acts</label>
  </div>`
}
