// Whose namespace a process joins, by a descriptor (setns(2)).
import { Unknown, arg, get, has, need, newId, number, put } from "./data.js"
import { FLAGS, enter } from "./namespaces.js"

export const JOINED = /^\/proc\/(self|thread-self|\d+)\/ns\/(\w+?)(?:_for_children)?$/

// Joins the namespace behind a descriptor.
export const setns = (state, event, process) => {
  const found = get(process.descriptors, String(number(arg(event, 0))), {}), known = found.id ?? null
  const { state: next, name } = known === null ? strange(state, found, number(arg(event, 1, 0))) : { state, name: known }
  const { kind } = need(next.namespaces, name)
  if (kind === "pid" || kind === "time") return put(next, "processes", process.side, "next", kind, name)
  return enter(next, process.side, kind, name, "joined")
}

// What we say of a namespace of which the recording knows only that it is another one; of a user or mount
// namespace one would have to know more.
const STRANGE = { net: { links: {}, routes: [] }, uts: { hostname: null }, cgroup: { roots: {} }, ipc: {}, pid: {}, time: {} }

// A namespace that was there before, under some path.
const strange = (state, found, flags) => {
  const path = found.path || found.place?.path, named = JOINED.exec(path ?? "")
  const kinds = named ? [named[2]] : Object.keys(FLAGS).filter(each => has(flags, FLAGS[each])), [kind] = kinds
  if (!path || kinds.length !== 1 || !Object.hasOwn(STRANGE, kind)) throw new Unknown("a namespace that the recording does not know")
  const known = Object.entries(state.namespaces).find(([, space]) => space.kind === kind && space.path === path)
  if (known) return { state, name: known[0] }
  const name = newId(state.namespaces, `${kind}:`)
  return { state: put(state, "namespaces", name, { kind, owner: "user:0", path, ...STRANGE[kind] }), name }
}

// The namespace that a path of /proc leads to just now, or null if the recording does not know it.
export const behind = (state, process, path) => {
  const [, whose, kind] = JOINED.exec(path), self = whose.endsWith("self")
  const found = self ? process : Object.values(state.processes).find(({ pid }) => String(pid) === whose)
  return found ? get(found.namespaces, kind, {}).id ?? null : null
}
