// Recordings from outside and back: JSON Lines as `--trace` writes them, or this page's own export.
// Whatever a file says is data: it is looked through here, and shown as text.

const MOST = 200 * 2 ** 20 // bytes
const FORMAT = 1 // of the recordings that we know; `begin` of a later one says so

export class Broken extends Error {}

// The recordings in a file's text: [{name, about, events}]. Raises Broken, with what is wrong and where.
export const parse = (text, name) => {
  const start = text.trimStart()
  if (!start) throw new Broken(`${name} is empty: a recording has a JSON object on each line (crabcan run --trace FILE)`)
  const whole = start.startsWith("[") || /^\{\s*"(name|events|recordings)"/.test(start) ? json(text, name) : null
  const found = whole === null ? [{ name, ...parseLines(text, name) }] : Array.isArray(whole?.recordings) ? whole.recordings : Array.isArray(whole) ? [{ name, events: whole }] : [whole]
  return found.map(recording => normal(recording, name))
}

const json = (text, name) => {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Broken(`${name} is no JSON: ${error.message}`)
  }
}

const STRACE = /^\d+ +\d+\.\d+ |^\[pid +\d+\] |^\w+\(.*\) += /

// The events, and what is said about them. A last line without its end is left out: whoever wrote it was stopped.
const parseLines = (text, name) => {
  const lines = text.split("\n"), cut = lines.length > 1 && lines.at(-1).trim() && !lines.at(-1).trimEnd().endsWith("}")
  const events = lines.slice(0, cut ? -1 : undefined).flatMap((line, index) => {
    if (!line.trim()) return []
    try {
      return [JSON.parse(line.trim())]
    } catch {
      throw new Broken(`${name}, line ${index + 1}: no JSON. ${STRACE.test(line) ? "It is strace's: `workshop explore FILE` reads that."
        : "Is it a recording (crabcan run --trace FILE), and all of it?"}`)
    }
  })
  return { events, about: cut ? `cut off in line ${lines.length}: this is what stands before it` : "" }
}

// A recording with every key that the rest of the page counts on.
export const normal = (recording, file) => {
  if (recording === null || typeof recording !== "object" || !Array.isArray(recording.events)) throw new Broken(`${file}: no list of events in it`)
  if (!recording.events.length) throw new Broken(`${file}: there is no event in it`)
  const events = recording.events.map((event, index) => complete(headed(event, recording.heads), index, file))
  const form = events.find(({ call }) => call === "begin")?.options.format ?? FORMAT
  if (form > FORMAT) throw new Broken(`${file} is of form ${Number(form)}, and this explorer knows ${FORMAT}: a newer one reads it`)
  events.sort((a, b) => (b.call === "begin") - (a.call === "begin") || a.at - b.at)
  return { name: word(recording.name) || file, about: word(recording.about), events }
}

// An event of a page that we have made (document.py): what many have in common stands in it once.
const headed = (event, heads) => {
  if (!Array.isArray(heads) || !Number.isInteger(event?.is)) return event
  const { is, ...rest } = event
  return { ...heads[is], ...rest }
}

const word = value => typeof value === "string" ? value.slice(0, 300) : ""
const whole = value => Number.isFinite(value) ? value : 0

const complete = (event, index, file) => {
  if (event === null || typeof event !== "object" || typeof event.call !== "string") {
    throw new Broken(`${file}, event ${index + 1}: it names no "call", so it is none of a recording`)
  }
  return {
    ...event, side: word(event.side) || "parent", layer: word(event.layer), chapter: whole(event.chapter),
    args: Array.isArray(event.args) ? event.args : [],
    options: event.options !== null && typeof event.options === "object" && !Array.isArray(event.options) ? event.options : {},
    result: event.result ?? null, errno: whole(event.errno), microseconds: Math.max(0, whole(event.microseconds)), at: whole(event.at),
  }
}

export const read = async file => {
  if (file.size > MOST) throw new Broken(`${file.name} has ${Math.round(file.size / 2 ** 20)} MiB: more than ${MOST / 2 ** 20} no browser likes`)
  return parse(await unpacked(file), file.name.replace(/\.gz$/, ""))
}

// The text of a file, also of one that gzip(1) has packed.
const unpacked = async file => {
  const [one, two] = new Uint8Array(await file.slice(0, 2).arrayBuffer())
  if (one !== 0x1f || two !== 0x8b) return file.text()
  const reader = file.stream().pipeThrough(new DecompressionStream("gzip")).getReader(), decoder = new TextDecoder()
  let text = ""
  for (;;) {
    const { done, value } = await reader.read().catch(() => { throw new Broken(`${file.name}: gzip cannot unpack it: is it all of it?`) })
    if (done) return text + decoder.decode()
    text += decoder.decode(value, { stream: true })
    if (text.length > MOST) throw new Broken(`${file.name} unpacks to more than ${MOST / 2 ** 20} MiB`)
  }
}

// Hands the reader a file: the events as JSON Lines, which is what everything here reads.
export const save = ({ name, events }) => {
  const text = events.map(event => JSON.stringify(event)).join("\n") + "\n"
  const address = URL.createObjectURL(new Blob([text], { type: "application/jsonl" }))
  const link = Object.assign(document.createElement("a"), { href: address, download: `${name.replace(/[^\w.-]+/g, "-").slice(0, 60)}.jsonl` })
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), 1000)
}
