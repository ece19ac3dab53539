// A link to a step: #12, or #3/12 in the third recording. Written a moment after one stands still.
import { jumpTo } from "./actions.js"
import { shown } from "./store/recordings.js"
import { step } from "./store/selectors.js"

const STILL = 200 // milliseconds: browsers count how often an address is changed

export const follow = store => {
  const read = () => {
    const [, number, place] = /^#(?:(\d+)\/)?(\d+)$/.exec(location.hash) ?? []
    if (place === undefined) return
    if (number !== undefined) store.dispatch(shown(Number(number) - 1))
    store.dispatch(jumpTo(store.getState().recordings.shown, Number(place)))
  }
  let timer = null
  store.subscribe(() => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      const state = store.getState(), { shown: id, list } = state.recordings
      const hash = `#${list.length > 1 ? `${id + 1}/` : ""}${step(state, id)}`
      if (list.length && location.hash !== hash && !state.travel.playing) history.replaceState(null, "", hash)
    }, STILL)
  })
  addEventListener("hashchange", read)
  read()
}
