// The state of the isolation, panel by panel. What the step has changed is marked.
import { moment } from "../store/selectors.js"
import { sideChosen } from "../store/looks.js"
import { standsFor } from "../words/descriptors.js"
import { place } from "../words/mounts.js"
import { Still, html, useSelect, useStore } from "./dom.js"
import { Mounts } from "./mounts.js"
import { Namespaces } from "./namespaces.js"
import { Panel } from "./panel.js"
import { Powers } from "./powers.js"

// Whose state: the reader's choice, or who there is.
export const chosen = (state, side) => state.processes?.[side] ?? state.processes?.child ?? state.processes?.parent

export const State = ({ id }) => {
  const now = useSelect(state => moment(state, id)), side = useSelect(state => state.looks.side)
  const { after, changes } = now
  const process = chosen(after, side)
  if (!process) return null
  const own = (...path) => changes.below("processes", process.side, ...path)
  const key = (...path) => changes.key("processes", process.side, ...path)
  const panel = (View, ...on) => html`<${Still} on=${[process.side, ...on]}
    draw=${() => html`<${View} state=${after} process=${process} own=${own} changes=${changes} last=${after.last} />`} />`
  return html`<div class="state">
    ${panel(Namespaces, after.namespaces, after.processes, after.mounts, changes.key("namespaces"), changes.key("processes"))}
    <${Sides} state=${after} process=${process} />
    ${panel(Process, process, after.mounts, key())}
    ${panel(Mounts, after.mounts, process.root, process.namespaces, changes.key("mounts"))}
    ${panel(Powers, process.capabilities, process.namespaces, key("capabilities"))}
    ${panel(Filter, process.filters, key("filters"))}
    ${panel(Limits, process.rlimits, process.cgroup, after.cgroups, key("rlimits"), key("cgroup"), changes.key("cgroups"))}
    ${panel(Descriptors, process.descriptors, after.mounts, key("descriptors"))}
  </div>`
}

const Sides = ({ state, process }) => {
  const store = useStore()
  const sides = Object.keys(state.processes)
  return html`<div class="sides" role="group" aria-label="Whose state">Below: the state of
    ${sides.map(side => html`<button aria-pressed=${side === process.side} onClick=${() => store.dispatch(sideChosen(side))}>${side}</button>`)}
    ${sides.length === 1 ? html`<span class="hint">There is no container yet: it is made by clone3.</span>` : null}</div>`
}

const Fact = ({ name, fresh, children }) => html`<div class=${fresh ? "fresh" : ""}><dt>${name}</dt><dd>${children}</dd></div>`

const ids = list => [...new Set(list)].join(", ")

const Process = ({ state, process, own }) => {
  const fresh = ["pid", "uid", "gid", "groups", "root", "cwd", "no_new_privs", "keyring", "session", "program", "environment", "alive", "umask", "death_signal"].some(name => own(name))
  return html`<${Panel} title="Process" sum=${process.alive ? "" : "has ended"} fresh=${fresh}>
    <dl class="facts">
      <${Fact} name="number" fresh=${own("pid")}>${process.inits ? html`1 inside, ${process.pid} for the host` : process.pid}<//>
      <${Fact} name="user, for the host" fresh=${own("uid")}>${ids(process.uid)}${process.uid[0] === 0 ? " (root)" : ""}<//>
      <${Fact} name="group" fresh=${own("gid") || own("groups")}>${ids(process.gid)}${process.groups.length ? `, and ${ids(process.groups)}` : ""}<//>
      <${Fact} name="root directory" fresh=${own("root")}>${rootText(state, process)}<//>
      <${Fact} name="stands in" fresh=${own("cwd")}>${place(state, process.cwd)}<//>
      <${Fact} name="no_new_privs" fresh=${own("no_new_privs")}>${process.no_new_privs ? "yes: no program gives more" : "no"}<//>
      <${Fact} name="keyring" fresh=${own("keyring")}>${process.keyring === "own" ? "its own" : "the caller's"}<//>
      <${Fact} name="session" fresh=${own("session")}>${process.session === "own" ? "its own" : "the caller's"}<//>
      <${Fact} name="runs" fresh=${own("program")}>${process.program ?? "still our own code"}<//>
      <${Fact} name="variables" fresh=${own("environment")}>${process.environment ? process.environment.join(" ") || "none" : "the caller's"}<//>
    </dl><//>`
}

const rootText = (state, process) => {
  const mount = state.mounts[process.root.mount]
  return mount ? `${place(state, process.root)} (${mount.fstype || "?"} of ${mount.source || "?"})` : "?"
}

const Filter = ({ process, own }) => {
  const { filters } = process
  return html`<${Panel} title="System call filter" sum=${filters.length ? `${filters.length} active` : "none"} fresh=${own("filters")}>
    ${filters.length ? filters.map(filter => html`<${OneFilter} filter=${filter} />`) : html`<p class="hint">Every system call of the kernel is open to it.</p>`}<//>`
}

const OneFilter = ({ filter }) => {
  if (!filter.allowed) return html`<p>A filter that was there before; what it answers is not known.</p>`
  const counts = [["allowed", "allowed"], ["errno", "refused"], ["depends", "depends on arguments"], ["killed", "deadly"]]
    .map(([key, word]) => [word, filter[key]?.length ?? 0]).filter(([, count]) => count)
  const whole = counts.reduce((sum, [, count]) => sum + count, 0)
  return html`<div class="filter"><div class="bar" role="img" aria-label=${counts.map(([word, count]) => `${count} ${word}`).join(", ")}>
      ${counts.map(([word, count]) => html`<span class=${`part ${word.split(" ")[0]}`} style=${`width:${count / whole * 100}%`}></span>`)}</div>
    <p>${counts.map(([word, count], place) => html`${place ? ", " : ""}<b>${count}</b> ${word}`)} (${filter.instructions} instructions${filter.refuses?.length ? html`; never: ${filter.refuses.join(", ")}` : null})</p></div>`
}

const unlimited = value => value === -1 ? "\u221e" : value >= 1 << 20 && value % (1 << 20) === 0 ? `${value / (1 << 20)} Mi` : String(value)
const bytes = text => /^\d{6,15}$/.test(text) ? `${(Number(text) / 2 ** 20).toFixed(0)} MiB` : text

const Limits = ({ state, process, own, changes }) => {
  const groups = Object.entries(state.cgroups).filter(([, group]) => !group.removed || changes.below("cgroups"))
  return html`<${Panel} title="Limits" fresh=${own("rlimits") || own("cgroup") || changes.below("cgroups")}>
    ${groups.length ? html`<table><caption>cgroups that were made</caption><thead><tr><th>what</th><th>limits</th><th>in it</th></tr></thead><tbody>
      ${groups.map(([name, group]) => html`<tr class=${changes.below("cgroups", name) ? "fresh" : ""}><td title=${group.path}>${group.controllers || "all (v2)"}</td>
        <td>${Object.entries(group.limits).map(([file, text]) => html`<div>${file} <b>${bytes(text.trim())}</b></div>`)}</td>
        <td>${Object.values(state.processes).filter(other => other.cgroup[group.controllers] === group.path).map(other => other.side).join(", ") || "\u2013"}</td></tr>`)}
      </tbody></table>` : html`<p class="hint">No cgroup has been made.</p>`}
    <ul class="limits" aria-label="Limits of the process itself">${Object.entries(process.rlimits).map(([name, [soft, hard]]) => html`<li class=${own("rlimits", name) ? "fresh" : ""}>
      ${name.toLowerCase()} <b>${unlimited(soft)}</b>${soft === hard ? "" : html` of ${unlimited(hard)}`}</li>`)}</ul><//>`
}

const Descriptors = ({ state, process, own }) => {
  const all = Object.entries(process.descriptors)
  return html`<${Panel} title="Descriptors" sum=${`${all.length} open`} fresh=${own("descriptors")}>
    <ul class="descriptors" tabindex="0" aria-label="Descriptors">${all.slice(0, 200).map(([fd, what]) => html`<li key=${fd} class=${own("descriptors", fd) ? "fresh" : ""}><b>${fd}</b>
      ${standsFor(what, state)} <span class="hint">${what.kind === "other" ? "" : what.kind}${what.cloexec ? "" : " kept by execve"}</span></li>`)}</ul><//>`
}
