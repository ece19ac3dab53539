// The capabilities: a cell for each, lit in as many sets as have it.
import { CAPABILITIES } from "../words/tables.js"
import { html } from "./dom.js"
import { Panel } from "./panel.js"

const SETS = [["effective", "E"], ["permitted", "P"], ["bounding", "B"], ["inheritable", "I"], ["ambient", "A"]]

export const Powers = ({ process, own, last }) => {
  const sets = SETS.map(([name, letter]) => ({ name, letter, has: new Set(process.capabilities[name]) }))
  const sum = sets.map(({ name, has }) => `${name} ${has.size}`).join(", ")
  return html`<${Panel} title="Capabilities" sum=${sets.every(({ has }) => !has.size) ? "none in any set" : sum} wide fresh=${own("capabilities")}>
    <p class="hint">Lit: <b>E</b>ffective, <b>P</b>ermitted, <b>B</b>ounding, <b>I</b>nheritable, <b>A</b>mbient.${process.namespaces.user.id === "user:0" ? " They count on the whole machine." : " They count only in its own user namespace."}</p>
    <ul class="caps">${CAPABILITIES.slice(0, (last ?? 40) + 1).map(cap => {
      const name = `CAP_${cap}`, lit = sets.filter(({ has }) => has.has(name))
      return html`<li key=${cap} class=${lit.length ? "lit" : ""} aria-label=${`${name}: ${lit.length ? lit.map(({ name }) => name).join(", ") : "in no set"}`}>
        <span aria-hidden="true">${cap.toLowerCase()}</span><span class="sets" aria-hidden="true">${sets.map(({ letter, has }) => html`<i class=${has.has(name) ? "on" : ""}>${letter}</i>`)}</span></li>`
    })}</ul><//>`
}
