// Namespaces as nested boxes: the host's, in it what is the container's own, and who lives where.
import { html, layerClass } from "./dom.js"

const KINDS = { // in the order of the chapters: what it is of, and whose layer
  pid: ["processes", "clone"], uts: ["hostname", "hostname"], mnt: ["mounts", "mounts"], user: ["users", "namespaces"],
  ipc: ["IPC", "namespaces"], net: ["network", "namespaces"], cgroup: ["cgroups", "namespaces"], time: ["time", "namespaces"],
}

export const Namespaces = ({ state, changes }) => {
  const inside = Object.values(state.processes).filter(process => process.side !== "parent" && process.alive)
  const child = state.processes[state.subject] ?? inside[0]
  const spaces = child ? child.namespaces : {}
  const own = Object.keys(KINDS).filter(kind => spaces[kind] && spaces[kind].id !== `${kind}:0`)
  const shared = Object.keys(KINDS).filter(kind => !own.includes(kind))
  const at = process => Object.keys(KINDS).every(kind => process.namespaces[kind].id === `${kind}:0`)
  const fresh = Object.keys(state.processes).some(side => changes.below("processes", side, "namespaces")) || changes.below("namespaces")
  return html`<section class=${`card namespaces wide${fresh ? " fresh" : ""}`} aria-labelledby="namespaces"><h2 id="namespaces">Namespaces <span class="sum">${own.length} of 8 are its own</span></h2>
    <div class="box host"><p class="label">the host <${Facts} state=${state} spaces=${null} /></p>
      <p class="who">${Object.values(state.processes).filter(process => process.alive && at(process)).map(process => html`<${Who} process=${process} changes=${changes} />`)}</p>
      ${child ? html`<div class=${`box container${own.length ? "" : " empty"}`}>
        <p class="label">${child.side}${own.length ? "'s own" : ": nothing of its own yet"}</p>
        <div class="tiles">${own.map(kind => html`<div key=${kind} class=${`tile ${layerClass(KINDS[kind][1])}${isNew(changes, child, kind) ? " fresh" : ""}`}>
          <b>${KINDS[kind][0]}</b> <span class="id">${spaces[kind].how} ${spaces[kind].id}</span><${Facts} state=${state} spaces=${spaces} kind=${kind} /></div>`)}</div>
        <p class="who">${inside.filter(process => !at(process)).map(process => html`<${Who} process=${process} changes=${changes} />`)}</p>
      </div>
      ${shared.length ? html`<p class="shared">Shared with the host: ${shared.map(kind => html`<span class="tile open">${KINDS[kind][0]}</span>`)}</p>` : html`<p class="shared calm">Nothing is shared with the host.</p>`}`
    : html`<p class="hint">All eight kinds are the host's: there is no container yet.</p>`}
    </div></section>`
}

const isNew = (changes, child, kind) => changes.below("processes", child.side, "namespaces", kind) || changes.below("namespaces", child.namespaces[kind].id)

const Who = ({ process, changes }) => html`<span class=${`person${changes.below("processes", process.side) ? " fresh" : ""}`}>${process.side}${process.inits ? ", PID 1 inside" : ""}${process.pid ? ` (${process.pid})` : ""}${process.program ? `: ${process.program.slice(0, 80)}` : ""}</span>`

// What a namespace holds, in a line.
const Facts = ({ state, spaces, kind }) => {
  if (!spaces) return html`<span class="id">${state.namespaces["uts:0"].hostname}</span>`
  const space = state.namespaces[spaces[kind].id]
  if (!space) return null
  if (space.path) return html`<p>was there before: ${space.path}</p>`
  if (kind === "uts") return html`<p>${space.hostname}</p>`
  if (kind === "mnt") return html`<p>${Object.values(state.mounts).filter(mount => mount.namespace === spaces.mnt.id).length} mounts</p>`
  if (kind === "net") return html`<p>${Object.entries(space.links).map(([name, link]) => [name, "is", link.up ? "up:" : "down", ...link.up ? link.addresses ?? [] : []].join(" ").replace(/:$/, "")).join(", ") || "empty"}</p>`
  if (kind === "user") return html`<${Maps} maps=${space.maps} />`
  return null
}

const Maps = ({ maps }) => {
  const lines = maps.uid.slice(0, 4)
  if (!lines.length) return html`<p>nobody is mapped yet</p>`
  return lines.map(([inside, outside, count]) => html`<p>${inside}${count > 1 ? html`\u2026${inside + count - 1}` : null} inside is ${outside}${count > 1 ? html`\u2026${outside + count - 1}` : null} outside</p>`)
}
