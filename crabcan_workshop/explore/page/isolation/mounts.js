// What the newer calls about mounts make of the state (mount_namespaces(7), open_tree(2), fsopen(2)).
import { Unknown, arg, get, has, need, number, option, put, text, truth } from "./data.js"
import { start, walk } from "./paths.js"
import { attributes, bitsOf } from "./start.js"
import { attach, change, cloneTree, newFilesystem, shown, subtree } from "./trees.js"

const CLONE = 1, RECURSIVE = 0x8000, EMPTY_PATH = 0x1000, IDMAP = 0x100000
export const PROPAGATION = { [1 << 17]: "unbindable", [1 << 18]: "private", [1 << 19]: "slave", [1 << 20]: "shared" }

// The mount that a call is about: by a path, or by the descriptor alone.
const target = (state, process, event, flags) => {
  const path = text(arg(event, 0)), begin = start(state, process, option(event, "dir_fd"))
  return path === "" && has(flags, EMPTY_PATH) ? begin : walk(state, process, path, begin)
}

// Whether an execve will close it: ours all are, so a call says only if not.
export const cloexec = event => truth(get(event.options, "cloexec", true))

// Puts what a call has opened behind the descriptor that it returned.
export const hold = (state, process, event, what) =>
  put(state, "processes", process.side, "descriptors", String(number(event.result)), { ...what, cloexec: cloexec(event) })

export const open_tree = (state, event, process) => {
  const flags = number(arg(event, 1)), where = target(state, process, event, flags)
  if (!has(flags, CLONE)) return hold(state, process, event, { kind: "place", place: where })
  const { state: next, name } = cloneTree(state, where, has(flags, RECURSIVE))
  return hold(next, process, event, { kind: "mount", mount: name })
}

export const mount_setattr = (state, event, process) => {
  const flags = number(arg(event, 1)), where = target(state, process, event, flags)
  const names = has(flags, RECURSIVE) ? subtree(state, where.mount) : [where.mount]
  const more = number(option(event, "attr_set", 2, 0)), less = number(option(event, "attr_clr", 6, 0))
  const kind = number(option(event, "propagation", 3, 0))
  return names.reduce((next, name) => {
    const mount = need(next.mounts, name)
    return change(next, [name], {
      attributes: attributes(bitsOf(mount.attributes) & ~less | more & 15),
      propagation: kind ? propagated(mount.propagation, kind) : mount.propagation,
      idmapped: has(more, IDMAP) || mount.idmapped,
    })
  }, state)
}

// A mount's propagation after a change: who leaves a group as a slave stays one when it shares.
export const propagated = (now, kind) => {
  const wanted = need(PROPAGATION, kind)
  if (wanted === "slave") return now.includes("shared") || now.includes("slave") ? "slave" : "private"
  return wanted === "shared" && now.includes("slave") ? "shared slave" : wanted
}

export const move_mount = (state, event, process) => {
  const ends = [["from", 0], ["to", 1]].map(([name, place]) => {
    const at = start(state, process, number(arg(event, place))), path = get(event.options, name, "")
    return truth(path) ? walk(state, process, text(path), at) : at
  })
  if (ends[0].path) throw new Unknown("no mount to move")
  return attach(state, ends[0].mount, ends[1])
}

export const fsopen = (state, event, process) =>
  hold(state, process, event, { kind: "filesystem", fstype: text(arg(event, 0)), options: {}, created: false })

const filesystem = (process, event) => {
  const found = get(process.descriptors, String(arg(event, 0)), {})
  if (found.kind !== "filesystem") throw new Unknown("no file system")
  return found
}

export const fsconfig = (state, event, process) => {
  const command = number(arg(event, 1)), key = arg(event, 2), value = arg(event, 3)
  let found = filesystem(process, event)
  if (command === 6) found = { ...found, created: true }
  else if (command === 0 || command === 1) found = put(found, "options", text(key), command === 0 ? true : text(value))
  return put(state, "processes", process.side, "descriptors", String(arg(event, 0)), found)
}

export const fsmount = (state, event, process) => {
  const { fstype, options: { source = "none", ...options } } = filesystem(process, event)
  const { state: next, name } = newFilesystem(state, fstype, source, number(arg(event, 1)), options, shown(state, process, fstype))
  return hold(next, process, event, { kind: "mount", mount: name })
}
