// What a call is for, in a sentence, for who meets it for the first time.

const MEANINGS = {
  begin: "No call: what /proc says of the parent, before anything has happened.",
  clone3: "Makes a child process, in new namespaces at once.",
  clone: "Makes a child process, in new namespaces if its flags say so.",
  fork: "Makes a child process, which is as its parent is.", vfork: "Makes a child process, which is as its parent is.",
  unshare: "Moves the caller itself into new namespaces.",
  setns: "Moves the caller into a namespace that others have made.",
  sethostname: "Sets the name of the machine, as this UTS namespace sees it.",
  execve: "Becomes another program: the process stays, its code is replaced.",
  pasta: "No call: what a program beside us has put into the network of the container, as commands of ip(8).",
  newidmap: "Has a helper program write an id map, which may do what we may not.",
  open: "Opens a file or directory: later calls use the number that it returns.",
  openat2: "Opens what is below a directory, without following links that lead elsewhere.",
  openat: "Opens a file or directory below another.", dup: "Gives an open file a second number.",
  fcntl: "Says whether a descriptor is closed when another program starts.", link: "Brings a network link up or down.",
  memfd_create: "Makes a file that is only in memory.", accept: "Takes a connection.", pipe2: "Makes a pipe.",
  eventfd: "Makes a counter to wait for.", epoll_create1: "Makes a list of what to wait for.", inotify_init1: "Makes a watch on files.",
  close: "Gives a descriptor back.", close_range: "Closes all descriptors between two numbers.",
  dup2: "Gives an open file a second number.",
  open_tree: "Takes hold of a part of the file system, or makes a copy of its mounts.",
  move_mount: "Hangs a mount at a place: from now on the place shows it.",
  mount: "Changes what is mounted: the older interface, five calls in one.",
  mount_setattr: "Changes what a mount allows (read-only, no devices, no setuid), or whether mounts spread from it.",
  fsopen: "Begins to make a file system.", fsconfig: "Sets an option of the file system, or makes it at last.",
  fsmount: "Makes a mount of the new file system, which hangs nowhere yet.",
  pivot_root: "Makes another mount the root, and puts the old root where one can take it away.",
  umount2: "Takes a mount away. The old root goes this way, with all that hangs from it.",
  chroot: "Makes a directory the root for path names; the mounts stay as they are.",
  chdir: "Goes to a directory.", fchdir: "Goes to a directory that is open.",
  mkdir: "Makes a directory.", rmdir: "Removes a directory.", symlink: "Makes a symbolic link.", mknod: "Makes a device or a file.",
  write: "Writes a file in one go: below /proc and /sys that is how settings are made.",
  setresuid: "Becomes another user.", setresgid: "Becomes another group.", setgroups: "Leaves or joins supplementary groups.",
  capset: "Sets what the process may do: its effective, permitted and inheritable capabilities.",
  capbset_drop: "Takes a capability out of the bounding set: no program run from here can have it.",
  set_no_new_privs: "Says that no program run from here gains privileges, setuid or not.",
  prctl: "Changes one of many properties of the process.",
  seccomp: "Loads a filter, which is asked at each system call from now on.",
  setrlimit: "Sets how much of something the process may use.", umask: "Sets which permissions new files do not get.",
  setsid: "Begins a session of its own, without a terminal.", keyctl: "Works with keys: a new session keyring hides the caller's.",
  socket: "Makes an end of a connection.", socketpair: "Makes two ends, by which parent and child will talk.",
  send: "Says a word to the other process, which waits for it.", recv: "Waits for the other's word.",
  ioctl: "Asks a device for something of its own: here, to bring up a network link.",
  signalfd: "Makes signals readable as if they were a file.", pidfd_send_signal: "Sends a signal to exactly this process.",
  kill: "Sends a signal.", stat: "Looks at a file.", exit: "The process ends.", pidfd_open: "Takes hold of a process.",
}

const OF_PRCTL = {
  1: "Asks the kernel to end this process when its parent dies.", 8: "Says whether capabilities survive becoming another user.",
  22: "Loads a filter, which is asked at each system call from now on.", 38: MEANINGS.set_no_new_privs,
  24: MEANINGS.capbset_drop, 47: "Clears or changes the ambient capabilities, which programs would inherit.",
}

export const meaning = event => {
  const special = event.call === "prctl" && Object.hasOwn(OF_PRCTL, event.args[0]) ? OF_PRCTL[event.args[0]] : null
  return special ?? (Object.hasOwn(MEANINGS, event.call) ? MEANINGS[event.call] : "")
}
