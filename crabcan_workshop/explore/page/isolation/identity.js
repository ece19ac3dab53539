// What the calls about users, capabilities and filters make of the state (capabilities(7)).
import { Unknown, arg, get, number, numbers, put, truth } from "./data.js"
import { mapped, outside, userOf } from "./maps.js"
import { capabilities, capability, range } from "./start.js"

const PDEATHSIG = 1, KEEPCAPS = 8, SECCOMP = 22, CAPBSET_DROP = 24, NO_NEW_PRIVS = 38, AMBIENT = 47
const AMBIENT_RAISE = 2, AMBIENT_LOWER = 3, AMBIENT_CLEAR_ALL = 4
const ALL = range(64).map(capability)

// Three ids: real, effective, saved. -1 leaves one as it is.
const changed = (state, event, process, kind) => {
  const wanted = numbers(event.args).slice(0, 3)
  if (wanted.length !== 3) throw new Unknown("three ids are needed")
  return wanted.map((want, n) => want === -1 || want === 4294967295 ? process[kind][n] : mapped(state, process, kind, want))
}

export const setresgid = (state, event, process) =>
  put(state, "processes", process.side, "gid", changed(state, event, process, "gid"))

// Who was root and is it no more loses its capabilities, unless PR_SET_KEEPCAPS says otherwise.
export const setresuid = (state, event, process) => {
  const now = changed(state, event, process, "uid"), old = process.uid
  const root = outside(state, userOf(process), "uid", 0)
  let sets = process.capabilities
  if (old.includes(root) && !now.includes(root)) {
    sets = { ...sets, ambient: [] }
    if (!process.keep_capabilities) sets = { ...sets, permitted: [], effective: [] }
  }
  if (old[1] === root && root !== now[1]) sets = { ...sets, effective: [] }
  if (old[1] !== root && root === now[1]) sets = { ...sets, effective: sets.permitted }
  const death_signal = now[1] === old[1] ? process.death_signal : 0
  return put(state, "processes", process.side, { ...process, uid: now, capabilities: sets, death_signal })
}

export const setgroups = (state, event, process) =>
  put(state, "processes", process.side, "groups", numbers(event.args[0]).map(id => mapped(state, process, "gid", id)))

export const capset = (state, event, process) => {
  const [effective, permitted, inheritable] = numbers(event.args).slice(0, 3).map(capabilities)
  if (!inheritable) throw new Unknown("three sets are needed")
  const ambient = process.capabilities.ambient.filter(name => permitted.includes(name) && inheritable.includes(name))
  return put(state, "processes", process.side, "capabilities", { ...process.capabilities, effective, permitted, inheritable, ambient })
}

const dropBounding = (state, process, which) =>
  put(state, "processes", process.side, "capabilities", "bounding", process.capabilities.bounding.filter(name => name !== capability(which)))

export const capbset_drop = (state, event, process) => dropBounding(state, process, number(arg(event, 0)))

export const set_no_new_privs = (state, event, process) => put(state, "processes", process.side, "no_new_privs", true)

export const prctl = (state, event, process) => {
  const choice = number(arg(event, 0)), value = arg(event, 1, 0), own = (...rest) => put(state, "processes", process.side, ...rest)
  if (choice === PDEATHSIG) return own("death_signal", number(value))
  if (choice === KEEPCAPS) return own("keep_capabilities", truth(value))
  if (choice === NO_NEW_PRIVS) return set_no_new_privs(state, event, process)
  if (choice === CAPBSET_DROP) return dropBounding(state, process, number(value))
  if (choice === SECCOMP) return filtered(state, event, process)
  return choice === AMBIENT ? own("capabilities", "ambient", ambient(event, process)) : state
}

// One more filter: all are asked, and the stricter answer counts.
const filtered = (state, event, process) => put(state, "processes", process.side, "filters",
  [...process.filters, truth(get(event, "filter", null)) ? event.filter : { instructions: null }])

// seccomp(2) can do the same as prctl; its other operations only ask.
export const seccomp = (state, event, process) => number(arg(event, 0)) === 1 ? filtered(state, event, process) : state

// The ambient set after one of the operations that it has.
const ambient = (event, process) => {
  const now = process.capabilities.ambient, deed = number(arg(event, 1))
  if (deed === AMBIENT_CLEAR_ALL) return []
  const name = capability(number(arg(event, 2, -1)))
  if (deed === AMBIENT_RAISE) return [...new Set([...now, name])].sort((a, b) => place(a) - place(b))
  return deed === AMBIENT_LOWER ? now.filter(each => each !== name) : now
}
const place = name => {
  if (!ALL.includes(name)) throw new Unknown(`no capability ${name}`)
  return ALL.indexOf(name)
}

// The sets after execve: root's come back as far as the bounding set, nobody else's but ambient ones.
export const afterExecve = (state, process) => {
  const sets = process.capabilities, root = outside(state, userOf(process), "uid", 0)
  let wanted = sets.ambient
  if (process.uid.slice(0, 2).includes(root)) {
    wanted = [...wanted, ...sets.inheritable, ...sets.bounding]
    if (process.no_new_privs) wanted = wanted.filter(name => sets.permitted.includes(name))
  }
  const permitted = ALL.filter(name => wanted.includes(name))
  return { ...sets, permitted, effective: process.uid[1] === root ? permitted : sets.ambient }
}
