// What keys do. In a field of text they are the reader's; on a slider the arrows are its own already.
import { findNext, go, toEnd, jumpTo, togglePlay } from "./actions.js"
import { helpOpened, searchOpened } from "./store/looks.js"

export const KEYS = [
  ["\u2190 \u2192", "one call back, one on"],
  ["Page Up, Page Down", "ten at once"],
  ["Home, End", "to the beginning, to the end"],
  ["space", "play, and stop"],
  ["/", "search; Enter for the next, Shift+Enter for the one before"],
  ["n, p", "to the next call that was found, and to the one before"],
  ["w", "to the next call that closes a wall"],
  ["?", "this help"],
]

export const listen = (store, toWall) => addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return
  const deed = DEEDS[event.key]
  if (event.key === "Escape") return store.dispatch(searchOpened(false))
  if (!deed || event.target.matches("input[type=search], select, textarea, dialog *")) return
  if (event.key === " " && event.target.matches("button, summary, a")) return
  event.preventDefault()
  deed(store, toWall)
})

const by = count => store => store.dispatch(go(count))
const DEEDS = {
  ArrowRight: by(1), ArrowLeft: by(-1), ArrowUp: by(-1), ArrowDown: by(1), PageDown: by(10), PageUp: by(-10),
  Home: store => store.dispatch(jumpTo(store.getState().recordings.shown, 0)),
  End: store => store.dispatch(toEnd()),
  " ": store => store.dispatch(togglePlay()),
  "/": store => { store.dispatch(searchOpened(true)); document.querySelector("input[type=search]")?.focus() },
  n: store => store.dispatch(findNext(1)),
  p: store => store.dispatch(findNext(-1)),
  w: (store, toWall) => toWall(),
  "?": store => store.dispatch(helpOpened(true)),
}
