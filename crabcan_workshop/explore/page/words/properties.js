// The walls: the properties of the isolation matrix, in the order in which the chapters close them.

export const properties = [
  ["environ", 1, "the caller's variables stay outside"],
  ["pid", 2, "it is PID 1, and sees no process of the host"],
  ["name", 3, "a hostname of its own"],
  ["files", 4, "the host's files are out of reach"],
  ["mounts", 4, "a root of its own, none of the host's mounts"],
  ["proc", 4, "what /proc tells of the whole machine is hidden"],
  ["users", 5, "root inside is not root outside"],
  ["ipc", 5, "no message queue of the host's"],
  ["keys", 5, "no key of the caller's"],
  ["network", 5, "a network of its own: only its own loopback"],
  ["cgroup", 5, "its cgroup looks like the root"],
  ["time", 5, "offsets of its own, for the clocks that count since boot"],
  ["caps", 6, "no capability in any of the five sets"],
  ["no_new", 6, "no_new_privs: execve gives no privileges"],
  ["filter", 7, "a system call filter is active"],
  ["calls", 7, "keyctl and new user namespaces are refused"],
  ["memory", 8, "memory has a limit"],
  ["pids", 8, "the number of processes has a limit"],
  ["cpu", 8, "processor time has a limit"],
  ["nofile", 8, "the number of open files has a limit"],
  ["session", 9, "a session, and so a terminal, of its own"],
]
export const names = Object.fromEntries(properties.map(([name, , meaning]) => [name, meaning]))
