// What the older calls about mounts make of the state, and those that change root and directory.
import { Unknown, arg, has, need, number, put, text } from "./data.js"
import { PROPAGATION, propagated } from "./mounts.js"
import { place, samePlace, start, top, walk } from "./paths.js"
import { attributes } from "./start.js"
import { attach, change, cloneTree, collect, newFilesystem, shown, subtree } from "./trees.js"

const REMOUNT = 32, BIND = 4096, MOVE = 8192, REC = 16384, NOFOLLOW = 8

// mount(2), which is five calls in one.
export const mount = (state, event, process) => {
  const [source, path, fstype, given, data] = [0, 1, 2, 3, 4].map(n => arg(event, n))
  const flags = number(given || 0), where = top(state, walk(state, process, text(path)))
  const kind = Object.keys(PROPAGATION).find(kind => has(flags, Number(kind)))
  if (has(flags, REMOUNT)) return change(state, [where.mount], { attributes: attributes(flags & 15) })
  if (kind && !has(flags, BIND) && !has(flags, MOVE)) {
    const names = has(flags, REC) ? subtree(state, where.mount) : [where.mount]
    return names.reduce((next, name) => change(next, [name], { propagation: propagated(need(next.mounts, name).propagation, kind) }), state)
  }
  if (has(flags, BIND)) {
    const { state: next, name } = cloneTree(state, walk(state, process, text(source)), has(flags, REC))
    return attach(next, name, where)
  }
  if (has(flags, MOVE)) {
    const moved = walk(state, process, text(source))
    if (moved.path) throw new Unknown("no mount to move")
    return attach(state, moved.mount, where)
  }
  const options = typeof data === "string" ? { data } : {}
  const { state: next, name } = newFilesystem(state, text(fstype), typeof source === "string" ? source : "none", flags & 15, options,
    shown(state, process, fstype, options.data))
  return attach(next, name, where)
}

// The root mount and a new one change places; who stood in the old root stands in the new one.
export const pivot_root = (state, event, process) => {
  const fresh = walk(state, process, text(arg(event, 0))).mount, putOld = walk(state, process, text(arg(event, 1)))
  const old = process.root.mount, { parent, at, namespace } = need(state.mounts, old)
  if (fresh === old || need(state.mounts, fresh).namespace !== namespace) throw new Unknown("no two mounts of this namespace")
  if (!subtree(state, old).includes(fresh)) throw new Unknown("the new root is not below the old one") // or mounts would hang in a circle
  let next = change(state, [fresh], { parent, at })
  next = change(next, [old], { parent: null, at: "" })
  const where = top(next, putOld)
  if (!subtree(next, fresh).includes(where.mount)) throw new Unknown("the place for the old root is not in the new one")
  next = change(next, [old], { parent: where.mount, at: where.path })
  if (namespace && need(next.namespaces, namespace).root === old) next = put(next, "namespaces", namespace, "root", fresh)
  for (const [side, other] of Object.entries(state.processes)) {
    for (const name of ["root", "cwd"]) {
      if (samePlace(other[name], place(old))) next = put(next, "processes", side, name, place(fresh))
    }
  }
  return next
}

export const umount2 = (state, event, process) => {
  let where = walk(state, process, text(arg(event, 0)))
  if (!has(number(arg(event, 1, 0)), NOFOLLOW) || where.path === "") where = top(state, where)
  if (where.path) throw new Unknown("nothing is mounted there")
  const { parent, namespace } = need(state.mounts, where.mount)
  if (parent === null && namespace) throw new Unknown("the root of a namespace stays")
  return collect(change(state, subtree(state, where.mount), { namespace: null, parent: null, at: "" }))
}

export const chdir = (state, event, process) =>
  put(state, "processes", process.side, "cwd", walk(state, process, text(arg(event, 0))))

export const fchdir = (state, event, process) =>
  put(state, "processes", process.side, "cwd", start(state, process, number(arg(event, 0))))

export const chroot = (state, event, process) =>
  put(state, "processes", process.side, "root", walk(state, process, text(arg(event, 0))))
