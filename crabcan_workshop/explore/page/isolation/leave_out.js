// "What if this had not happened?" The events, and of those that are left out it is said that they are.

const FLAGS = { // which of clone3's flags are whose (see `flags` of each layer)
  clone: 0x20000000, hostname: 0x04000000, mounts: 0x00020000,
  namespaces: 0x10000000 + 0x08000000 + 0x40000000 + 0x02000000 + 0x00000080,
}

const bit = (number, value) => Math.floor(number / value) % 2 === 1 // of more than 32

export const minus = (flags, others) => {
  for (let value = 1; value <= others; value *= 2) {
    if (bit(others, value) && bit(flags, value)) flags -= value
  }
  return flags
}

export const leaveOut = (events, { events: single, layers }) => {
  const whole = Object.keys(layers)
  if (!whole.length && !Object.keys(single).length) return events
  return events.map((event, index) => {
    if (single[index]) return { ...event, skipped: true }
    if (event.call === "clone3") return fewer(event, whole)
    return Object.hasOwn(layers, event.layer) && !birthOrDeath(event) ? { ...event, skipped: true } : event
  })
}

// Without chapter 2 there still is a process: it only has no PID namespace of its own.
const birthOrDeath = event => ["begin", "execve", "send", "recv"].includes(event.call)

const fewer = (event, layers) => {
  const flags = layers.reduce((left, layer) => minus(left, FLAGS[layer] ?? 0), event.args[0])
  return flags === event.args[0] ? event : { ...event, args: [flags, ...event.args.slice(1)] }
}
