// What the calls about limits and sessions make of the state (cgroups(7), setrlimit(2)).
import { RLIMITS as KINDS } from "../words/tables.js"
import { Unknown, arg, get, need, number, numbers, option, put, text } from "./data.js"
import { write as writeMap } from "./maps.js"
import { byPid } from "./namespaces.js"
import { join, start, walk } from "./paths.js"

const MEMBERS = ["tasks", "cgroup.procs", "cgroup.threads"]
const JOIN_SESSION = 1

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
  const known = String(get(mount.options, "super") || get(mount.options, "data", "")).split(",")
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
  if (Number.isInteger(arg(event, 0))) return state // below a descriptor: a setting of the kernel's, such as net.ipv4.ping_group_range
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

export const setsid = (state, event, process) => put(state, "processes", process.side, "session", "own")

export const keyctl = (state, event, process) =>
  number(arg(event, 0)) === JOIN_SESSION ? put(state, "processes", process.side, "keyring", "own") : state

export const umask = (state, event, process) => put(state, "processes", process.side, "umask", number(arg(event, 0)))
