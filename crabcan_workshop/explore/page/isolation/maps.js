// Who is who in a user namespace: its id maps, and an id as the host counts (user_namespaces(7)).
import { Unknown, arg, need, numbers, put, text } from "./data.js"
import { byPid } from "./namespaces.js"

const FILE = /^\/proc\/(self|\d+)\/(uid_map|gid_map|setgroups)$/

const integer = word => {
  if (!/^[+-]?\d+$/.test(word)) throw new Unknown("no number")
  return Number(word)
}

// newuidmap and newgidmap write what we may not: their words are the process and the map.
export const newidmap = (state, event) => {
  const kind = { newuidmap: "uid", newgidmap: "gid" }[text(arg(event, 0)).split("/").at(-1)]
  if (!kind || event.result !== 0) throw new Unknown("no map was written")
  const [pid, ...ids] = numbers(event.args.slice(1)), lines = []
  for (let n = 0; n < ids.length; n += 3) lines.push(ids.slice(n, n + 3))
  if (!there(state, pid)) return state
  return put(state, "namespaces", byPid(state, pid).namespaces.user.id, "maps", kind, lines)
}

// Whether a process is in the recording. A helper's is not: it owns a mount whose owners are shifted.
const there = (state, number) => Object.values(state.processes).some(({ pid }) => String(pid) === String(number))

// A file of /proc that says who is who in a user namespace; null if it is another file.
export const write = (state, path, words, process) => {
  const [, whose, file] = FILE.exec(path) ?? []
  if (!file) return null
  if (whose !== "self" && !there(state, whose)) return state
  const user = (whose === "self" ? process : byPid(state, whose)).namespaces.user.id
  if (file === "setgroups") return put(state, "namespaces", user, "setgroups", words.trim())
  const lines = words.split("\n").slice(0, words.endsWith("\n") ? -1 : undefined)
    .map(line => line.split(/\s+/).filter(Boolean).map(integer))
  if (!lines.every(line => line.length === 3)) throw new Unknown("no id map")
  return put(state, "namespaces", user, "maps", file.slice(0, 3), lines)
}

// An id of a user namespace, as the host counts; null if the map has none such.
export const outside = (state, user, kind, wanted) => {
  let space, id = wanted
  while ((space = need(state.namespaces, user)).parent !== null) {
    const line = space.maps[kind].find(([first, , count]) => first <= id && id < first + count)
    if (!line) return null
    id = line[1] + id - line[0]
    user = space.parent
  }
  return id
}

export const userOf = process => process.namespaces.user.id

export const mapped = (state, process, kind, wanted) => {
  const found = outside(state, userOf(process), kind, wanted)
  if (found === null) throw new Unknown(`${kind} ${wanted} is not in the map`)
  return found
}
