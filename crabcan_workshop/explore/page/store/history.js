// The state at each step of a recording. Each EVERYth is kept, so that a jump costs less than EVERY
// calls of the reducer, and a step one.
import { initial, isolation } from "../isolation/isolation.js"
import { leaveOut } from "../isolation/leave_out.js"

const EVERY = 50

export class History {
  constructor(events, skipped) {
    this.events = leaveOut(events, skipped)
    this.kept = [initial]
    this.near = { step: 0, state: initial }
  }

  // The state when so many events have happened. One that is left out still counts as a step.
  at(step) {
    const wanted = Math.max(0, Math.min(step, this.events.length))
    const kept = Math.min(Math.floor(wanted / EVERY), this.kept.length - 1)
    let { step: place, state } = { step: kept * EVERY, state: this.kept[kept] }
    if (this.near.step <= wanted && this.near.step > place) ({ step: place, state } = this.near)
    while (place < wanted) {
      const event = this.events[place++]
      state = isolation(state, { type: `call/${event.call}`, payload: event })
      if (place % EVERY === 0) this.kept[place / EVERY] = state
    }
    this.near = { step: wanted, state }
    return state
  }

  // Goes on towards the end for some milliseconds; returns whether it is there.
  advance(milliseconds) {
    const until = performance.now() + milliseconds
    let place = (this.kept.length - 1) * EVERY
    while (place + EVERY <= this.events.length && performance.now() < until) this.at(place += EVERY)
    if (place + EVERY <= this.events.length) return false
    this.end
    return true
  }

  // How far it has been folded: from here on it costs time.
  get reach() { return this.known ? this.events.length : (this.kept.length - 1) * EVERY }

  get known() { return this.last !== undefined }

  get end() { return this.last ??= this.at(this.events.length) }
}
