// The reducer: a pure function of a state and an action to the next state. All else is made of it.
//
// It is total: an event that nobody knows, or that makes no sense in this state, changes nothing and is
// counted. It never changes a state, so whoever failed half-way has changed nothing either.
import { Unknown, arg, get, list, need, put, text, truth } from "./data.js"
import * as descriptors from "./descriptors.js"
import * as identity from "./identity.js"
import * as joins from "./joins.js"
import * as limits from "./limits.js"
import * as maps from "./maps.js"
import * as mounts from "./mounts.js"
import * as namespaces from "./namespaces.js"
import * as network from "./network.js"
import { judged } from "./properties.js"
import * as roots from "./roots.js"
import { begin, initial } from "./start.js"

export { initial }

// The program's own life begins: what was only for us is closed, and root's sets are made anew.
const execve = (state, event, process) => {
  const { side } = process, variables = arg(event, 2)
  const next = put(state, "processes", side, {
    ...process, program: text(arg(event, 0)), keep_capabilities: false, capabilities: identity.afterExecve(state, process),
    environment: variables === null ? null : names(variables).map(text).sort(),
  })
  return descriptors.executed(namespaces.afterExecve(next, process), side)
}
const names = variables => {
  if (typeof variables === "string") return [...variables]
  if (variables === null || typeof variables !== "object") throw new Unknown("no variables")
  return Array.isArray(variables) ? variables : Object.keys(variables)
}

const exited = (state, event, process) => put(state, "processes", process.side, "alive", false)

// A call that is known, and of which the isolation is none the wiser.
const same = state => state

const all = (names, deed) => Object.fromEntries(names.split(" ").map(name => [name, deed]))
const from = (module, names) => Object.fromEntries(names.split(" ").map(name => [name, module[name]]))

const CALLS = {
  begin, execve, exit: exited, newidmap: maps.newidmap, ...all("clone clone3 fork vfork", namespaces.clone3),
  ...from(namespaces, "unshare sethostname"), setns: joins.setns,
  ...from(mounts, "open_tree mount_setattr move_mount fsopen fsconfig fsmount"),
  ...from(roots, "mount pivot_root umount2 chdir fchdir chroot"),
  ...from(identity, "setresuid setresgid setgroups capset capbset_drop set_no_new_privs prctl"),
  ...from(limits, "setrlimit mkdir rmdir write setsid keyctl umask"), ...from(network, "ioctl link netlink pasta"),
  ...from(descriptors, "open close close_range dup2 fcntl recvmsg"), dup: descriptors.dup2, seccomp: identity.seccomp,
  ...all("openat openat2", descriptors.openat2),
  ...all("socket socketpair signalfd memfd_create accept pipe2 eventfd pidfd_open epoll_create1 inotify_init1", descriptors.other),
  ...all("stat symlink send recv kill pidfd_send_signal sendfile setdomainname mknod nft", same),
}

// {type: "call/NAME", payload: event}: the state after it. Raises nothing, and changes neither of the two.
export const isolation = (state = initial, action) => {
  const event = action.payload
  let next
  try {
    next = judged(nextState(state, event), state)
  } catch {
    next = { ...state, unknown: state.unknown + 1 }
  }
  return { ...next, events: state.events + 1 }
}

const nextState = (state, event) => {
  if (truth(event.skipped ?? null)) return state
  const deed = get(CALLS, event.call)
  if (!deed || event.options === null || typeof event.options !== "object" || Array.isArray(event.options)) throw new Unknown(event.call)
  list(event.args)
  if (truth(event.errno)) return { ...state, failed: state.failed + 1 }
  const made = deed(state, event, need(state.processes, event.side))
  if (!truth(event.layer ?? null) || ["close", "send", "recv"].includes(event.call) || Object.hasOwn(made.layers, event.layer)) return made
  return put(made, "layers", text(event.layer), state.events)
}

// The state that a list of events leads to.
export const fold = (events, state = initial) =>
  events.reduce((state, event) => isolation(state, { type: `call/${event.call}`, payload: event }), state)
