// A step's changes, as a reader wants to hear them: at most MANY, the walls first.
import { names } from "./properties.js"
import { place } from "./mounts.js"

const MANY = 7
const KINDS = { mnt: "mount", uts: "hostname", pid: "PID", ipc: "IPC", net: "network", user: "user", cgroup: "cgroup", time: "time" }
const SETS = ["effective", "permitted", "inheritable", "bounding", "ambient"]

// [{mark: "+" | "-" | "~", text}]
export const tell = (changes, before, after) => {
  if (before.events === 0) return [] // `begin`: all of it is new, and none of it has happened
  const told = changes.list.flatMap(change => sentence(change, before, after) ?? [])
  const seen = new Set()
  const once = told.filter(({ text }) => !seen.has(text) && seen.add(text))
  const walls = once.filter(({ wall }) => wall), others = once.filter(({ wall }) => !wall)
  const all = [...walls, ...others]
  return all.length <= MANY ? all : [...all.slice(0, MANY - 1), { mark: "~", text: `and ${all.length - MANY + 1} more` }]
}

const plus = text => ({ mark: "+", text })
const minus = text => ({ mark: "-", text })
const other = text => ({ mark: "~", text })
const short = value => {
  const text = typeof value === "string" ? value : JSON.stringify(value)
  return text === undefined ? "nothing" : text.length > 60 ? `${text.slice(0, 60)}\u2026` : text
}

const sentence = ({ path, was, is }, before, after) => {
  const [top, key, field, ...rest] = path
  if (top === "properties" && field === "closed") return { mark: is ? "+" : "-", wall: true, text: `${is ? "closed" : "open again"}: ${names[key] ?? key}` }
  if (top === "properties" || top === "layers") return null
  if (top === "unknown") return other("a call that the explorer does not know: it changes nothing here")
  if (top === "failed") return other("the call failed: nothing has changed")
  if (top === "processes") return ofProcess(key, field, rest, was, is, before, after)
  if (top === "namespaces") return ofNamespace(key, field, rest, was, is, after)
  if (top === "mounts") return ofMount(key, field, was, is, before, after)
  if (top === "cgroups") return ofCgroup(key, field, rest, was, is)
  return other(`${path.join(" ")}: ${short(was)} \u2192 ${short(is)}`)
}

const ofProcess = (side, field, rest, was, is, before, after) => {
  if (field === undefined) return is ? plus(`a new process: ${side}`) : minus(`${side} is gone`)
  if (field === "namespaces") return rest[1] === "id" ? other(`${side}: into ${before.namespaces[is] ? "another" : "a new"} ${KINDS[rest[0]] ?? rest[0]} namespace`) : null
  if (field === "capabilities") {
    if (!SETS.includes(rest[0]) || !Array.isArray(was) || !Array.isArray(is)) return null
    const gone = was.filter(name => !is.includes(name)), come = is.filter(name => !was.includes(name))
    return [...gone.length ? [minus(`${side}'s ${rest[0]} set: ${few(gone)}`)] : [], ...come.length ? [plus(`${side}'s ${rest[0]} set: ${few(come)}`)] : []]
  }
  if (field === "descriptors") {
    if (rest.length > 1) return null
    return is === undefined ? minus(`${side}: descriptor ${rest[0]} closed`) : plus(`${side}: descriptor ${rest[0]}`)
  }
  if (field === "filters") return plus(`${side}: a system call filter`)
  if (field === "rlimits") return other(`${side}: at most ${rest[0]} ${short(was)} \u2192 ${short(is)}`)
  if (field === "no_new_privs") return plus(`${side}: no_new_privs`)
  if (field === "keyring" || field === "session") return other(`${side}: ${field} ${short(was)} \u2192 ${short(is)}`)
  if (field === "root" || field === "cwd") return other(`${side}: ${field === "root" ? "root directory" : "current directory"} is now ${place(after, after.processes[side]?.[field])}`)
  if (field === "program") return plus(`${side} runs ${short(is)}`)
  if (field === "environment") return other(`${side}: ${is ? is.length : "the caller's"} variables`)
  if (field === "alive" && !is) return minus(`${side} has ended`)
  if (["uid", "gid", "groups", "cgroup", "umask", "death_signal"].includes(field)) {
    return other(`${side}: ${field.replace("_", " ")} ${rest.join(" ")} ${short(was)} \u2192 ${short(is)}`.replace("  ", " "))
  }
  return null
}

const few = list => list.length > 3 ? `${list.slice(0, 3).join(", ")} and ${list.length - 3} more` : list.join(", ")

const ofNamespace = (id, field, rest, was, is, after) => {
  if (field === undefined) return is ? plus(`a new ${KINDS[is.kind] ?? is.kind} namespace`) : null
  if (field === "hostname") return other(`hostname: ${short(was)} \u2192 ${short(is)}`)
  if (field === "maps") return plus(`${rest[0]} map: ${(is ?? []).map(([inside, outside, count]) => `${inside} inside is ${outside} outside (${count})`).slice(0, 2).join("; ")}`)
  if (field === "links") return is === undefined ? minus(`network: ${rest[0]}`) : other(`network: ${rest[0]} ${ofLink(rest[1], is)}`)
  if (field === "routes") return other(`network: ${few((is ?? []).filter(route => !(was ?? []).includes(route))) || "fewer routes"}`)
  return field === "setgroups" ? other(`setgroups: ${short(is)}`) : null
}

const ofLink = (field, is) => {
  if (field === "up") return is ? "is up" : "is down"
  if (field === "addresses") return `has ${few(is)}`
  return field === undefined ? [`is ${is.up ? "up" : "down"}`, ...is.addresses].join(", ") : `${field} ${short(is)}`
}

const ofMount = (id, field, was, is, before, after) => {
  if (field === undefined) {
    if (was === undefined) return is.namespace ? plus(`mount ${place(after, { mount: id, path: "" })} (${short(is.fstype)})`) : plus(`a tree of ${short(is.fstype)}, not attached yet`)
    return minus(`mount ${place(before, { mount: id, path: "" })}`)
  }
  const where = place(after, { mount: id, path: "" })
  if (field === "namespace" || field === "parent" || field === "at") return after.mounts[id].namespace ? plus(`mounted at ${where}`) : minus(`${where} is detached`)
  if (field === "attributes") return other(`${where}: ${is.length ? is.join(", ") : "no restrictions"}`)
  if (field === "propagation") return other(`propagation of mounts: ${short(is)}`)
  return null
}

const ofCgroup = (name, field, rest, was, is) => {
  if (field === undefined) return is ? plus(`cgroup ${short(is.path)} (${short(is.controllers)})`) : minus(`cgroup ${short(was.path)}`)
  return field === "limits" ? other(`limit ${rest[0]}: ${short(is)}`) : null
}
