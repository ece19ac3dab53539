// The teacher's page. All that comes from learners goes in as text, never as HTML.
"use strict";
const of = id => document.getElementById(id);
const xsrf = document.querySelector("meta[name=xsrf]").content;
const learners = new Map();
let board = {messages: [], given: [], timer: null}, pace = {chapters: [], stops: [], learners: 0}, blocks = [];

function make(tag, text = "", more = {}) {
  const node = Object.assign(document.createElement(tag), more);
  node.textContent = text;
  return node;
}
const list = (id, items) => of(id).replaceChildren(...items);
const minutes = seconds => Math.max(0, Math.floor((Date.now() / 1000 - seconds) / 60));
function ago(seconds) {
  if (!seconds) return "";
  const found = minutes(seconds);
  return found < 120 ? `${found} min` : found < 2880 ? `${Math.floor(found / 60)} h` : `${Math.floor(found / 1440)} days`;
}
const clock = seconds => new Date(seconds * 1000).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"});
function where(row) {
  if (!row.chapter) return "not begun";
  return `${row.chapter} ${row.title}, ` + (row.exercise ? `exercise ${row.exercise}` : "passed");
}

// ---------------------------------------------------------------- what is shown

const ORDERS = {
  who: (a, b) => a.who.localeCompare(b.who),
  chapter: (a, b) => a.chapter - b.chapter || a.exercise - b.exercise,
  stuck: (a, b) => !a.chapter - !b.chapter || !a.exercise - !b.exercise || a.since - b.since,
};
function cell(label, text) { const node = make("td", text); node.dataset.label = label; return node; }
function line(row) {
  const tr = make("tr", "", {className: row.asks ? "asks" : ""});
  const stop = row.note ? row.note : row.exercise || !row.chapter ? row.stop : "";
  const view = make("button", "Open", {type: "button"});
  view.setAttribute("aria-label", `Open the work of ${row.who}`);
  view.onclick = () => open(row.who, row.chapter || 1);
  const last = make("td"); last.append(view);
  const taken = row.taken.length ? ` (took ${row.taken.join(", ")})` : "";
  tr.append(make("th", row.who, {scope: "row"}), cell("where", row.note ? "" : where(row) + taken), cell("since", ago(row.since)),
    cell("checks", row.attempts ? String(row.attempts) : ""), cell("stops", stop), last);
  return tr;
}
function show() {
  const rows = [...learners.values()].sort((a, b) => ORDERS[of("order").value](a, b) || ORDERS.who(a, b));
  const kept = document.activeElement?.getAttribute("aria-label");
  list("rows", rows.map(line));
  if (kept) document.querySelector(`button[aria-label="${CSS.escape(kept)}"]`)?.focus();
  of("nobody").hidden = rows.length > 0;
  const hands = rows.filter(row => row.asks).sort((a, b) => a.asks.at - b.asks.at);
  of("asking").hidden = !hands.length;
  list("hands", hands.map(row => make("li", `${row.who}, for ${ago(row.asks.at) || "?"}, ${where(row)}`
    + (row.asks.text ? `: ${row.asks.text}` : ""))));
  document.title = hands.length ? `(${hands.length}) The class` : "The class";
  list("pace", pace.chapters.map(chapter => {
    const li = make("li"), bar = make("meter", "", {min: 0, max: Math.max(1, pace.learners), value: chapter.passed});
    bar.setAttribute("aria-label", `chapter ${chapter.number}: passed`);
    li.append(make("span", `${chapter.number} ${chapter.title}`), bar,
      make("span", `${chapter.passed} passed` + (chapter.here ? `, ${chapter.here} here` : "")));
    return li;
  }));
  list("stops", pace.stops.map(stop => make("li", `chapter ${stop.chapter}, ${stop.times}×: ${stop.text}`)));
  list("said", board.messages.slice(-5).reverse().map(message => make("li", `${clock(message.at)} ${message.text}`)));
  of("given").textContent = board.given.length ? `given: ${board.given.join(", ")}` : "";
}
function tick() {
  const timer = board.timer;
  of("timer").hidden = !timer;
  if (!timer) return;
  const left = Math.round(timer.ends - Date.now() / 1000), whole = Math.abs(left);
  of("timer").className = left < 0 ? "over" : "";
  of("timer").textContent = `${timer.label} ${left < 0 ? "over by " : ""}${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// ---------------------------------------------------------------- what the teacher does

async function post(deed, words) {
  const answer = await fetch(deed, {method: "POST", headers: {"X-XSRFToken": xsrf}, body: JSON.stringify(words)});
  if (!answer.ok) of("state").textContent = `not done: ${await answer.text()}`;
  return answer.ok;
}
of("say").onsubmit = async event => {
  event.preventDefault();
  if (await post("say", {text: of("text").value})) of("text").value = "";
};
of("give").onsubmit = event => { event.preventDefault(); post("give", {chapter: Number(of("chapter").value)}); };
of("time").onsubmit = event => { event.preventDefault(); post("time", blocks[of("block").value]); };
of("stop").onclick = () => post("time", {minutes: 0});
of("order").onchange = show;

let shown = null;
async function open(who, chapter) {
  shown = who;
  of("work-chapter").value = chapter;
  of("work-title").textContent = who;
  if (!of("work").open) of("work").showModal();
  const answer = await fetch(`work?${new URLSearchParams({who, chapter, _xsrf: xsrf})}`);
  const found = answer.ok ? await answer.json() : {file: "", text: await answer.text()};
  if (shown !== who) return;
  of("work-title").textContent = `${who}: ${found.file}`;
  of("work").querySelector("pre").textContent = found.text;
}
of("work-chapter").onchange = () => open(shown, of("work-chapter").value);
of("close").onclick = () => of("work").close();

// ---------------------------------------------------------------- what comes

function heard(words) {
  if (words.whole) {
    learners.clear();
    blocks = words.blocks;
    list("block", blocks.map((block, n) => make("option", `${block.minutes} min: ${block.label}`, {value: n})));
  }
  for (const row of words.rows) learners.set(row.who, row);
  for (const who of words.gone) learners.delete(who);
  if (words.pace) pace = words.pace;
  if (words.board) board = words.board;
  if (!of("chapter").options.length) {
    for (const id of ["chapter", "work-chapter"])
      list(id, pace.chapters.map(one => make("option", `${one.number} ${one.title}`, {value: one.number})));
  }
  show();
  tick();
}
const stream = new EventSource(`events?${new URLSearchParams({_xsrf: xsrf})}`);
stream.onopen = () => { of("state").textContent = "live"; };
stream.onerror = () => { of("state").textContent = stream.readyState === 2 ? "lost: load the page again" : "lost: trying again"; };
stream.onmessage = event => heard(JSON.parse(event.data));
setInterval(tick, 1000);
setInterval(show, 30000);
