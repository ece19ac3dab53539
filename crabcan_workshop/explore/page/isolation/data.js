// State that is never changed: each step makes a new one, and shares with the old what is the same.
// The modules of this folder say the same as those beside page/ in Python, function by function, and a
// test compares each state that the two make.

export class Unknown extends Error {} // an event that makes no sense here: the state stays as it was

// Own keys only: a recording may call a process "constructor".
export const get = (things, key, otherwise) => Object.hasOwn(things, key) ? things[key] : otherwise

export const need = (things, key) => {
  if (things === null || typeof things !== "object" || !Object.hasOwn(things, key)) throw new Unknown(`no ${key}`)
  return things[key]
}

// A state with another value at a path: put(state, "processes", "child", "umask", 18).
export const put = (state, key, ...rest) => {
  const value = rest.length === 1 ? rest[0] : put(get(state, key, {}), ...rest)
  return { ...state, [key]: value }
}

export const drop = (state, key, ...rest) => {
  if (rest.length) return { ...state, [key]: drop(need(state, key), ...rest) }
  return Object.fromEntries(Object.entries(state).filter(([name]) => name !== key))
}

export const number = value => {
  if (!Number.isInteger(value)) throw new Unknown("no number")
  return value
}

export const text = value => {
  if (typeof value !== "string") throw new Unknown("no text")
  return value
}

export const list = value => {
  if (!Array.isArray(value)) throw new Unknown("no list")
  return value
}

export const numbers = values => list(values).map(number)

export const arg = (event, place, otherwise = null) => place < event.args.length ? event.args[place] : otherwise

export const option = (event, name, place = null, otherwise = null) => {
  if (Object.hasOwn(event.options, name)) return event.options[name]
  return place === null ? otherwise : arg(event, place, otherwise)
}

// What Python holds to be true: an empty list is not.
export const truth = value => value !== null && typeof value === "object" ? Object.keys(value).length > 0 : Boolean(value)

// Is the bit set? Flags may need more than the 32 bits that & knows.
export const has = (flags, bit) => Math.floor(flags / bit) % 2 === 1

// The next free id among things: "mnt:3".
export const newId = (things, prefix) => {
  let last = -1
  for (const name of Object.keys(things)) {
    const end = name.slice(prefix.length)
    if (name.startsWith(prefix) && /^\d+$/.test(end)) last = Math.max(last, Number(end))
  }
  return `${prefix}${last + 1}`
}
