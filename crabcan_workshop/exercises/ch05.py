"""Chapter 5: the facts about users, IPC, network, cgroups, time and keys."""
import sys

from .facts import Absent, Wrong, came_up, collector, equal, must, property_of

FACTS, fact = collector()
ipc, keys, network, cgroup, clocks = map(property_of, ("ipc", "keys", "network", "cgroup", "time"))


@fact(1, "it comes up, with its map written from outside",
      "crabcan step 5 -- cat /proc/self/uid_map")
def up(machine):
    answer = machine.crabcan(sh="true")
    if "_map" in answer.err and ("Permission" in answer.err or "not permitted" in answer.err):
        raise Wrong(answer.error, "who is inside may map only its own id: parent() writes the "
                    "maps, from outside")
    if "Invalid argument" in answer.err or "setresgid" in answer.err or "setgroups" in answer.err:
        raise Wrong(answer.error, "without a map nobody can become root: parent() writes uid_map "
                    "and gid_map of the child, one line for each range")
    came_up(answer)
    return "so"


@fact(1, "root inside is not root outside", "crabcan step 5 -- cat /proc/self/uid_map")
def users(machine):
    _, outside = machine.probe()
    host = machine.kept.setdefault("users", __import__("os").readlink("/proc/self/ns/user"))
    must(outside["namespaces"]["user"] != host, "the machine's user namespace",
         "CLONE_NEWUSER is missing")
    if machine.many_ids:
        must(outside["uid"] != 0, "uid 0 outside", "the map gives the container your machine's own "
             "root: map 0 to an id that owns nothing")
        must(outside["uid_map"] == [[0, 1000, 60000]], str(outside["uid_map"]),
             "the whole of self.maps is written, one line \"inside outside count\" a range")
    return f"uid {outside['uid']}"


@fact(1, "an ordinary user without a range maps one id, and gives up other groups",
      "crabcan step 5 -- cat /proc/self/uid_map, as a user")
def alone(machine):
    if not machine.many_ids:
        return "so it came up"  # the room is such a user's already
    words = ["setpriv", "--reuid", "7", "--regid", "7", "--clear-groups", "--", sys.executable,
             "-P", "-m", "crabcan_steps",
             "step", "5", "--", "sh", "-c", "cat /proc/self/uid_map /proc/self/gid_map "
             "/proc/self/setgroups"]
    answer = machine.run(words)
    if answer.status and "gid_map" in answer.err:
        raise Wrong(answer.error, "who may not map groups must first write \"deny\" to setgroups: "
                    "a group can also take rights away, and must not be left")
    seen = " ".join(came_up(answer).out.split())
    return equal(seen, "0 7 1 0 7 1 deny", "one line for users, one for groups: 0, the own id, 1")


@fact(1, "it is root inside, with root's group and no other", "crabcan step 5 -- id")
def identity(machine):
    out = came_up(machine.crabcan(sh="id -u; id -g; grep ^Uid: /proc/self/status; grep ^Gid: "
                                  "/proc/self/status")).out.split()
    must(out[0] == "0", f"uid {out[0]}", "child() becomes the mapped root: setresuid(0, 0, 0)")
    must(out[1] == "0", f"gid {out[1]}", "child() becomes root's group, too: setresgid(0, 0, 0), "
         "before the user")
    return "uid 0, gid 0"


@fact(1, "no supplementary group of the caller's",
      "crabcan step 5 -- grep Groups /proc/self/status")
def groups(machine):
    if not machine.many_ids:
        raise Absent("needs a range of ids in /etc/subuid and /etc/subgid, and newuidmap")
    out = came_up(machine.run(["setpriv", "--groups", "5,6", "--", sys.executable, "-P", "-m",
                               "crabcan_steps", "step", "5", "--", "grep", "Groups",
                               "/proc/self/status"])).out
    return must(out.split() == ["Groups:"], out.strip(),
                "the caller's groups lend their rights: setgroups(()) first") and "none"


@fact(1, "no message queue of the machine's", "ipcmk -Q; crabcan step 5 -- ipcs -q")
def messages(machine):
    return ipc(machine, "CLONE_NEWIPC is missing")


@fact(1, "a network of its own", "crabcan step 5 -- cat /proc/net/dev")
def net(machine):
    return network(machine, "CLONE_NEWNET is missing")


@fact(1, "its loopback is up", "crabcan step 5 -- cat /sys/class/net/lo/flags")
def loopback(machine):
    answer = came_up(machine.crabcan(python="import socket\ns = socket.create_server(('127.0.0.1', "
                                     "0))\nc = socket.socket(); "
                                     "c.settimeout(1)\nprint(c.connect_ex(s.getsockname()))"))
    return must(answer.out.strip() == "0", f"errno {answer.out.strip()}", "a new network namespace "
                "has lo, but down: ioctl SIOCSIFFLAGS with IFF_UP") and "so"


@fact(1, "its cgroup looks like the root", "crabcan step 8 -- cat /proc/self/cgroup")
def root_of_cgroups(machine):
    cgroup(machine, "CLONE_NEWCGROUP is missing")
    answer = machine.crabcan(sh="cat /proc/self/cgroup", step=8)
    paths = {line.split(":", 2)[2] for line in came_up(answer).out.split()}
    must(paths == {"/"}, " ".join(sorted(paths)), "the namespace was made before the move into the "
         "cgroup: its root is the cgroup of that time, so unshare(CLONE_NEWCGROUP) comes in "
         "child(), and not among the flags")
    return "/"


@fact(1, "offsets of its own for the clocks that count since boot, where the kernel has them",
      "crabcan step 5 -- readlink /proc/self/ns/time")
def time(machine):
    return clocks(machine, "CLONE_NEWTIME is missing")


@fact(2, "no key of the caller's", "crabcan step 5 -- grep -c . /proc/key-users")
def keyring(machine):
    return keys(machine, "keys have no namespace: child() joins a new session keyring (keyctl)")


@fact(2, "--uid: user and group, all three of each", "crabcan step 5 --uid 1000 -- id")
def uid(machine):
    if not machine.many_ids:
        raise Absent("needs a range of ids in /etc/subuid and /etc/subgid, and newuidmap")
    out = came_up(machine.crabcan("--uid", 1000,
                                  sh="grep -E '^(Uid|Gid):' /proc/self/status")).out.split()
    must(out[1:5] == ["1000"] * 4, f"Uid {' '.join(out[1:5])}",
         "real, effective and saved user id: setresuid")
    must(out[6:10] == ["1000"] * 4, f"Gid {' '.join(out[6:10])}",
         "the group stays root's: setresgid, before setresuid takes the right to")
    return "1000"


@fact(2, "--uid 1000 --cap-add NET_RAW keeps the capability",
      "crabcan step 6 --uid 1000 --cap-add NET_RAW -- grep Cap /proc/self/status")
def keeps(machine):
    if not machine.many_ids:
        raise Absent("needs a range of ids in /etc/subuid and /etc/subgid, and newuidmap")
    answer = machine.crabcan("--uid", 1000, "--cap-add", "NET_RAW",
                             sh="grep CapEff /proc/self/status", step=6)
    must("0000000000002000" in answer.out, answer.error or answer.out, "a change from root to a "
         "user clears the permitted set: PR_SET_KEEPCAPS before it, so that chapter 6 can decide")
    out = came_up(machine.crabcan("--uid", 1000, sh="grep CapEff /proc/self/status")).out
    must("0" * 16 in out, out, "without --cap-add the user has none")
    return "CapEff 2000"
