// What the calls about limits, sessions and networks make of the state (cgroups(7), setrlimit(2)).
import { RLIMITS as KINDS } from "../words/tables.js"
import { Unknown, arg, get, has, need, number, numbers, option, put, text, truth } from "./data.js"
import { write as writeMap } from "./maps.js"
import { byPid } from "./namespaces.js"
import { join, start, walk } from "./paths.js"

const MEMBERS = ["tasks", "cgroup.procs", "cgroup.threads"]
const SIOCSIFFLAGS = 0x8914, IFF_UP = 1, JOIN_SESSION = 1
const LOOPBACK = { up: true, addresses: ["127.0.0.1/8", "::1/128"], peer: null }

export const setrlimit = (state, event, process) => {
  const kind = number(arg(event, 0)), pair = numbers(arg(event, 1))
  if (!KINDS[kind] || pair.length !== 2) throw new Unknown("no such limit")
  const other = Object.hasOwn(event.options, "pid") ? byPid(state, event.options.pid) : process // prlimit(2): another's
  return put(state, "processes", other.side, "rlimits", KINDS[kind], pair)
}

// {controllers, path} of the cgroup whose directory is at a path, as the process has it; null if it is no cgroup's.
const cgroup = (state, process, path, fd = null) => {
  const where = walk(state, process, path, start(state, process, fd)), mount = need(state.mounts, where.mount)
  const within = join(mount.root, where.path)
  if (mount.fstype === "cgroup2") return { controllers: "", path: within }
  if (mount.fstype !== "cgroup") return null
  const known = String(get(mount.options, "super", "")).split(",")
  const controllers = Object.keys(process.cgroup).find(names => names && names.split(",").every(name => known.includes(name)))
  return controllers === undefined ? null : { controllers, path: within }
}

export const mkdir = (state, event, process) => {
  const path = text(arg(event, 0)), found = cgroup(state, process, path, option(event, "dir_fd"))
  return found ? put(state, "cgroups", path, { ...found, limits: {}, removed: false }) : state
}

export const rmdir = (state, event) => {
  const path = text(arg(event, 0))
  return Object.hasOwn(state.cgroups, path) ? put(state, "cgroups", path, "removed", true) : state
}

// A file written in one go: an id map, a member or a limit of a cgroup, or nothing of ours.
export const write = (state, event, process) => {
  const path = text(arg(event, 0)), words = text(arg(event, 1)), told = writeMap(state, path, words, process)
  if (told) return told
  const end = path.lastIndexOf("/"), folder = path.slice(0, Math.max(0, end)), file = path.slice(end + 1)
  const found = cgroup(state, process, folder, option(event, "dir_fd"))
  if (!found) return state
  if (MEMBERS.includes(file)) {
    const member = ["0", ""].includes(words.trim()) ? process : byPid(state, words.trim())
    return put(state, "processes", member.side, "cgroup", { ...member.cgroup, [found.controllers]: found.path })
  }
  const known = get(state.cgroups, folder, { ...found, limits: {}, removed: false })
  return put(state, "cgroups", folder, put(known, "limits", file, words))
}

// A network link that goes up or down: that much the older interface can say (netdevice(7)).
export const ioctl = (state, event, process) => {
  if (arg(event, 1) !== SIOCSIFFLAGS || !Object.hasOwn(event, "data")) return state
  const data = Uint8Array.from(atob(event.data), letter => letter.charCodeAt(0))
  const name = new TextDecoder("utf-8", { fatal: true }).decode(data.slice(0, 16)).replace(/\0+$/, "")
  return setLink(state, process, name, has(data[16] ?? 0, IFF_UP))
}

// The same by netlink, as a reader of strace's lines tells it: a name, and whether it is up.
export const link = (state, event, process) => setLink(state, process, text(arg(event, 0)), truth(arg(event, 1)))

const setLink = (state, process, name, up) => {
  const found = up && name === "lo" ? LOOPBACK : { up, addresses: [], peer: null }
  return put(state, "namespaces", process.namespaces.net.id, "links", name, found)
}

export const setsid = (state, event, process) => put(state, "processes", process.side, "session", "own")

export const keyctl = (state, event, process) =>
  arg(event, 0) === JOIN_SESSION ? put(state, "processes", process.side, "keyring", "own") : state

export const umask = (state, event, process) => put(state, "processes", process.side, "umask", number(arg(event, 0)))
