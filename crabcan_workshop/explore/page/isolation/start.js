// The state before the first call, and what `begin` says of it.
import { CAPABILITIES } from "../words/tables.js"
import { Unknown, get, list, need, number, numbers, put, text } from "./data.js"
import { below, place, walk } from "./paths.js"

const NAMESPACES = ["pid", "uts", "mnt", "user", "ipc", "net", "cgroup", "time"]
const ALL_IDS = [[0, 0, 4294967295]]
export const ATTRIBUTES = ["ro", "nosuid", "nodev", "noexec"] // as bits: 1, 2, 4, 8
const SETS = { effective: "CapEff", permitted: "CapPrm", inheritable: "CapInh", bounding: "CapBnd", ambient: "CapAmb" }
const ESCAPES = { "\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\" }

export const capability = number => `CAP_${CAPABILITIES[number] ?? number}`
export const range = count => [...Array(count).keys()]

// The names of the capabilities whose bits are set, in the 64 of a BigInt.
export const capabilities = bits => range(64).filter(n => BigInt(bits) >> BigInt(n) & 1n).map(capability)
export const attributes = bits => ATTRIBUTES.filter((_, n) => bits >> n & 1)
export const bitsOf = names => ATTRIBUTES.reduce((sum, name, n) => names.includes(name) ? sum | 1 << n : sum, 0)

const host = kind => ({
  user: { parent: null, setgroups: "allow", maps: { uid: ALL_IDS, gid: ALL_IDS } }, uts: { hostname: "" },
  mnt: { root: "m0" }, net: { links: {}, routes: [] }, cgroup: { roots: {} },
}[kind] ?? {})

const every = range(CAPABILITIES.length).map(capability)
const parent = {
  side: "parent", pid: null, maker: null, alive: true, inits: false, next: {},
  namespaces: Object.fromEntries(NAMESPACES.map(kind => [kind, { id: `${kind}:0`, how: "shared" }])),
  uid: [0, 0, 0], gid: [0, 0, 0], groups: [],
  capabilities: { effective: every, permitted: every, inheritable: [], bounding: every, ambient: [] },
  keep_capabilities: false, no_new_privs: false, filters: [], root: place("m0"), cwd: place("m0"),
  cgroup: {}, rlimits: {},
  descriptors: Object.fromEntries(range(3).map(fd => [fd, { kind: "other", what: "", cloexec: false }])),
  keyring: "inherited", session: "inherited", death_signal: 0, umask: 18, program: null, environment: null,
}

export const initial = {
  events: 0, unknown: 0, failed: 0, last: CAPABILITIES.length - 1, began: { environ: [], hostname: "" },
  subject: "child", processes: { parent },
  namespaces: Object.fromEntries(NAMESPACES.map(kind => [`${kind}:0`, { kind, owner: kind === "user" ? null : "user:0", ...host(kind) }])),
  mounts: { m0: { namespace: "mnt:0", parent: null, at: "", root: "/", fstype: "", source: "", device: "host",
    attributes: [], propagation: "private", options: {}, idmapped: false } },
  cgroups: {}, layers: {}, properties: {},
}

// Takes over what /proc has said of the parent.
export const begin = (state, event, process) => {
  const facts = event.options, { status, ids } = facts
  const pairs = Object.entries(facts.limits), fds = Object.entries(facts.descriptors)
  const filtered = need(status, "Seccomp") !== "0"
  const own = {
    ...process, pid: need(facts, "pid"), groups: numbers(ids.groups), uid: numbers(ids.uid), gid: numbers(ids.gid),
    no_new_privs: need(status, "NoNewPrivs") === "1", umask: parseInt(status.Umask ?? "022", 8),
    capabilities: Object.fromEntries(Object.entries(SETS).map(([name, field]) => [name, capabilities(`0x${text(status[field])}`)])),
    cgroup: Object.fromEntries(list(facts.cgroup).map(fromColon)),
    rlimits: Object.fromEntries(pairs.map(([name, pair]) => [name, numbers(pair)])),
    descriptors: Object.fromEntries(fds.map(([fd, [what, cloexec]]) => [fd, { kind: "other", what: text(what), cloexec: Boolean(cloexec) }])),
    filters: filtered ? [{ instructions: null }] : process.filters,
  }
  const { mounts, first } = tree(list(facts.mountinfo))
  const subject = text(get(facts, "subject", "child"))
  let next = { ...state, mounts, last: need(facts, "last"), subject, began: { environ: need(facts, "environ"), hostname: text(facts.hostname) } }
  next = put(next, "namespaces", "mnt:0", "root", first)
  next = put(next, "namespaces", "uts:0", "hostname", facts.hostname)
  own.root = place(first)
  own.cwd = walk(next, own, facts.cwd)
  return put(next, "processes", process.side, own)
}

// "4:memory:/path" -> ["memory", "/path"]
const fromColon = line => {
  const [, controllers, ...path] = line.split(":")
  return [controllers, path.join(":")]
}

// The mounts of mountinfo, each placed below its parent, and the first of them.
const tree = lines => {
  const flat = Object.fromEntries(lines.map(mount)), mounts = {}
  const first = Object.keys(flat).find(name => !Object.hasOwn(flat, flat[name].parent))
  if (first === undefined) throw new Unknown("no mounts")
  for (const [name, found] of Object.entries(flat)) {
    const hangs = name !== first && Object.hasOwn(flat, found.parent)
    const above = hangs ? flat[found.parent].at.replace(/\/+$/, "") : ""
    mounts[name] = { ...found, parent: hangs ? found.parent : null, at: hangs ? found.at.slice(above.length) : "" }
  }
  const reached = [first, ...below({ mounts }, place(first))]
  return { mounts: Object.fromEntries(reached.map(name => [name, mounts[name]])), first }
}

// [id, mount] of a line of mountinfo (proc(5)). Where it hangs is an absolute path yet.
const mount = line => {
  const words = line.trim().split(/\s+/), dash = words.indexOf("-")
  const [name, parent, device, root, where, options] = words
  const tags = words.slice(6, dash).map(word => word.split(":")[0])
  const [fstype, source, extra] = words.slice(dash + 1, dash + 4), set = options.split(",")
  return [`m${name}`, { namespace: "mnt:0", parent: `m${parent}`, at: plain(where), root: plain(root), fstype,
    source: plain(source), device, attributes: ATTRIBUTES.filter(name => set.includes(name)),
    propagation: propagation(tags), options: { super: plain(extra) }, idmapped: set.includes("idmapped") }]
}

const propagation = tags => {
  if (tags.includes("unbindable")) return "unbindable"
  return [["shared", "shared"], ["master", "slave"]].filter(([tag]) => tags.includes(tag)).map(([, name]) => name).join(" ") || "private"
}

const plain = word => Object.entries(ESCAPES).reduce((text, [escape, letter]) => text.replaceAll(escape, letter), word)
