// Where a path leads: places, mounts on top of mounts, and what /proc/PID/mountinfo would say.
import { Unknown, get, need } from "./data.js"

const AT_FDCWD = -100
const MAGIC = /^\/proc\/(?:self|thread-self)\/fd\/(\d+)(?=\/|$)/

// A file or directory: a mount, and the path below that mount's root ("" is the root).
export const place = (mount, path = "") => ({ mount, path })
export const samePlace = (one, other) => one.mount === other.mount && one.path === other.path

// The mounts that hang from each: asked often, so looked up once for each state of the mounts.
const indexes = new WeakMap()
const hanging = (mounts, parent) => {
  if (!indexes.has(mounts)) {
    const found = new Map()
    for (const [id, mount] of Object.entries(mounts)) {
      if (mount.parent === null) continue
      if (!found.has(mount.parent)) found.set(mount.parent, [])
      found.get(mount.parent).push({ id, at: mount.at })
    }
    indexes.set(mounts, found)
  }
  return indexes.get(mounts).get(parent) ?? []
}
export const on = (state, mount, path) => hanging(state.mounts, mount).find(({ at }) => at === path)?.id ?? null

// The place that one really sees: the root of the uppermost mount that hangs there.
export const top = (state, where) => {
  for (let above; (above = on(state, where.mount, where.path)) !== null;) where = place(above)
  return where
}

// The place that a path leads to. Links are not followed: a recording does not know them.
export const walk = (state, process, path, start = null) => {
  const { root } = process, { from, rest } = behind(process, path) ?? { from: start, rest: path }
  let here = rest.startsWith("/") ? root : from ?? process.cwd
  for (const name of rest.split("/")) {
    if (name === "..") here = above(state, root, here)
    else if (name !== "" && name !== ".") here = top(state, place(here.mount, `${here.path}/${name}`))
  }
  return here
}

// Of a link to where a descriptor stands: that place, and the rest of the path; null if it is none.
const behind = (process, path) => {
  const [link, fd] = MAGIC.exec(path) ?? []
  const found = get(process.descriptors, fd, {})
  if (found.kind !== "place" && found.kind !== "mount") return null
  return { from: found.place ?? place(found.mount), rest: path.slice(link.length).replace(/^\/+/, "") }
}

// The directory above a place; the root's is itself.
const above = (state, root, here) => {
  while (!samePlace(here, root) && here.path === "") {
    const mount = need(state.mounts, here.mount)
    if (mount.parent === null) return here
    here = place(mount.parent, mount.at)
  }
  return samePlace(here, root) ? here : place(here.mount, here.path.slice(0, Math.max(0, here.path.lastIndexOf("/"))))
}

// Where a relative path begins, of a descriptor or AT_FDCWD.
export const start = (state, process, fd) => {
  if (fd === null || fd === AT_FDCWD) return process.cwd
  const found = get(process.descriptors, String(fd), {})
  if (found.kind === "place") return found.place
  if (found.kind === "mount") return place(found.mount)
  throw new Unknown(`${fd} leads nowhere`)
}

// The path of a place in its file system.
export const sourceOf = (state, where) => join(need(state.mounts, where.mount).root, where.path)

export const join = (one, other) => one.replace(/\/+$/, "") + other || "/"

export const inside = (path, above) => path === above || path.startsWith(`${above.replace(/\/+$/, "")}/`)

// The mounts that a process can see from its root.
export const visible = (state, { root }) => [root.mount, ...below(state, root)]

// The mounts that hang at or below a place, itself left out, those above first.
export const below = (state, where) => hanging(state.mounts, where.mount).flatMap(({ id, at }) =>
  inside(at, where.path) ? [id, ...below(state, place(id))] : [])
