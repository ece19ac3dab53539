// Two recordings side by side: each walks on its own; below, in what the two states differ.
import { closings, events, moment, recording, step } from "../store/selectors.js"
import { differ } from "../store/changes.js"
import { jumpTo } from "../actions.js"
import { properties } from "../words/properties.js"
import { Call } from "./call.js"
import { html, layerClass, useMemo, useSelect, useStore } from "./dom.js"
import { Timeline } from "./timeline.js"
import { Transport } from "./transport.js"

const MANY = 60

const list = names => names.length > 6 ? `${names.slice(0, 5).join(", ")} and ${names.length - 5} more` : names.join(", ") || "\u2013"

export const Compare = ({ left, right }) => html`<div class="compare">
  ${[left, right].map(id => html`<section class="half" key=${id} aria-label=${`Recording ${id + 1}`}><${Title} id=${id} /><${Transport} id=${id} /><${Call} id=${id} /><${Timeline} id=${id} /></section>`)}
  <${Closed} left=${left} right=${right} /><${OnlyIn} left=${left} right=${right} /><${Differences} left=${left} right=${right} /></div>`

const Title = ({ id }) => html`<h2 class="half-title">${useSelect(state => recording(state, id).name)}</h2>`

// Which call closes which wall, in either.
const Closed = ({ left, right }) => {
  const store = useStore()
  const ends = [left, right].map(id => useSelect(state => closings(state, id)))
  const titles = [left, right].map(id => useSelect(state => recording(state, id).name))
  const calls = [left, right].map(id => useSelect(state => events(state, id)))
  const cell = (side, name) => {
    const found = ends[side][name]
    if (!found?.closed || found.by === null) return html`<td class="no">open</td>`
    return html`<td><button class="plain" onClick=${() => store.dispatch(jumpTo([left, right][side], found.by + 1))}>#${found.by + 1} ${calls[side][found.by]?.call.slice(0, 40)}</button></td>`
  }
  return html`<section class="card"><h2>Which call closes which wall</h2><div class="scroll" tabindex="0" role="group" aria-label="Walls, as a table"><table><thead><tr><th>wall</th>${titles.map(title => html`<th>${title}</th>`)}</tr></thead>
    <tbody>${properties.map(([name, , meaning]) => html`<tr class=${Boolean(ends[0][name]?.closed) === Boolean(ends[1][name]?.closed) ? "" : "differs"}><th scope="row" title=${meaning}>${name}</th>${cell(0, name)}${cell(1, name)}</tr>`)}</tbody></table></div></section>`
}

// The kinds of call that only one of them makes, or makes more often.
const OnlyIn = ({ left, right }) => {
  const [one, other] = [left, right].map(id => useSelect(state => events(state, id)))
  const rows = useMemo(() => {
    const counts = [one, other].map(count)
    return [...new Set([...counts[0].keys(), ...counts[1].keys()])].map(key => ({ key, counts: counts.map(map => map.get(key) ?? 0) }))
      .filter(({ counts: [a, b] }) => a !== b).sort((a, b) => (a.key < b.key ? -1 : 1))
  }, [one, other])
  return html`<section class="card"><h2>Calls that one makes more often</h2>
    ${rows.length ? html`<ul class="only">${rows.slice(0, MANY).map(({ key, counts: [a, b] }) => html`<li class=${layerClass(key.split(" ")[0])}><span class="dot"></span>${key.slice(0, 60)} <b>${a}</b> : <b>${b}</b></li>`)}</ul>` : html`<p class="hint">None: both make the same calls, equally often.</p>`}</section>`
}
const count = events => {
  const found = new Map()
  for (const { layer, call } of events) {
    const key = layer ? `${layer} ${call}` : call
    found.set(key, (found.get(key) ?? 0) + 1)
  }
  return found
}

const Differences = ({ left, right }) => {
  const states = [left, right].map(id => useSelect(state => moment(state, id).after))
  const steps = [left, right].map(id => useSelect(state => step(state, id)))
  const titles = [left, right].map(id => useSelect(state => recording(state, id).name))
  const rows = useMemo(() => {
    const found = []
    const whole = states.map(comparable)
    differ(whole[0], whole[1], (path, was, is) => found.push({ path, was, is }))
    return found
  }, states)
  return html`<section class="card wide"><h2>In what the two states differ <span class="sum">#${steps[0]} and #${steps[1]}</span></h2>
    <div class="scroll" tabindex="0" role="group" aria-label="Differences, as a table"><table class="differences"><thead><tr><th>what</th>${titles.map(title => html`<th>${title}</th>`)}</tr></thead><tbody>${rows.slice(0, MANY).map(({ path, was, is }) => html`<tr><th scope="row">${path.join(" ")}</th><td>${short(was, is)}</td><td>${short(is, was)}</td></tr>`)}</tbody></table></div>
    ${rows.length > MANY ? html`<p class="hint">and ${rows.length - MANY} more</p>` : rows.length ? null : html`<p class="hint">In nothing.</p>`}</section>`
}

// What two runs can be compared by: the child alone, without numbers that are different each time.
const comparable = state => {
  const { pid, maker, descriptors, cgroup, root, cwd, namespaces, uid, gid, ...rest } = state.processes[state.subject] ?? state.processes.parent
  const kinds = Object.fromEntries(Object.entries(namespaces).map(([kind, { id, how }]) => [kind, id === `${kind}:0` ? "the host's" : how]))
  const limits = Object.fromEntries(Object.values(state.cgroups).flatMap(({ limits }) => Object.entries(limits)))
  const filters = rest.filters.map(({ allowed = [], errno = [], killed = [] }) => `${allowed.length} calls allowed, ${errno.length + killed.length} refused`).join("; ")
  return { ...rest, filters, namespaces: kinds, "root outside": uid[0] === 0, limits, walls: Object.fromEntries(Object.entries(state.properties).map(([name, { closed }]) => [name, closed ? "closed" : "open"])),
    "file systems": Object.values(state.mounts).filter(({ namespace }) => namespace === namespaces.mnt.id).map(({ fstype }) => fstype).sort().join(" ") }
}
// Of lists only what the other has not.
const short = (value, other) => {
  if (Array.isArray(value) && Array.isArray(other) && value.every(item => typeof item === "string")) {
    return list(value.filter(item => !other.includes(item)))
  }
  const text = value === undefined ? "\u2013" : typeof value === "string" ? value : JSON.stringify(value)
  return text.length > 120 ? `${text.slice(0, 120)}\u2026` : text
}
