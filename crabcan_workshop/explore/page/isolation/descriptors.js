// What the calls about descriptors make of the state.
import { Unknown, arg, get, has, list, need, number, numbers, option, put, text, truth } from "./data.js"
import { cloexec, hold } from "./mounts.js"
import { JOINED, behind } from "./joins.js"
import { start, walk } from "./paths.js"
import { collect, newFilesystem } from "./trees.js"

// A path that was opened: a place, or a namespace.
const opened = (state, event, process, path, fd) => {
  if (JOINED.test(path)) return hold(state, process, event, { kind: "namespace", path, id: behind(state, process, path) })
  const begin = path.startsWith("/") ? null : start(state, process, fd)
  return hold(state, process, event, { kind: "place", place: walk(state, process, path, begin) })
}

export const open = (state, event, process) => opened(state, event, process, text(arg(event, 0)), option(event, "dir_fd"))

export const openat2 = (state, event, process) => opened(state, event, process, text(arg(event, 1)), arg(event, 0))

// A descriptor of which only the kind matters: the call's name.
export const other = (state, event, process) =>
  numbers(Array.isArray(event.result) ? event.result : [event.result]).reduce((next, fd) =>
    put(next, "processes", process.side, "descriptors", String(fd), { kind: "other", what: event.call, cloexec: cloexec(event) }), state)

// A mount that somebody else has made comes as a descriptor (SCM_RIGHTS in unix(7)).
export const recvmsg = (state, event, process) => {
  const came = list(event.result), fstype = option(event, "mount")
  if (came.length !== 2) throw new Unknown("a text and a descriptor")
  const fd = came[1]
  if (fd === null || fstype === null) return state
  const bits = number(option(event, "attributes", undefined, 0))
  const { state: next, name } = newFilesystem(state, text(fstype), text(fstype), bits, {})
  return hold(next, process, { ...event, result: fd }, { kind: "mount", mount: name })
}

export const close = (state, event, process) => without(state, process, fd => fd === String(number(arg(event, 0))))

const without = (state, process, gone) => {
  const left = Object.fromEntries(Object.entries(process.descriptors).filter(([fd]) => !gone(fd)))
  return collect(put(state, "processes", process.side, "descriptors", left))
}

export const close_range = (state, event, process) => {
  const first = number(arg(event, 0)), last = number(arg(event, 1)), flags = number(arg(event, 2, 0))
  const chosen = fd => first <= Number(fd) && Number(fd) <= last
  if (!has(flags, 4)) return without(state, process, chosen) // CLOSE_RANGE_CLOEXEC
  return Object.keys(process.descriptors).filter(chosen).reduce((next, fd) =>
    put(next, "processes", process.side, "descriptors", fd, "cloexec", true), state)
}

// A second number for the same. Of the copy execve closes nothing, unless the call says so.
export const dup2 = (state, event, process) => {
  const old = String(number(arg(event, 0))), fresh = String(number(arg(event, 1, event.result)))
  if (old === fresh) return state
  const what = get(process.descriptors, old, { kind: "other", what: "" })
  return put(state, "processes", process.side, "descriptors", fresh, { ...what, cloexec: truth(get(event.options, "cloexec", false)) })
}

// Says whether execve closes one (F_SETFD).
export const fcntl = (state, event, process) => {
  const fd = String(number(arg(event, 0))), cloexec = has(number(arg(event, 2)), 1) // FD_CLOEXEC
  const what = get(process.descriptors, fd, { kind: "other", what: "" })
  return put(state, "processes", process.side, "descriptors", fd, { ...what, cloexec })
}

// execve closes what it is told to.
export const executed = (state, side) => {
  const kept = Object.entries(state.processes[side].descriptors).filter(([, what]) => !what.cloexec)
  return collect(put(state, "processes", side, "descriptors", Object.fromEntries(kept)))
}
