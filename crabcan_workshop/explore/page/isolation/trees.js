// Trees of mounts: copied, changed, hung somewhere, forgotten. What the calls about mounts are made of.
import { Unknown, get, need, newId, put } from "./data.js"
import { below, place, sourceOf, top } from "./paths.js"
import { attributes } from "./start.js"

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
export const newFilesystem = (state, fstype, source, bits, options, root = "/") => {
  const name = newId(state.mounts, "m")
  return { name, state: put(state, "mounts", name, {
    namespace: null, parent: null, at: "", root, fstype, source, device: `new:${state.events}`,
    attributes: attributes(bits), propagation: "private", options, idmapped: false,
  }) }
}

// What of a file system one sees who mounts it: of cgroups, those from one's own namespace's root on.
export const shown = (state, process, fstype, data = "") => {
  const words = data.split(","), mine = { cgroup2: names => names === "", cgroup: names => names.split(",").some(name => name && words.includes(name)) }
  const roots = need(state.namespaces, process.namespaces.cgroup.id).roots
  return Object.entries(roots).find(([names]) => get(mine, fstype, () => false)(names))?.[1] ?? "/"
}
