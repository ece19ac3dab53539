// Where mounts hang: paths as the processes of a namespace would say them.

export const join = (above, below) => {
  const path = `${above}/${below}`.replace(/\/+/g, "/")
  return path.length > 1 ? path.replace(/\/$/, "") : path
}

export const pathOf = (state, id) => {
  let path = "", seen = 0
  for (let mount = state.mounts[id]; mount; mount = state.mounts[mount.parent]) {
    if (mount.parent === null || mount.parent === undefined || seen++ > 100) break
    path = join(mount.at, path)
  }
  return path || "/"
}

// A place {mount, path} as text; of a mount that hangs nowhere, what it is of.
export const place = (state, where) => {
  if (!where) return "?"
  const mount = state.mounts[where.mount]
  if (!mount) return where.path || "?"
  const above = mount.namespace ? pathOf(state, where.mount) : `(${mount.fstype}, not attached)`
  return where.path ? join(above, where.path) : above
}

// The mounts of a namespace as a tree, in the order in which they came: [{id, mount, depth, path}].
export const tree = (state, namespace) => {
  const below = new Map(), found = []
  for (const [id, mount] of Object.entries(state.mounts)) {
    if (mount.namespace !== namespace) continue
    const parent = state.mounts[mount.parent]?.namespace === namespace ? mount.parent : null
    if (!below.has(parent)) below.set(parent, [])
    below.get(parent).push(id)
  }
  const walk = (parent, depth, above) => {
    for (const id of below.get(parent) ?? []) {
      const mount = state.mounts[id]
      const path = parent === null ? "/" : join(above, mount.at)
      found.push({ id, mount, depth, path })
      if (depth < 100) walk(id, depth + 1, path)
    }
  }
  walk(null, 0, "/")
  return found
}
