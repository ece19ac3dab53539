// The calls, one a line, of which only those in view are drawn. Tab stops at one of them; arrows go on. Each process has a lane; what passes
// between two of them is an arrow from lane to lane.
import { jumpTo } from "../actions.js"
import { events, found, left, sidesOf, step } from "../store/selectors.js"
import { eventSkipped } from "../store/travel.js"
import { lines, quiet } from "../words/calls.js"
import { Still, html, layerClass, useEffect, useLayoutEffect, useMemo, useRef, useSelect, useState, useStore } from "./dom.js"

const HIGH = 28, AHEAD = 8, LANES = 6
const wide = lanes => lanes.length > 3 ? 13 : 26 // pixels of one

export const Timeline = ({ id }) => {
  const all = useSelect(state => events(state, id)), here = useSelect(state => step(state, id))
  const hidden = useSelect(state => state.looks.quiet)
  const hits = useSelect(state => found(state, id))
  const sides = useSelect(state => sidesOf(state, id))
  const out = useSelect(state => left(state, id))
  const lanes = useMemo(() => lanesOf(sides, all), [sides, all])
  const told = lines(all)
  const shown = useMemo(() => all.flatMap((event, index) => hidden && quiet(event) && event.call !== "begin" ? [] : [index]), [all, hidden])
  const hitSet = useMemo(() => new Set(hits), [hits])
  const row = nearest(shown, here - 1)
  const [box, top, height] = useWindow(row * HIGH)
  const first = Math.max(0, Math.floor(top / HIGH) - AHEAD)
  const last = Math.min(shown.length, Math.ceil((top + height) / HIGH) + AHEAD)
  const rows = shown.slice(first, last).map((index, place) => {
    const top = (first + place) * HIGH, now = index === here - 1, past = index < here, hit = hitSet.has(index + 1)
    return html`<${Still} key=${index} on=${[top, now, past, hit, out, all]} draw=${() => html`<${Row} id=${id} index=${index} event=${all[index]}
      text=${told.at(index)} top=${top} here=${now} past=${past} hit=${hit} sides=${lanes} count=${all.length} out=${out} />`} />`
  })
  return html`<div class="lane-names" aria-hidden="true">${lanes.length > 2 ? `lanes: ${lanes.map(side => side.slice(0, 16)).join(" \u00b7 ")}` : lanes.map(side => html`<span style=${`width:${wide(lanes) + 8}px`}>${side}</span>`)}</div>
    <div class="timeline" ref=${box}>
    <ol aria-label="Calls" style=${`height:${shown.length * HIGH}px`}>${rows}</ol>
  </div>`
}

// A lane for each process; of many for those on the way to the child, and one for all others.
const lanesOf = (sides, all) => {
  if (sides.length <= LANES) return sides
  const leads = new Set(["parent", "child", ...all.filter(event => event.leads).map(event => event.makes)])
  const way = sides.filter(side => leads.has(side)), kept = new Set([way[0], ...way.slice(1).slice(2 - LANES)])
  return [...sides.filter(side => kept.has(side)), "others"]
}

const nearest = (shown, index) => {
  let low = 0, high = shown.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (shown[middle] <= index) low = middle
    else high = middle - 1
  }
  return low
}

// What of a long list is in view; it follows the place that one stands on.
const useWindow = place => {
  const box = useRef()
  const [view, setView] = useState([0, 600])
  useEffect(() => {
    const element = box.current
    const look = () => setView([element.scrollTop, element.clientHeight])
    const watch = new ResizeObserver(look)
    watch.observe(element)
    element.addEventListener("scroll", look, { passive: true })
    return () => { watch.disconnect(); element.removeEventListener("scroll", look) }
  }, [])
  useLayoutEffect(() => {
    const { scrollTop, clientHeight } = box.current
    if (place < scrollTop + HIGH || place > scrollTop + clientHeight - 2 * HIGH) box.current.scrollTop = place - clientHeight / 2
    // Now, and not at the event that tells of it: one would see a gap for a frame.
    if (box.current.scrollTop !== view[0]) setView([box.current.scrollTop, clientHeight])
  }, [place])
  return [box, ...view]
}

const Row = ({ id, index, event, text, top, here, past, hit, sides, count, out }) => {
  const store = useStore()
  const gone = Boolean(out.events[index]) || Object.hasOwn(out.layers, event.layer)
  const classes = ["row", layerClass(event.layer), here && "here", past && "past", hit && "hit", gone && "gone", event.errno && "failed"]
  const name = event.call.slice(0, 60), rest = text.startsWith(event.call) ? text.slice(event.call.length) : text
  return html`<li class=${classes.filter(Boolean).join(" ")} style=${`top:${top}px`} aria-setsize=${count} aria-posinset=${index + 1}>
    <button class="goes" tabindex=${here ? 0 : -1} aria-current=${here ? "step" : undefined} onClick=${() => store.dispatch(jumpTo(id, index + 1))}>
      <span class="number">${index + 1}</span>
      <${Lanes} event=${event} sides=${sides} />
      <span class="said"><b>${name}</b>${rest.slice(0, 300)}</span>
      <span class="unseen"> by ${event.side}, ${event.layer || "no layer"}${gone ? ", left out" : ""}</span>
    </button>
    <button class="skip" tabindex=${here ? 0 : -1} aria-pressed=${gone} title=${gone ? "Let it happen again" : "Leave it out: what if it had not happened?"}
      aria-label=${`Leave out #${index + 1} ${name}`} disabled=${event.call === "begin"}
      onClick=${() => store.dispatch(eventSkipped({ recording: id, index }))}>${gone ? "\u21ba" : "\u2715"}</button>
  </li>`
}

// clone makes the child; a word that is sent goes to the other; what execve closes tells the parent.
const target = (event, sides) => {
  if (event.errno) return null
  if (event.makes) return event.makes
  if (event.call === "clone3") return sides.includes("child") ? "child" : null
  const other = event.side === "parent" ? "child" : "parent"
  return event.call === "send" || event.call === "execve" && event.side === "child" ? other : null
}

const Lanes = ({ event, sides }) => {
  const lanes = sides, place = side => lanes.includes(side) ? lanes.indexOf(side) : lanes.length - 1
  const lane = wide(lanes), at = side => (place(side) + 0.5) * lane
  const to = target(event, sides), from = at(event.side), goal = to === null ? null : at(to)
  const way = goal > from ? -1 : 1
  const drawn = goal !== null && goal !== from
  return html`<svg class="lanes" width=${lanes.length * lane} height=${HIGH} aria-hidden="true">
    ${lanes.map(side => html`<path class="lane" d=${`M${at(side)} 0V${HIGH}`} />`)}
    ${!drawn ? null : html`<path class="arrow" d=${`M${from} 14H${goal + way * 4}m${way * 3} -4l${-way * 4} 4l${way * 4} 4`} />`}
    <circle cx=${from} cy="14" r="4.5" />
  </svg>`
}
