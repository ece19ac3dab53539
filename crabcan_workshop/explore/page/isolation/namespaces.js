// What the calls about namespaces and processes make of the state (namespaces(7)).
import { Unknown, arg, get, has, need, newId, number, put, text, truth } from "./data.js"
import { place } from "./paths.js"
import { capability, range } from "./start.js"
import { change, copy, subtree } from "./trees.js"

export const FLAGS = { user: 0x10000000, cgroup: 0x2000000, ipc: 0x8000000, mnt: 0x20000, net: 0x40000000, pid: 0x20000000,
  time: 0x80, uts: 0x4000000 } // CLONE_NEW..., the user namespace first: it owns the others
const INTO_CGROUP = 0x200000000

// A new namespace, made by a process: {state, name}.
const make = (state, kind, side) => {
  const process = need(state.processes, side), old = process.namespaces[kind].id, owner = process.namespaces.user.id
  const name = newId(state.namespaces, `${kind}:`), fresh = { kind, owner }
  if (kind === "mnt") return copyMounts(state, old, name, fresh)
  const more = {
    user: () => ({ parent: owner, maps: { uid: [], gid: [] }, setgroups: state.namespaces[owner].setgroups }),
    uts: () => ({ hostname: state.namespaces[old].hostname }),
    net: () => ({ links: { lo: { up: false, addresses: [], peer: null } }, routes: [] }),
    cgroup: () => ({ roots: process.cgroup }),
  }
  return { state: put(state, "namespaces", name, { ...fresh, ...more[kind]?.() }), name }
}

// A mount namespace is made as a copy of another: each mount once more.
const copyMounts = (state, old, name, fresh) => {
  const { root: first, owner } = state.namespaces[old]
  let { state: next, copies } = copy(state, subtree(state, first), name)
  if (fresh.owner !== owner) { // who is less trusted only receives
    for (const copied of Object.values(copies)) {
      if (next.mounts[copied].propagation.includes("shared")) next = change(next, [copied], { propagation: "slave" })
    }
  }
  return { state: put(next, "namespaces", name, { ...fresh, root: copies[first], copies }), name }
}

// Puts a process into a namespace, with what comes with it.
export const enter = (state, side, kind, name, how) => {
  const next = put(state, "processes", side, "namespaces", kind, { id: name, how })
  if (kind === "user") return full(next, side)
  if (kind !== "mnt") return next
  if (how === "new") return enterCopy(next, side, name)
  const root = place(next.namespaces[name].root)
  return put(put(next, "processes", side, "root", root), "processes", side, "cwd", root)
}

const enterCopy = (state, side, name) => {
  const { copies, ...kept } = state.namespaces[name]
  const next = ["root", "cwd"].reduce((next, field) => {
    const { mount, path } = next.processes[side][field]
    return put(next, "processes", side, field, place(get(copies ?? {}, mount, mount), path))
  }, state)
  return put(next, "namespaces", name, kept)
}

// Who comes into a user namespace has all capabilities there, whoever it was before.
const full = (state, side) => {
  const every = range(state.last + 1).map(capability)
  return put(state, "processes", side, "capabilities", { effective: every, permitted: every, inheritable: [], bounding: every, ambient: [] })
}

const makeAll = (state, flags, side, into) =>
  Object.entries(FLAGS).reduce((next, [kind, flag]) => {
    if (!has(flags, flag)) return next
    const { state: made, name } = make(next, kind, side)
    return into(made, kind, name)
  }, state)

const pair = list => {
  if (list.length !== 2) throw new Unknown("a process and its descriptor")
  return list
}

export const clone3 = (state, event, process) => {
  const flags = number(arg(event, 0, 0)), [pid, pidfd] = Array.isArray(event.result) ? pair(event.result) : [event.result, null]
  const ours = event.call === "clone3" && event.side === "parent" && !Object.hasOwn(state.processes, "child")
  const side = get(event, "makes", ours ? "child" : null)
  if (side === null || number(pid) === 0) return state // a helper of ours; or --init, whose child is as it is itself
  const child = { ...process, side: text(side), pid, maker: process.side, alive: true, next: {}, inits: has(flags, FLAGS.pid), death_signal: 0 }
  let next = put(state, "processes", side, child)
  if (truth(get(event, "leads", false))) next = { ...next, subject: side }
  for (const [kind, name] of Object.entries(process.next)) {
    next = enter(next, side, kind, name, "new")
    const others = Object.values(next.processes).some(other => other.namespaces.pid.id === name && other.side !== side)
    if (kind === "pid" && !others) next = put(next, "processes", side, "inits", true)
  }
  next = makeAll(next, flags, side, (made, kind, name) => enter(made, side, kind, name, "new"))
  const into = get(process.descriptors, String(arg(event, 1)), {}).place
  if (has(flags, INTO_CGROUP) && into) next = put(next, "processes", side, "cgroup", { ...child.cgroup, "": into.path || "/" })
  if (pidfd === null) return next
  return put(next, "processes", process.side, "descriptors", String(number(pidfd)), { kind: "other", what: "pidfd", cloexec: true })
}

export const unshare = (state, event, { side }) =>
  makeAll(state, number(arg(event, 0)), side, (made, kind, name) => kind === "pid" || kind === "time"
    ? put(made, "processes", side, "next", kind, name) : enter(made, side, kind, name, "new"))

// The process with a number.
export const byPid = (state, pid) => {
  const found = Object.values(state.processes).find(process => String(process.pid) === String(pid))
  if (!found) throw new Unknown(`no process ${pid}`)
  return found
}

export const sethostname = (state, event, process) =>
  put(state, "namespaces", process.namespaces.uts.id, "hostname", text(arg(event, 0)))

// A time namespace that was made by unshare takes in who made it when execve works.
export const afterExecve = (state, { side, next }) =>
  Object.entries(next).reduce((made, [kind, name]) => kind === "time" ? enter(made, side, kind, name, "new") : made, state)
