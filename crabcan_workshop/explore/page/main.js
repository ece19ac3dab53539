// Begins: the recordings that came in the page, the store, the views.
import { compare, jumpTo } from "./actions.js"
import { follow } from "./address.js"
import { normal } from "./files.js"
import { fold, initial, isolation } from "./isolation/isolation.js"
import { listen } from "./keyboard.js"
import { folded } from "./store/looks.js"
import { added, refused } from "./store/recordings.js"
import { closings, step, wanted } from "./store/selectors.js"
import { makeStore } from "./store/store.js"
import { App } from "./views/app.js"
import { takeIn } from "./views/header.js"
import { lines } from "./words/calls.js"
import { html, render } from "./views/dom.js"

const given = name => JSON.parse(document.getElementById(name).textContent)

const store = makeStore()
const { recordings = [], about = {}, beside = null } = begin(given("recordings"))
for (const [place, recording] of recordings.entries()) {
  try {
    store.dispatch(added(normal(recording, recording?.name ?? `recording ${place + 1}`)))
  } catch (error) {
    store.dispatch(refused(error.message))
  }
}
if (beside !== null) store.dispatch(compare(beside))

function begin(found) {
  return Array.isArray(found) ? { recordings: found } : found
}

// To the next call that closes a wall; round the end.
const toWall = () => {
  const state = store.getState(), id = state.recordings.shown, here = step(state, id)
  const steps = Object.values(closings(state, id)).filter(({ closed, by }) => closed && by !== null).map(({ by }) => by + 1).sort((a, b) => a - b)
  if (steps.length) store.dispatch(jumpTo(id, steps.find(place => place > here) ?? steps[0]))
}

document.documentElement.classList.toggle("framed", window !== window.top) // below a chapter, or in a notebook
follow(store)
listen(store, toWall)
render(html`<${App} store=${store} about=${about} licences=${given("licences")} />`, document.getElementById("page"))

// Once a picture is there, there is time to fold all that is shown, by and by, so that one can step meanwhile.
const OFTEN = 200 // milliseconds
let folding = false, shown = 0
const foldOn = () => {
  if (!wanted(store.getState()).every(story => story.advance(20))) {
    if (performance.now() > shown + OFTEN) { // who stands beyond what is folded sees how it goes on
      store.dispatch(folded(false))
      shown = performance.now()
    }
    return setTimeout(foldOn, 0)
  }
  folding = false
  store.dispatch(folded(true))
}
const begun = () => {
  if (folding || wanted(store.getState()).every(story => story.known)) return
  folding = true
  store.dispatch(folded(false))
  requestAnimationFrame(() => setTimeout(foldOn, 0))
}
store.subscribe(begun)
begun()

// For the tests, and for the curious at the console.
globalThis.explorer = { store, fold, initial, isolation, jumpTo, added, lines, takeIn }
