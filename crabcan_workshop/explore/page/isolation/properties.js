// What a state means: for each property of the isolation matrix, whether it is closed for a process.
import { get } from "./data.js"
import { visible, walk } from "./paths.js"

const ANYBODYS = new Set(["PATH", "HOME", "HOSTNAME", "TERM", "PWD", "OLDPWD", "SHLVL", "_", "LANG", "USER", "LOGNAME",
  "SHELL", "container"])
const LIMITS = { memory: ["memory.max", "memory.limit_in_bytes"], pids: ["pids.max"], cpu: ["cpu.max", "cpu.cfs_quota_us"] }
const FEW_FILES = 100 // as the matrix tries

// A namespace that is not the host's.
const own = kind => (state, child) => child.namespaces[kind].id !== `${kind}:0`

const environ = (state, child) => {
  if (child.environment === null) return false
  return !state.began.environ.some(name => !ANYBODYS.has(name) && child.environment.includes(name))
}

// Whether a mount shows the whole of the host's root file system.
const hosts = (state, name) => {
  const found = get(state.mounts, name), host = get(state.mounts, state.namespaces["mnt:0"].root)
  return Boolean(found && host) && found.device === host.device && found.root === host.root
}

// The host's root is nowhere to be seen: not at the root, nor mounted below it, nor where it stands.
const files = (state, child) =>
  ![...visible(state, child), child.root.mount, child.cwd.mount].some(name => hosts(state, name))

const mounts = (state, child) => own("mnt")(state, child) && !(hosts(state, child.root.mount) && child.root.path === "")

// /proc/interrupts is covered, or there is no /proc.
const proc = (state, child) => {
  if (!files(state, child)) return false
  const where = walk(state, child, "/proc/interrupts")
  return get(state.mounts, where.mount, {}).fstype !== "proc" || where.path === ""
}

const same = (one, other) => {
  const names = Object.keys(one)
  return names.length === Object.keys(other).length && names.every(name => get(other, name) === one[name])
}
const cgroup = (state, child) => {
  const { id } = child.namespaces.cgroup
  return id !== "cgroup:0" && same(state.namespaces[id].roots, child.cgroup)
}

const calls = (state, child) => ["keyctl", "new user namespace"].every(name =>
  child.filters.some(filter => (filter.refuses ?? []).includes(name)))

// A limit of its cgroup, or of one above it that the recording has made.
const limited = kind => (state, child) => Object.values(state.cgroups).some(({ controllers, path, limits }) => {
  const at = get(child.cgroup, controllers, null)
  if (at === null || at !== path && !at.startsWith(`${path.replace(/\/+$/, "")}/`)) return false
  return LIMITS[kind].some(file => /^\s*\d/.test(get(limits, file, "max")))
})

const nofile = (state, child) => get(child.rlimits, "NOFILE", [-1, -1]).every(limit => 0 <= limit && limit < FEW_FILES)

const TESTS = {
  environ, files, mounts, proc, cgroup, calls, nofile,
  pid: (state, child) => own("pid")(state, child) && child.inits,
  name: (state, child) => own("uts")(state, child) && state.began.hostname !== state.namespaces[child.namespaces.uts.id].hostname,
  users: (state, child) => own("user")(state, child) && child.uid[0] !== 0,
  ipc: own("ipc"), network: own("net"), time: own("time"),
  keys: (state, child) => child.keyring === "own",
  caps: (state, child) => !Object.values(child.capabilities).some(set => set.length),
  no_new: (state, child) => child.no_new_privs,
  filter: (state, child) => child.filters.length > 0,
  memory: limited("memory"), pids: limited("pids"), cpu: limited("cpu"),
  session: (state, child) => child.session === "own",
}

// The state with its properties looked at again; what has just closed gets the event's index.
export const judged = (state, before) => {
  const child = get(state.processes, state.subject)
  if (before.properties === state.properties && Object.keys(state.properties).length && child === get(before.processes, before.subject) &&
    ["mounts", "namespaces", "cgroups", "began"].every(slice => state[slice] === before[slice])) return state
  let changed = false
  const now = Object.fromEntries(Object.entries(TESTS).map(([name, test]) => {
    const was = get(state.properties, name), closed = Boolean(child && test(state, child))
    if (was && was.closed === closed) return [name, was]
    changed = true
    return [name, { closed, by: closed ? state.events : null }]
  }))
  return changed ? { ...state, properties: now } : state
}
