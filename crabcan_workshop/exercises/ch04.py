"""Chapter 4: the facts about files and mounts."""
import os

from crabcan_steps.mounts.furniture import HIDDEN, STEERING

from .facts import Absent, came_up, collector, drawn, equal, must, property_of, refused, swallowed

FACTS, fact = collector()
files, mounts, proc = property_of("files"), property_of("mounts"), property_of("proc")
EBUSY, EEXIST, EINVAL, EROFS = 16, 17, 22, 30
PLACES = ("/proc/self", "/sys/fs", "/dev/null", "/dev/pts/ptmx", "/dev/shm", "/dev/fd", "/etc/passwd",
          "/etc/hosts", "/usr/bin", "/tmp", "/root")
ESCAPE = """
import os
try:
    os.makedirs("/tmp/x"); old = os.open("/", os.O_RDONLY); os.chroot("/tmp/x"); os.fchdir(old)
    for _ in range(20): os.chdir("..")
    os.chroot(".")
except OSError: pass
if not os.path.exists("/home/you/thesis"):  # or: take the new root off
    import ctypes
    libc = ctypes.CDLL(None)
    namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY) if os.path.exists("/proc/self") else -1
    libc.umount2(b"/", 2); libc.setns(namespace, 0x20000)
print(os.path.exists("/home/you/thesis"))
"""

def sequence(machine, *options):
    """Why the change of root failed, as far as the calls that were made tell; None if they do not."""
    answer, made = machine.calls(*options)
    calls = [(call, rest) for side, call, rest in made if side == "child"]
    names = [call for call, _ in calls]
    if "pivot_root" not in names:
        return None
    before = names[:names.index("pivot_root")]
    rest = calls[len(before)][1]
    if rest.startswith("'/'"):
        return '"/" is the old root still: fchdir(root), and then "." is the new one'
    if "umount2" in before:
        return "umount2 came before pivot_root: what it detached is gone, and \".\" with it"
    if not any(call == "mount_setattr" and "MS_PRIVATE" in rest for call, rest in calls):
        return "the tree is still shared: MS_PRIVATE, the whole of it (AT_RECURSIVE), comes first"
    if rest.startswith("'.'") and not {"fchdir", "chdir"} & set(before):
        return "the working directory is not the new root: fchdir(root) comes before pivot_root"
    roots = [words.rstrip(")").split(")")[0] for call, words in calls if call == "fchdir"]
    moved = [words.split(",")[0] for call, words in calls if call == "move_mount"]
    if roots and roots[0] not in moved:
        return "the new root hangs nowhere yet: move_mount(root, ...) comes before pivot_root"
    return None


@fact(1, "it comes up, and the machine's mounts are as before", "crabcan step 4 -- true; findmnt")
def up(machine):
    answer = machine.crabcan(sh="true")
    call = (answer.failed or {}).get("call")
    if call == "pivot_root":
        must(False, answer.seen, sequence(machine) or "")
    if call == "fsmount" and any(call == "umount2" for _, call, _ in machine.calls()[1]):
        must(False, answer.seen, "parts are made before the old root goes: who sees no proc any more gets no "
             "other of the kernel")
    if call == "umount2" and answer.failed["errno"] == EBUSY:
        must(False, answer.seen, "the old root is in use, by all that hangs from it: MNT_DETACH")
    if call == "mount_setattr" and answer.failed["errno"] == EINVAL:
        must(False, answer.seen, "MS_PRIVATE is no attribute: propagation=linux.MS_PRIVATE")
    if call == "mkdir" and answer.failed["errno"] == EEXIST:
        must(False, answer.seen, "the parts are made once each, in the order of self.plan, and in the new root: "
             "part.make(root)")
    if call == "execve" or answer.status in (126, 127):
        must(False, answer.seen, "no program is found in there: was the new root entered, and are its "
             "parts made?")
    came_up(answer)
    return "so"


def unchanged(machine):
    """Whether the container's root is the machine's own, as though child() had done nothing."""
    key = ("unchanged", machine.alone)
    if key not in machine.kept:
        answer = machine.crabcan(sh="[ -e /course/crabcan_steps ] && echo the same; true")
        machine.kept[key] = answer.out == "the same\n"
    return machine.kept[key]


@fact(1, "every part of the plan is there", "crabcan step 4 -- ls / /dev /proc/self /etc")
def parts(machine):
    answer = machine.crabcan(sh=f"ls -d {' '.join(PLACES)}; (echo end >/dev/null) && echo ok")
    out = answer.out.split()
    must(out, answer.seen)
    must(not unchanged(machine), "the machine's own /", "its root is still the machine's: child() is to make "
         "another and to enter it")
    missing = [place for place in PLACES if place not in out]
    gone = {"/proc/self", "/sys/fs", "/dev/pts/ptmx", "/dev/shm"} <= set(missing)
    must(not missing, f"no {' '.join(missing)}",
         "prepare() left out furniture()" if gone else "child() makes each part of self.plan in the "
         "new root")
    must(out[-1] == "ok", "/dev/null takes nothing", "child() makes each part of self.plan, devices too")
    proc(machine, "the covers are missing: the whole of /proc shows")
    _, outside = machine.probe()
    there = {words[4] for words in outside["mounts"]}
    bare = [path for path in (*HIDDEN, *STEERING) if os.path.exists(path) and path not in there]
    must(not bare, f"nothing over {' '.join(bare)}", "child() makes each part of self.plan, from the first to the last")
    return "so"


@fact(1, "the root is read-only if that was asked for, and else it is not",
      "crabcan step 4 --read-only -- touch /x")
def asked(machine):
    for options, wanted in ((["--read-only"], "ro"), ([], "rw")):
        answer = machine.crabcan(*options, sh="true")
        if (answer.failed or {}).get("errno") == EROFS:
            must(False, answer.seen, "the order: the root becomes read-only after its parts are made")
        came_up(answer)
        _, outside = machine.probe(*options)
        seen = next((words[5] for words in outside["mounts"] if words[4] == "/"), "no mount")
        must(wanted in seen.split(","), seen, "if self.read_only: mount_setattr with MOUNT_ATTR_RDONLY on the new "
             "root, and only then")
    return "so"


@fact(1, "a mount namespace, and another root", "crabcan step 4 -- findmnt /")
def own(machine):
    return mounts(machine, "its / is the machine's own")


@fact(1, "the old root is let go of", "crabcan step 4 -- findmnt")
def old_root(machine):
    _, outside = machine.probe()
    seen = [words[4] for words in outside["mounts"]]
    must(seen.count("/") == 1, f"{seen.count('/')} mounts at /", "the old root is still there, "
         "mounted over the new one or below it: detach it (umount2 with MNT_DETACH)")
    fds = []
    machine.crabcan(command=["/usr/bin/python3", "-I", "-c", "print(1, flush=True); input()"],
                    watch=lambda found: fds.extend(machine.sight.fds(found["pid"])))
    must(fds == [0, 1, 2], f"descriptors {' '.join(map(str, fds))}", "a descriptor of the old root is a "
         "way back into it: close it")
    return f"{len(seen)} mounts, one at /"


@fact(1, "no way back out", "")
def escape(machine):
    out = came_up(machine.crabcan(python=ESCAPE)).out.strip()
    _, outside = machine.probe()
    stacked = [words[4] for words in outside["mounts"]].count("/") > 1
    must(out == "False", "the machine's files", "" if stacked or unchanged(machine) else "chroot only changes what / "
         "means, and root walks out of it: pivot_root, then detach the old root")
    return "no"


@fact(1, "the machine's files are out of reach", "crabcan step 4 -- ls /home")
def hidden(machine):
    return files(machine, "a file of the machine's could be opened")


@fact(1, "what the kernel refuses is an error", "")
def failing(machine):
    swallowed(machine, ["pivot_root", "move_mount", "symlinkat", "mount_setattr:2=0x8000"])
    return must(machine.refusing("mount_setattr", "--read-only").status == 125, "it starts although the "
                "kernel refuses mount_setattr", "its error must come home") and "so"


@fact(2, "the plan has what every program expects of a machine", "crabcan step 4 -- ls /proc /sys /dev")
def furnished(machine):
    answer = machine.crabcan(sh="ls -d /proc/self /sys/fs /dev/null /etc/passwd; true")
    out = came_up(answer).out.split()
    missing = [place for place in ("/proc/self", "/sys/fs", "/dev/null") if place not in out]
    must(len(missing) < 3, f"no {' '.join(missing)}", "prepare() left out furniture()")
    must("/etc/passwd" in out, "no /etc/passwd", "own_root(spec) gives the root, and its parts")
    return must(not missing, f"no {' '.join(missing)}") or "so"


@fact(2, "--read-only: nobody writes to the root", "crabcan step 4 --read-only -- touch /x")
def read_only(machine):
    answer = machine.crabcan("--read-only", sh="touch /x 2>&1 && echo written; touch /dev/shm/x /tmp/x && "
                             "echo shm; true")
    if (answer.failed or {}).get("errno") == EROFS:
        must(False, answer.seen, "the order: the root becomes read-only after its parts are made")
    came_up(answer)
    must("written" not in answer.out, "a new file in /", "self.read_only: mount_setattr with "
         "MOUNT_ATTR_RDONLY on the root, after its parts are made")
    shm = came_up(machine.crabcan("--read-only", sh="touch /dev/shm/x && echo shm; true")).out
    must(shm or not machine.crabcan(sh="[ -e /dev/shm ] || echo none").out, "no /dev/shm")
    must(shm, "/dev/shm is read-only, too", "only the root is to be read-only, not what is mounted in "
         "it: no AT_RECURSIVE")
    _, outside = machine.probe("--read-only")
    root = next(words for words in outside["mounts"] if words[4] == "/")
    must("ro" in root[5].split(","), root[5], "the mount itself is to be read-only")
    must(came_up(machine.crabcan(sh="touch /x && echo written; true")).out == "written\n",
         "read-only without the option",
         "without --read-only the root can be written to")
    return "so"


def folder(machine):
    """A new directory of the machine's with a file, both with names of this check's: (path, text)."""
    path, text = f"/home/you/{drawn()}", drawn()
    machine.shell(f"mkdir {path} && echo {text} >{path}/letter && chmod 755 {path}")
    return path, text


@fact(2, "--add: paths of the host's, writable, or not with :ro",
      "crabcan step 4 --add /home/you:/data:ro -- touch /data/x")
def add(machine):
    (one, first), (two, second) = folder(machine), folder(machine)
    here, there = f"/{drawn()}", f"/{drawn()}"
    for ro, rw in ((here, there), (there, here)):
        answer = machine.crabcan("-a", f"{one}:{ro}:ro", "-a", f"{two}:{rw}", sh=f"""
            cat {ro}/letter; cat {rw}/letter; touch {ro}/a 2>/dev/null || echo refused
            touch {rw}/a && echo made""")
        if (answer.failed or {}).get("about", "").startswith((f"--add {ro}:{one}", f"--add {rw}:{two}")):
            must(False, answer.seen, "each of spec.add is (host, container, read-only), in this order")
        if (answer.failed or {}).get("about", "") in (ro, rw):
            must(False, answer.seen, "the container's path was looked for on the host: Bind(host, target, ...)")
        if not answer.out:
            came_up(answer)
        out = answer.out.split()
        must(first in out and second in out, f"{len(set(out) & {first, second})} of 2 are there",
             "each of spec.add becomes a Bind at the end of the plan: (host, container, read-only)")
        must("refused" in out, "written", ":ro was asked for, and a file could be made")
        must("made" in out, "read-only", "without :ro it can be written to")
    return "so"


@fact(2, "what is added brings no power: nosuid, nodev", "crabcan step 4 --add /home/you:/data -- findmnt /data")
def locked(machine):
    place = f"/{drawn()}"
    for end in "", ":ro":
        _, outside = machine.probe("-a", f"{folder(machine)[0]}:{place}{end}")
        seen = next((words[5] for words in outside["mounts"] if words[4] == place), "no mount")
        must({"nosuid", "nodev"} <= set(seen.split(",")), seen, "a set-user-ID file or a device in it "
             "would work inside: LOCKED, or READ_ONLY, which is LOCKED and read-only")
    return "so"


@fact(2, "what is added comes last, over what every container has",
      "crabcan step 4 --add /home/you:/dev/shm -- ls /dev/shm")
def last(machine):
    path, text = folder(machine)
    answer = machine.crabcan("-a", f"{path}:/dev/shm", sh="cat /dev/shm/letter; true")
    came_up(answer)
    _, outside = machine.probe("-a", f"{path}:/dev/shm")
    covered = [words[4] for words in outside["mounts"]].count("/dev/shm") > 1
    return must(text in answer.out, "not there", "it was covered by what was mounted after it: spec.add comes "
                "at the end of the plan, after furniture()" if covered else "") and "so"


@fact(2, "chapter 5 can shift its owners: root's files are root's inside",
      "crabcan step 5 --add /home/you:/data -- stat -c %u /data", spare=True)
def shifted(machine):
    if not machine.many_ids:
        raise Absent("needs a range of ids in /etc/subuid and /etc/subgid")
    path, _ = folder(machine)
    answer = machine.crabcan("-a", f"{path}:/data", step=5, sh="stat -c %u /data; touch /data/new && "
                             "echo made; true")
    if answer.status == 0 and "cannot shift ids" in answer.err:
        raise Absent("this kernel's tmpfs cannot shift ids")
    seen = came_up(answer).out.split()
    equal(seen[:1], ["0"], "chapter 5 shifts what is in spec.binds and was asked for (Bind(..., asked=True)), "
          "opened here if we are root")
    return must("made" in seen, "no file can be made in it", "without :ro it can be written to") and "0"


@fact(2, "a path that does not exist is refused before anything is made",
      "crabcan step 4 --add /nowhere:/x -- true")
def missing(machine):
    path = f"/{drawn('nowhere')}"
    answer, made = machine.calls("-a", f"{path}:/x")
    must(answer.status == 125, f"status {answer.status}", "a missing path is an error" if
         answer.status == 0 else "")
    refused(machine.crabcan("-a", f"{path}:/x", sh="true"), 125, "--add", path)
    return must("clone3" not in [call for _, call, _ in made], "a child was started first",
                "look in prepare(): what can fail early, fails before there is anything") and "so"


@fact(2, "--mount: the root is a directory of yours", "crabcan step 4 --mount / -- ls -d /home")
def mount(machine):
    path, text = folder(machine)
    answer = machine.crabcan("-m", "/", sh=f"cat {path}/letter; true")
    if not answer.out:
        came_up(answer)
    return equal(answer.out.strip(), text, "--mount was ignored: spec.mount names the root, "
                 "given_root(spec)")


ROOT = """mkdir -p {0}/usr {0}/etc; for n in bin lib lib64 sbin; do [ -e /usr/$n ] && ln -s usr/$n {0}/$n; done
ls -A {0}"""


@fact(2, "and nothing is made in it", "mkdir /tmp/r; crabcan step 4 --mount /tmp/r -a /usr:/usr -- /usr/bin/env; ls /tmp/r")
def untouched(machine):
    path = f"/home/you/{drawn()}"
    before = machine.shell(ROOT.format(path))["out"]
    answer = machine.crabcan("-m", path, "-a", "/usr:/usr", sh="echo up")
    after = machine.shell(f"ls -A {path}")["out"]
    more = sorted(set(after.split()) - set(before.split()))
    must(not more, f"{' '.join(more)} in the user's directory", "places for /proc, /sys and /dev were "
         "made in it: given_root(spec) knows how to do without")
    return came_up(answer) and "so"
