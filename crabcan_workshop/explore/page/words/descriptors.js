// What a descriptor stands for, in a few words.
import { place } from "./mounts.js"

const SHORT = 60

export const standsFor = (descriptor, state) => {
  const text = whole(descriptor, state) || "?"
  return text.length > SHORT ? `${text.slice(0, SHORT)}\u2026` : text
}

const whole = (descriptor, state) => {
  if (descriptor.kind === "place") return place(state, descriptor.place)
  if (descriptor.kind === "mount") return place(state, { mount: descriptor.mount, path: "" })
  if (descriptor.kind === "filesystem") return `a ${descriptor.fstype}${descriptor.created ? "" : ", being made"}`
  if (descriptor.kind === "namespace") return descriptor.path
  return descriptor.what
}
