// What this page is, its keys, and the libraries in it with their licences.
import { helpOpened } from "../store/looks.js"
import { KEYS } from "../keyboard.js"
import { html, useEffect, useRef, useSelect, useStore } from "./dom.js"

export const Help = ({ licences }) => {
  const store = useStore(), dialog = useRef()
  const open = useSelect(state => state.looks.help)
  useEffect(() => {
    if (open) dialog.current.showModal()
    else dialog.current.close()
  }, [open])
  return html`<dialog ref=${dialog} aria-labelledby="help" onClose=${() => store.dispatch(helpOpened(false))}>
    ${open ? html`<h2 id="help">What you see</h2>
    <p>A recording is a list of calls to the kernel, which made a container. A pure function, the reducer, makes of each
      state and the next call the next state: so one can walk back and forth, and leave a call out.</p>
    <p>The upper half of the strip is the parent's, the lower the child's; a colour is a layer. A wall is a property that
      the isolation matrix tries: filled once it is closed. <b>\u2715</b> leaves a call out, and what then stays open is said.</p>
    <h2>Keys</h2><dl class="keys">${KEYS.map(([key, deed]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${deed}</dd></div>`)}</dl>
    <h2>In this page</h2><p>Nothing leaves it, and it loads nothing. It is built with these libraries:</p>
    ${licences.map(({ name, version, licence, text }) => html`<details><summary>${name} ${version} (${licence})</summary><pre tabindex="0">${text}</pre></details>`)}
    <p><button onClick=${() => dialog.current.close()}>Close</button></p>` : null}</dialog>`
}
