// Where one reads more: the manual page of a call, and the chapter and the line of code of a layer.

const LIBRARY = { // what is no system call of its own
  capbset_drop: "prctl(2)", set_no_new_privs: "prctl(2)", begin: "proc(5)", pasta: "pasta(1)", netlink: "rtnetlink(7)", nft: "nft(8)", pipe2: "pipe(2)", posix_spawn: "posix_spawn(3)",
  capset: "capset(2)", opened: "open(2)", iface_up: "netdevice(7)", recv: "recv(2)", send: "send(2)",
  clone3: "clone(2)", vfork: "vfork(2)", pidfd_send_signal: "pidfd_send_signal(2)", umount2: "umount(2)",
  umount: "umount(2)", openat: "openat(2)", signalfd4: "signalfd(2)", setrlimit: "getrlimit(2)",
  prlimit64: "getrlimit(2)", prlimit: "getrlimit(2)", setresgid: "setresuid(2)", dup2: "dup(2)", dup3: "dup(2)",
  setgroups: "setgroups(2)",
}
// New files of a mount have a manual page of their own kind: what they are about is in these.
const ABOUT = {
  "mounts": "mount_namespaces(7)", "caps": "capabilities(7)", "namespaces": "namespaces(7)",
  "cgroups": "cgroups(7)", "seccomp": "seccomp(2)", "clone": "pid_namespaces(7)", "hostname": "uts_namespaces(7)",
}

export const manual = event => {
  const pages = [Object.hasOwn(LIBRARY, event.call) ? LIBRARY[event.call] : `${event.call}(2)`]
  if (Object.hasOwn(ABOUT, event.layer)) pages.push(ABOUT[event.layer])
  return [...new Set(pages)]
}

// {chapter: file of the book} and {"layer/call": "file:line"} come with the page (see ../../document.py).
export const chapter = (event, about) => {
  const file = about.chapters?.[event.chapter]
  return file ? { file, name: `Chapter ${event.chapter}`, link: typeof about.book === "string" ? `${about.book}${file}.html` : null } : null
}

export const source = (event, about) => {
  const places = about.source ?? {}
  const key = `${event.layer}/${event.call}`
  return Object.hasOwn(places, key) ? places[key] : null
}
