// A call as a line to read: flags by name, descriptors with what they were opened for.
import { AT, CAPABILITIES, CLONE, ERRORS, FAMILIES, FSCONFIG, KEYCTL, MNT, MOUNT_ATTR, MS, O, OPEN_TREE, PRCTL,
  RESOLVE, RLIMITS, SIGNALS } from "./tables.js"

const LONG = 70 // of one argument
const bits = (table, prefix = "") => value => {
  if (!Number.isInteger(value) || value < 0) return plain(value)
  const names = Object.entries(table).filter(([, bit]) => Math.floor(value / bit) % 2 === 1)
  const rest = names.reduce((left, [, bit]) => left - bit, value)
  const words = names.map(([name]) => prefix + name)
  return [...words, ...rest || !words.length ? [rest > 9 ? `0x${rest.toString(16)}` : String(rest)] : []].join("|")
}
const one = table => value => table[value] ?? plain(value)
const octal = value => Number.isInteger(value) ? `0o${value.toString(8)}` : plain(value)
const signal = value => Array.isArray(value) ? `[${value.map(one(SIGNALS)).join(", ")}]` : SIGNALS[value] ?? plain(value)
const cap = value => CAPABILITIES[value] ? `CAP_${CAPABILITIES[value]}` : plain(value)

// call -> how its arguments are told, by their place or name
const HOW = {
  clone3: { 0: bits(CLONE, "CLONE_") }, clone: { 0: bits(CLONE, "CLONE_") }, unshare: { 0: bits(CLONE, "CLONE_") },
  setns: { 1: bits(CLONE, "CLONE_") },
  open: { 1: bits(O, "O_") }, openat: { 2: bits(O, "O_") }, seccomp: { 0: one(["SECCOMP_SET_MODE_STRICT", "SECCOMP_SET_MODE_FILTER"]) }, openat2: { 2: bits(O, "O_"), 3: bits(RESOLVE, "RESOLVE_") },
  open_tree: { 1: bits(OPEN_TREE) }, fsmount: { 1: bits(MOUNT_ATTR, "MOUNT_ATTR_") },
  mount_setattr: { 1: bits(AT, "AT_"), 2: bits(MOUNT_ATTR, "MOUNT_ATTR_"), 3: bits(MS, "MS_"), propagation: bits(MS, "MS_") },
  mount: { 3: bits(MS, "MS_") }, umount2: { 1: bits(MNT, "MNT_") }, fsconfig: { 1: one(FSCONFIG) },
  mkdir: { 1: octal }, umask: { 0: octal }, capbset_drop: { 0: cap }, setrlimit: { 0: one(RLIMITS) },
  prctl: { 0: one(PRCTL) }, keyctl: { 0: one(KEYCTL) }, socket: { 0: one(FAMILIES) }, socketpair: { 0: one(FAMILIES) },
  signalfd: { 0: signal }, ioctl: { 1: one({ 0x8914: "SIOCSIFFLAGS" }) }, pidfd_send_signal: { 1: signal }, kill: { 1: signal },
}
const DESCRIPTORS = { move_mount: [0, 1], fsconfig: [0], fsmount: [0], fchdir: [0], ioctl: [0], close: [0], openat2: [0], openat: [0], dup: [0], dup2: [0], fcntl: [0],
  send: [0], recv: [0], setns: [0] }

const TOLD = { netlink: 2, nft: 1, pasta: 1 } // how many of their arguments are words for a reader, not bytes

export const plain = value => {
  const text = typeof value === "string" ? JSON.stringify(value) : typeof value === "object" ? JSON.stringify(value) : String(value)
  return text.length > LONG ? `${text.slice(0, LONG)}\u2026` : text
}

// The arguments as words: [{text, of}], where `of` is what a descriptor stands for.
export const words = (event, known = () => "") => {
  const how = Object.hasOwn(HOW, event.call) ? HOW[event.call] : {}
  const places = Object.hasOwn(DESCRIPTORS, event.call) ? DESCRIPTORS[event.call] : []
  const word = (place, value) => {
    if (value === -100 && place === 0) return { text: "AT_FDCWD", of: "" }
    const descriptor = Number.isInteger(value) && (places.includes(place) || place === "dir_fd" || place === "userns_fd")
    return { text: Object.hasOwn(how, place) ? how[place](value) : plain(value), of: descriptor ? known(value) : "" }
  }
  const given = event.args.slice(0, Object.hasOwn(TOLD, event.call) ? TOLD[event.call] : undefined).map((value, place) => word(place, value))
  if (event.call === "begin") return []
  if (event.call === "prctl" && event.args[0] === 1) given[1] = { text: signal(event.args[1]), of: "" }
  if (event.call === "prctl" && event.args[0] === 22) given.splice(1, 2, { text: "SECCOMP_MODE_FILTER", of: "" }, { text: "a program", of: "" })
  if (event.call === "execve" && given.length > 2) given[2] = { text: `${Object.keys(event.args[2] ?? {}).length} variables`, of: "" }
  const named = Object.entries(event.options).filter(([name]) => name !== "cloexec").map(([name, value]) => ({ ...word(name, value), name }))
  return [...given, ...named]
}

export const line = (event, known) => {
  const told = words(event, known).map(({ text, of, name }) => (name ? `${name}=` : "") + text + (of ? `<${of}>` : ""))
  return event.call === "begin" ? "begin: how the world was before" : `${event.call}(${told.join(", ")})${outcome(event)}`
}

export const outcome = event => {
  if (event.errno) return `: ${(ERRORS[event.errno] ?? [`errno ${event.errno}`, ""]).filter(Boolean).join(", ")}`
  return [null, undefined, 0].includes(event.result) ? "" : ` = ${plain(event.result)}`
}

// Calls that only look or tidy: a newcomer may want them out of the way.
const QUIET = new Set(["openat2", "openat", "open", "dup", "fcntl", "stat", "close", "mkdir", "symlink", "getpid", "waitid"])
export const quiet = event => QUIET.has(event.call) || event.errno !== 0

// The lines of a recording, each told when it is asked for. What each descriptor was opened for is found
// out once, in a walk through all of them.
const told = new WeakMap()
export const lines = events => {
  if (!told.has(events)) told.set(events, new Lines(events))
  return told.get(events)
}

const MAKES = new Set(["socket", "socketpair", "signalfd", "memfd_create", "pipe2", "eventfd", "pidfd_open", "accept"])
const OPENS = new Set(["open", "openat", "openat2", "open_tree", "fsopen", "fsmount"])

class Lines {
  constructor(events) {
    this.events = events
    this.known = []  // of each event: {descriptor: what it stands for}, where it has some
    this.text = []
    const opened = new Map(), makers = new Map()
    events.forEach((event, index) => {
      if (!opened.has(event.side)) opened.set(event.side, new Map())
      if (event.call === "clone3" && !event.errno) makers.set("child", event.side)
      if (event.makes) makers.set(event.makes, event.side)
      const own = opened.get(event.side), above = opened.get(makers.get(event.side))
      const known = fd => own.get(fd) ?? above?.get(fd) ?? ""
      const fds = [...event.args.slice(0, 2), event.options.dir_fd, event.options.userns_fd].filter(Number.isInteger)
      if (fds.length) this.known[index] = new Map(fds.map(fd => [fd, known(fd)]))
      if (!event.errno) remember(event, own, known)
    })
  }

  at(index) { return this.text[index] ??= line(this.events[index], fd => this.known[index]?.get(fd) ?? "") }
}

const remember = (event, own, known) => {
  if (OPENS.has(event.call)) {
    const folder = known(event.options.dir_fd ?? event.args[0])
    const path = event.args.find(arg => typeof arg === "string") ?? ""
    const short = path.startsWith("/") || !folder ? path : path ? `${folder}/${path}`.replace("//", "/") : folder
    own.set(event.result, event.call === "fsmount" ? known(event.args[0]) : short.slice(0, LONG))
  } else if (event.call === "move_mount") own.set(event.args[0], known(event.args[1]))
  else if (MAKES.has(event.call)) for (const fd of [event.result].flat()) own.set(fd, event.call)
  else if (event.call === "close") own.set(event.args[0], "")
}
