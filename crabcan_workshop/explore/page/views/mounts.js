// The mount tree of the namespace in which a process lives; and the trees that hang nowhere yet.
import { tree } from "../words/mounts.js"
import { html, useState } from "./dom.js"
import { Panel } from "./panel.js"

const MANY = 40

export const Mounts = ({ state, process, changes }) => {
  const [all, setAll] = useState(false)
  const namespace = process.namespaces.mnt.id
  const rows = tree(state, namespace)
  const loose = Object.entries(state.mounts).filter(([, mount]) => mount.namespace === null && mount.parent === null)
  const fresh = ({ id }) => changes.below("mounts", id)
  const shown = all || rows.length <= MANY ? rows : rows.filter((row, place) => place < MANY || fresh(row))
  return html`<${Panel} title="Mounts" sum=${`${rows.length}${namespace === "mnt:0" ? ", the host's" : `, its own (${namespace})`}`} wide fresh=${rows.some(fresh) || loose.some(([id]) => changes.below("mounts", id))}>
    <ul class="mounts" tabindex="0" aria-label="The mount tree">${shown.map(row => html`<${Mount} key=${row.id} row=${row} fresh=${fresh(row)} root=${process.root} />`)}</ul>
    ${shown.length < rows.length ? html`<button class="plain" onClick=${() => setAll(true)}>Show all ${rows.length}</button>` : null}
    ${loose.length ? html`<h4>Held open, attached nowhere</h4><ul class="mounts">${loose.map(([id, mount]) => html`<${Mount} key=${id}
      row=${{ id, mount, depth: 0, path: shows(mount) }} fresh=${changes.below("mounts", id)} root=${process.root} />`)}</ul>` : null}<//>`
}

const shows = mount => mount.root === "/" ? `(a ${mount.fstype})` : mount.root

const Mount = ({ row: { id, mount, depth, path }, fresh, root }) => html`<li class=${fresh ? "fresh" : ""} style=${`padding-left:${Math.min(depth, 6) * 1.1 + 0.4}rem`}>
  <b>${path}</b> <span class="kind">${mount.fstype || "?"}</span>${mount.root !== "/" ? html` <span class="hint">shows ${mount.root}</span>` : null}
  ${mount.source && mount.source !== mount.fstype && mount.source !== "none" ? html` <span class="hint">of ${mount.source}</span>` : null}
  ${root.mount === id ? html` <span class="chip">root of the process</span>` : null}
  <span class="tags">${mount.attributes.map(name => html`<span class="tag">${name}</span>`)}${mount.idmapped ? html`<span class="tag">idmapped</span>` : null}${mount.propagation !== "private" ? html`<span class="tag leak">${mount.propagation}</span>` : null}</span></li>`
