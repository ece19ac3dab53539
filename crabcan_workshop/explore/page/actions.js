// What the reader can do. Buttons, keys and links all end in these.
import { besideShown } from "./store/recordings.js"
import { events, found, step } from "./store/selectors.js"
import { played, wentTo } from "./store/travel.js"

const LASTS = 20000 // milliseconds, to play a recording from its beginning to its end
const SLOWEST = 250, FASTEST = 1000 / 60

export const jumpTo = (id, place) => (dispatch, getState) => {
  const wanted = Math.max(0, Math.min(Math.round(place), events(getState(), id).length))
  if (wanted !== step(getState(), id)) dispatch(wentTo({ recording: id, step: wanted }))
}

// Beside another, recordings are looked at from their ends: one sees what each has come to.
export const compare = other => (dispatch, getState) => {
  dispatch(besideShown(other))
  const { beside, shown } = getState().recordings
  if (beside === null) return
  for (const id of [beside, shown]) if (step(getState(), id) <= 1) dispatch(jumpTo(id, events(getState(), id).length))
}

export const go = by => (dispatch, getState) => {
  const id = getState().recordings.shown
  dispatch(jumpTo(id, step(getState(), id) + by))
}

export const toEnd = () => (dispatch, getState) => {
  const id = getState().recordings.shown
  dispatch(jumpTo(id, events(getState(), id).length))
}

export const togglePlay = () => (dispatch, getState) => {
  if (getState().travel.playing) return dispatch(played(false))
  const id = getState().recordings.shown, count = events(getState(), id).length
  if (!count) return
  if (step(getState(), id) >= count) dispatch(jumpTo(id, 0))
  dispatch(played(true))
  const each = Math.max(FASTEST, Math.min(SLOWEST, LASTS / count))
  let begin = performance.now(), from = step(getState(), id)
  const tick = now => {
    const state = getState()
    if (!state.travel.playing || state.recordings.shown !== id) return dispatch(played(false))
    const due = from + Math.floor((now - begin) / each)
    if (due !== step(state, id)) dispatch(jumpTo(id, due))
    if (due >= count) return dispatch(played(false))
    requestAnimationFrame(tick)
  }
  requestAnimationFrame(tick)
}

// To the next call, or the one before, that the search has found. Round the end.
export const findNext = by => (dispatch, getState) => {
  const state = getState(), id = state.recordings.shown
  const steps = found(state, id), here = step(state, id)
  if (!steps.length) return
  const next = by > 0 ? steps.find(place => place > here) ?? steps[0] : steps.findLast(place => place < here) ?? steps.at(-1)
  dispatch(jumpTo(id, next))
}
