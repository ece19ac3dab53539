// What a step has changed. Two states share what is the same, so only what differs is walked through.

const branches = value => value !== null && typeof value === "object"

// Calls `found(path, before, after)` for each leaf that differs, and for each branch that came or went.
export const differ = (before, after, found, path = []) => {
  if (before === after) return
  if (!branches(before) || !branches(after) || Array.isArray(before) !== Array.isArray(after)) {
    found(path, before, after)
  } else if (Array.isArray(before)) {
    if (JSON.stringify(before) !== JSON.stringify(after)) found(path, before, after)
  } else {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      differ(before[key], after[key], found, [...path, key])
    }
  }
}

// A step's changes: a list, and a quick answer to "is anything new below here?"
export class Changes {
  constructor(before, after) {
    this.list = []
    this.touched = new Set()
    differ(before, after, (path, was, is) => {
      if (path[0] === "events") return
      this.list.push({ path, was, is })
      path.forEach((_, length) => this.touched.add(path.slice(0, length + 1).join("/")))
    })
  }

  below(...path) { return this.touched.has(path.join("/")) }

  // All that is new below here, as one text: the same text, the same marks.
  key(...path) {
    const begin = path.join("/")
    return [...this.touched].filter(each => each.startsWith(begin)).join("\n")
  }
}
