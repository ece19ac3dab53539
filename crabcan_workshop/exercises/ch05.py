"""Chapter 5: the facts about users, IPC, network, cgroups, time and keys."""
import re

from .facts import Absent, came_up, collector, equal, must, number, property_of, swallowed

FACTS, fact = collector()
ipc, keys, network, cgroup, clocks = map(property_of, ("ipc", "keys", "network", "cgroup", "time"))
EPERM, ENODEV, EINVAL, EOVERFLOW, EOPNOTSUPP = 1, 19, 22, 75, 95
NEWIDMAPS = ("newuidmap", "newgidmap")
LOST = ("a change from root to a user clears the permitted set: PR_SET_KEEPCAPS before it, so that "
        "chapter 6 can decide")
UNMAPPED = {f"setres{kind}": f"in there {kind} 0 is none: {kind}_map maps it, and was not written so"
            for kind in ("uid", "gid")}
RANGE = "needs a range of ids in /etc/subuid and /etc/subgid"


def reason(machine, answer, *options, step=None, before=()):
    """Why a container did not come up, as far as the calls that were made tell; "" if they do not."""
    failed = answer.failed or {}
    call, error = failed.get("call"), failed.get("errno")
    made = machine.calls(*options, step=step, before=before)[1]
    maps = {}
    for side, name, rest in made:
        found = name == "write" and re.search(r"/(uid_map|gid_map)', '([^']*)", rest)
        if found:
            maps[found[1]] = side, found[2]
    inside = [name for name, (side, _) in maps.items() if side == "child"]
    child = [name for side, name, _ in made if side == "child"]
    if inside:
        return "who is inside may map only its own id: parent() writes the maps, from outside"
    for name, (_, text) in maps.items():
        if not re.match(r"\d+ \d+ \d+(\\n|$)", text):
            return f"a line of {name} is three numbers: inside, outside, count"
        if not text.startswith("0 "):
            return f"the first column of {name} is the inside, and there it begins with 0"
    if call == "setresgid" and "setresuid" in child[:-1] and error == EPERM:
        return "setresgid comes first: setresuid gives the right to it away"
    if not any(name == "clone3" for _, name, _ in made):
        return ""
    if failed.get("about", "").startswith("/proc/self/"):
        return "/proc/self is whoever writes there, and that is the parent: the child's are in /proc/{pid}"
    if call == "setgroups" and any("/setgroups'" in rest for _, name, rest in made if name == "write"):
        return ("\"deny\" was written to its setgroups, and that is for good: only who may not map groups has "
                "to")
    if call in NEWIDMAPS:
        return f"{call} PID INSIDE OUTSIDE COUNT ...: once for each child, with all the lines of its kind"
    if machine.many_ids and not maps:
        return ("without a map nobody can become root: parent() writes uid_map and gid_map of the "
                "child, one line for each range")
    if machine.many_ids and len(maps) == 1:
        return f"{({'uid_map', 'gid_map'} - set(maps)).pop()} was not written"
    lacks = [name for name in UNMAPPED if name not in child]
    if error == EOVERFLOW and lacks:
        return (f"your ids are not mapped yet: child() becomes root first (setgroups, setresgid, setresuid); "
                f"no {' and no '.join(lacks)} was seen")
    if any(name == "unshare" and "NEWUSER" in rest for side, name, rest in made if side == "child"):
        return "unshare made another user namespace, and who is root in that owns none of the others"
    if call == "ioctl" and error == ENODEV:
        return "a new network namespace has one interface, and that is lo"
    if call in UNMAPPED and error == EINVAL:
        return UNMAPPED[call]
    if call == "keyctl" and error in (EINVAL, EOPNOTSUPP):
        return "the operation is wrong: linux.KEYCTL_JOIN_SESSION_KEYRING, and 0 for one without a name"
    return ""


@fact(1, "it comes up, with its map written from outside",
      "crabcan step 5 -- cat /proc/self/uid_map")
def up(machine):
    answer = machine.crabcan(sh="true")
    if answer.status:
        must(False, answer.seen, reason(machine, answer))
    return "so"


@fact(1, "root inside is not root outside", "crabcan step 5 -- cat /proc/self/uid_map")
def users(machine):
    _, outside = machine.probe()
    must(outside["namespaces"]["user"] != machine.host["namespaces"]["user"],
         "the machine's user namespace", "CLONE_NEWUSER is missing")
    if machine.many_ids:
        must(outside["uid"] != 0, "uid 0 outside", "the map gives the container your machine's own "
             "root: map 0 to an id that owns nothing")
        for kind in ("uid_map", "gid_map"):
            seen, other = outside[kind], "gid" if kind == "uid_map" else "uid"
            must(seen != [[0, *machine.ids_of[other]]], seen, f"{kind} has what self.maps has for {other}: each kind its own")
            equal(seen, [[0, *machine.ids_of[kind[:3]]]], f"the whole of self.maps is written to {kind}, "
                  'one line "inside outside count" a range')
    return f"uid {outside['uid']}"


@fact(1, "an ordinary user without a range maps one id, and gives up other groups",
      "setpriv --reuid 7 --regid 7 --clear-groups sh -c '\"$PYTHON\" -P -m crabcan_steps step 5 -- "
      "cat /proc/self/uid_map'")
def alone(machine):
    if not machine.many_ids:
        return came_up(machine.crabcan(sh="true")) and "so it came up"  # the room is such a user's
    uid, gid = number(2000, 30000), number(30001, 60000)
    answer = machine.words("step", "5", "--", "sh", "-c", "cat /proc/self/uid_map /proc/self/gid_map "
                           "/proc/self/setgroups", before=machine.user(uid, gid))
    if answer.status and (answer.failed or {}).get("about", "").endswith("gid_map"):
        made = machine.calls(before=machine.user(uid, gid))[1]
        must(not any(name == "write" and "/setgroups'" in rest for _, name, rest in made), answer.seen, "one line, and it is "
             "that of self.maps[\"gid\"]: an ordinary user may map only the own group")
        must(False, answer.seen, "who may not map groups must first write \"deny\" to setgroups: a "
             "group can also take rights away, and must not be left")
    if (answer.failed or {}).get("call") == "setgroups":
        must(False, answer.seen, "\"deny\" stands in its setgroups: only as root, or with helpers, may it be "
             "called")
    if (answer.failed or {}).get("errno") == EINVAL:
        must(False, answer.seen, UNMAPPED.get(answer.failed["call"], ""))
    seen = " ".join(came_up(answer).out.split())
    return equal(seen, f"0 {uid} 1 0 {gid} 1 deny", "one line for users, one for groups: 0, the own "
                 "id, 1")


@fact(1, "an ordinary user with a range gets it from newuidmap and newgidmap",
      "grep $(id -un) /etc/subuid; crabcan step 5 -- cat /proc/self/uid_map", spare=True)
def helped(machine):
    if not machine.many_ids or not machine.canaries.get("helped"):
        raise Absent("needs newuidmap and newgidmap (Debian's package uidmap) on this machine")
    first = sum(machine.ids)
    answer = machine.words("step", "5", "--", "sh", "-c", "cat /proc/self/uid_map /proc/self/gid_map",
                           before=machine.user(machine.you))
    if answer.status:
        made = machine.calls(before=machine.user(machine.you))[1]
        denied = any(name == "write" and "/setgroups'" in rest for _, name, rest in made)
        lacks = (answer.failed or {}).get("call", "").startswith("set") and not denied
        if (answer.failed or {}).get("call") in NEWIDMAPS:
            must(False, answer.seen, reason(machine, answer, before=machine.user(machine.you)))
        must(False, answer.seen, "a map is missing: self.helped: helper(NEWIDMAP[kind], pid, ...), for each "
             "kind" if lacks else "\"deny\" was written to its setgroups, and that is for good" if denied else "")
    seen = answer.out.split()
    wanted = [f"0 {machine.you} 1", f"1 {first} 20000"] * 2
    return equal(seen, " ".join(wanted).split(), "self.helped: both lines of each map are given to "
                 "helper(NEWIDMAP[kind], pid, ...)") and "two ranges"


@fact(1, "root's files that were added are root's inside",
      "crabcan step 5 --add /home/you:/data -- stat -c %u /data", spare=True)
def shifted(machine):
    if not machine.many_ids:
        raise Absent(RANGE)
    answer = machine.crabcan("-a", "/home/you/thesis:/thesis", sh="stat -c %u /thesis")
    if answer.status == 0 and "cannot shift ids" in answer.err:
        raise Absent("this kernel's tmpfs cannot shift ids")
    return equal(came_up(answer).out.strip(), "0", "as root, parent() makes the owners of self.binds "
                 "the container's: self.shift(pid)")


@fact(1, "it is root inside, with root's group and no other", "crabcan step 5 -- id")
def identity(machine):
    out = came_up(machine.crabcan(sh="id -u; id -g")).out.split()
    must(out[0] == "0", f"uid {out[0]}", "child() becomes the mapped root: setresuid(0, 0, 0)")
    must(out[1] == "0", f"gid {out[1]}", "child() becomes root's group, too: setresgid(0, 0, 0), "
         "before the user")
    _, outside = machine.probe()
    for kind in ("Uid", "Gid"):
        equal(outside[kind], [machine.ids_of[kind.lower()][0]] * 4, f"{kind} outside, real, effective and saved: "
              f"setres{kind.lower()}(0, 0, 0) changes all of them, or a way back stays")
    return "uid 0, gid 0"


@fact(1, "no supplementary group of the caller's",
      "crabcan step 5 -- grep Groups /proc/self/status", spare=True)
def groups(machine):
    if not machine.many_ids:
        raise Absent(RANGE)
    some = f"{number(2, 900)},{number(901, 2000)}"
    out = came_up(machine.words("step", "5", "--", "grep", "Groups", "/proc/self/status",
                                before=["setpriv", "--groups", some, "--"]),
                  setgroups="the caller's groups have no number in here: setgroups(()) lets go of all").out
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
      "crabcan step 5 -- readlink /proc/self/ns/time", spare=True)
def time(machine):
    return clocks(machine, "CLONE_NEWTIME is missing")


@fact(1, "what the kernel refuses is an error", "")
def failing(machine):
    groups = ["setgroups"] if machine.many_ids else []
    return swallowed(machine, [*groups, "setresgid", "setresuid", "unshare", f"ioctl:1={0x8914}"])


@fact(2, "what the kernel refuses is an error, here too", "")
def failing_too(machine):
    swallowed(machine, ["keyctl"])
    if not machine.many_ids:
        return "so"
    return swallowed(machine, ["prctl:0=8", f"setresuid:0={(uid := number(2, 900))}",
                               f"setresgid:0={uid}"], "--uid", str(uid))


@fact(2, "no key of the caller's", "crabcan step 5 -- grep -c . /proc/key-users")
def keyring(machine):
    answer = machine.crabcan(sh="true")
    if (answer.failed or {}).get("call") == "keyctl":
        must(False, answer.seen, reason(machine, answer))
    return keys(machine, "keys have no namespace: child() joins a new session keyring (keyctl)")


SESSION = """
import ctypes, os
from crabcan_steps import ch02_clone, ch09_runtime
from crabcan_steps.ch01_args import Spec
number = {"x86_64": 250}.get(os.uname().machine, 219)
session = lambda: ctypes.CDLL(None).syscall(number, 0, -3, 0)  # KEYCTL_GET_KEYRING_ID
spec = Spec(); spec.command = ("true",)
before = session()
container = ch02_clone.create(spec, ch09_runtime.assemble(spec, 5))
say(before == session())
ch02_clone.delete(container)
"""


@fact(2, "and ours stays as it is: the new keyring is the child's", "")
def own_keyring(machine):
    return must(came_up(machine.script(SESSION)).out.strip() == "True", "the runtime has another",
                "the runtime changed its own session keyring, which all its containers would share: "
                "child() joins one") and "so"


@fact(2, "--uid: user and group, all three of each", "crabcan step 5 --uid 1000 -- id")
def uid(machine):
    if not machine.many_ids:
        raise Absent(RANGE)
    for wanted in number(1, 900), number(1001, 29_000):
        answer = machine.crabcan("--uid", wanted, sh="true")
        if answer.status:
            must(False, answer.seen, reason(machine, answer, "--uid", wanted))
        _, outside = machine.probe("--uid", wanted)
        seen = {kind: [value if value is None else value - machine.ids_of[kind.lower()][0] for value in outside[kind]]
                for kind in ("Uid", "Gid")}
        equal(seen["Uid"], [wanted] * 4, "real, effective and saved user id: setresuid")
        equal(seen["Gid"], [wanted] * 4,
              "the group stays root's: setresgid, before setresuid takes the right to")
    return str(wanted)


@fact(2, "--uid with --cap-add keeps the capability",
      "crabcan step 6 --uid 1000 --cap-add NET_RAW -- grep Cap /proc/self/status")
def keeps(machine):
    if not machine.many_ids:
        raise Absent(RANGE)
    bit, name = [(13, "NET_RAW"), (0, "CHOWN"), (5, "KILL"), (12, "NET_ADMIN")][number(0, 3)]
    wanted = number(1, 29_000)
    answer = machine.crabcan("--uid", wanted, "--cap-add", name, sh="grep CapEff /proc/self/status",
                             step=6)
    if answer.status:
        made = [(call, rest) for side, call, rest in
                machine.calls("--uid", wanted, "--cap-add", name, step=6)[1] if side == "child"]
        last = max((at for at, (call, _) in enumerate(made) if call == "setresuid"), default=0)
        kept = any(call == "prctl" and "KEEPCAPS" in rest and "KEEPCAPS, 0" not in rest for call, rest in made[:last])
        must(False, answer.seen, LOST if last and not kept else reason(
            machine, answer, "--uid", wanted, "--cap-add", name, step=6))
    must(f"{1 << bit:016x}" in answer.out, answer.out.strip(), LOST)
    out = came_up(machine.crabcan("--uid", wanted, sh="grep CapEff /proc/self/status")).out
    must("0" * 16 in out, out, "without --cap-add the user has none")
    return f"CapEff {1 << bit:x}"
