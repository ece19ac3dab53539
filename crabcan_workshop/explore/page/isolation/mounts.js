// What the calls about mounts make of the state (mount_namespaces(7), pivot_root(2)).
import { Unknown, arg, get, has, need, newId, number, option, put, text } from "./data.js"
import { below, place, sourceOf, start, top, walk } from "./paths.js"
import { attributes, bitsOf } from "./start.js"

const CLONE = 1, RECURSIVE = 0x8000, EMPTY_PATH = 0x1000, IDMAP = 0x100000
export const PROPAGATION = { [1 << 17]: "unbindable", [1 << 18]: "private", [1 << 19]: "slave", [1 << 20]: "shared" }

// Mounts once more, not attached: {state, copies: {old id: new id}}. The first of them is the root.
export const copy = (state, names, namespace = null) => {
  const copies = {}, all = { ...state.mounts }
  let next = Number(newId(all, "m").slice(1))
  for (const name of names) {
    const mount = need(state.mounts, name), known = Object.hasOwn(copies, mount.parent)
    copies[name] = `m${next++}`
    all[copies[name]] = { ...mount, namespace, parent: known ? copies[mount.parent] : null, at: known ? mount.at : "" }
  }
  return { state: { ...state, mounts: all }, copies }
}

// A mount and all that hang from it, those above first.
export const subtree = (state, name) => [name, ...below(state, place(name))]

// Sets the same fields of some mounts.
export const change = (state, names, fields) => {
  const mounts = { ...state.mounts }
  for (const name of names) mounts[name] = { ...need(mounts, name), ...fields }
  return { ...state, mounts }
}

// A second view of the files at a place, not attached: {state, name}.
export const cloneTree = (state, where, recursive) => {
  const names = [where.mount, ...recursive ? below(state, where) : []]
  const shown = sourceOf(state, where)
  const { state: copied, copies } = copy(state, names)
  let next = copied
  for (const name of names.slice(1)) {
    const { parent, at } = next.mounts[name]
    if (parent === where.mount) next = change(next, [copies[name]], { at: at.slice(where.path.length) })
  }
  return { state: change(next, [copies[where.mount]], { root: shown }), name: copies[where.mount] }
}

// Hangs a mount, and what hangs from it, at a place.
export const attach = (state, name, place) => {
  const where = top(state, place), onto = need(state.mounts, where.mount), moved = subtree(state, name)
  if (moved.includes(where.mount)) throw new Unknown("a mount cannot hang from itself")
  let next = change(state, moved, { namespace: onto.namespace })
  next = change(next, [name], { parent: where.mount, at: where.path })
  if (!onto.propagation.split(" ").includes("shared")) return next
  return moved.reduce((after, each) => change(after, [each], {
    propagation: after.mounts[each].propagation.includes("slave") ? "shared slave" : "shared",
  }), next)
}

// Forgets the mounts that are attached to nothing and that nobody holds any more.
export const collect = state => {
  const loose = Object.keys(state.mounts).filter(name => state.mounts[name].namespace === null && state.mounts[name].parent === null)
  if (!loose.length) return state
  const held = new Set()
  for (const process of Object.values(state.processes)) {
    held.add(process.root.mount).add(process.cwd.mount)
    for (const found of Object.values(process.descriptors)) held.add(found.mount).add(found.place?.mount)
  }
  const trees = loose.map(name => subtree(state, name)).filter(tree => !tree.some(name => held.has(name)))
  if (!trees.length) return state
  const gone = new Set(trees.flat())
  return { ...state, mounts: Object.fromEntries(Object.entries(state.mounts).filter(([name]) => !gone.has(name))) }
}

// A mount of a file system that was made here, not attached: {state, name}.
export const newFilesystem = (state, fstype, source, bits, options) => {
  const name = newId(state.mounts, "m")
  return { name, state: put(state, "mounts", name, {
    namespace: null, parent: null, at: "", root: "/", fstype, source, device: `new:${state.events}`,
    attributes: attributes(bits), propagation: "private", options, idmapped: false,
  }) }
}

// The mount that a call is about: by a path, or by the descriptor alone.
const target = (state, process, event, flags) => {
  const path = text(arg(event, 0)), begin = start(state, process, option(event, "dir_fd"))
  return path === "" && has(flags, EMPTY_PATH) ? begin : walk(state, process, path, begin)
}

// Whether an execve will close it: ours all are, so a call says only if not.
export const cloexec = event => Boolean(get(event.options, "cloexec", true))

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
  const moved = get(process.descriptors, String(arg(event, 0)), {})
  const where = start(state, process, number(arg(event, 1)))
  if (moved.kind === "mount") return attach(state, moved.mount, where)
  if (moved.kind === "place" && moved.place.path === "") return attach(state, moved.place.mount, where)
  throw new Unknown("no mount to move")
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
  const { state: next, name } = newFilesystem(state, fstype, source, number(arg(event, 1)), options)
  return hold(next, process, event, { kind: "mount", mount: name })
}
