// What the calls about networks make of the state (netdevice(7), rtnetlink(7)).
import { Unknown, arg, get, has, need, put, text, truth } from "./data.js"

const SIOCSIFFLAGS = 0x8914, IFF_UP = 1
const LOOPBACK = { up: true, addresses: ["127.0.0.1/8", "::1/128"], peer: null }

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

// A request of chapter 11's, by the words of ip(8) that say the same.
export const netlink = (state, event, process) => {
  const words = text(arg(event, 1)).split(" ").filter(word => !["", "ip", "-4", "-6"].includes(word))
  const deed = get(DEEDS, words.slice(0, 2).join(" "))
  return deed ? deed(state, process, words.slice(2)) : state
}

// What a program beside us has made of the child's network, a command of ip(8) a line.
export const pasta = (state, event) => text(arg(event, 0)).split("\n").reduce((next, line) =>
  netlink(next, { ...event, args: ["", line] }, need(next.processes, next.subject)), state)

const after = (words, key) => words.includes(key) ? words[words.indexOf(key) + 1] ?? null : null

const first = words => {
  if (!words.length) throw new Unknown("nothing is named")
  return words[0]
}

// The network namespaces that a process has to do with: its own, and that of who is made.
const spaces = (state, process) => [process, get(state.processes, state.subject, process)].map(({ namespaces }) => namespaces.net.id)

// The namespace in which a link is known; else the process's own.
const home = (state, process, name) => {
  const [own, other] = spaces(state, process), knows = space => Object.hasOwn(state.namespaces[space].links, name)
  return !knows(own) && knows(other) ? other : own
}

// A link; of a pair the second is the child's.
const added = (state, process, words) => {
  const at = words.includes("peer") ? words.indexOf("peer") : words.length
  const mine = words.slice(0, at), theirs = words.slice(at), name = after(mine, "name"), peer = after(theirs, "name")
  if (name === null) throw new Unknown("a link without a name")
  const [own, other] = spaces(state, process)
  const made = put(state, "namespaces", own, "links", name, { up: mine.includes("up"), addresses: [], peer })
  if (peer === null) return made
  return put(made, "namespaces", theirs.includes("netns") ? other : own, "links", peer, { up: false, addresses: [], peer: name })
}

// Up or down.
const changed = (state, process, words) => {
  const name = first(words), place = home(state, process, name)
  const found = get(state.namespaces[place].links, name, { addresses: [], peer: null })
  return put(state, "namespaces", place, "links", name, { ...found, up: words.includes("up") })
}

const addressed = (state, process, words) => {
  const address = first(words), name = after(words, "dev")
  if (name === null) throw new Unknown("an address without a link")
  const place = home(state, process, name), found = get(state.namespaces[place].links, name, { up: false, addresses: [], peer: null })
  return put(state, "namespaces", place, "links", name, { ...found, addresses: [...found.addresses, address] })
}

// A route goes where the last link was made: once the child has one, that is its own namespace.
const routed = (state, process, words) => {
  const [own, other] = spaces(state, process), place = Object.keys(state.namespaces[other].links).length > 1 ? other : own
  return put(state, "namespaces", place, "routes", [...state.namespaces[place].routes, words.join(" ")])
}

const DEEDS = { "link add": added, "tuntap add": added, "link set": changed, "address add": addressed, "route add": routed }
