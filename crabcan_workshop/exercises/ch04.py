"""Chapter 4: the facts about files and mounts."""
from .facts import came_up, collector, equal, must, property_of

FACTS, fact = collector()
files, mounts, proc = property_of("files"), property_of("mounts"), property_of("proc")
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


@fact(1, "it comes up, and the machine's mounts are as before", "crabcan step 4 -- true; findmnt")
def up(machine):
    answer = machine.crabcan(sh="true")
    if "pivot_root" in answer.err:
        must(False, answer.error, "EINVAL from pivot_root has two usual causes: the tree is still "
             "shared, or the working directory is not the new root (fchdir first)")
    came_up(answer)
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
    return f"{len(seen)} mounts, one at /"


@fact(1, "no way back out", "chroot(2) on how to leave; or: umount -l / and setns(2) into one's "
      "own mount namespace")
def escape(machine):
    out = came_up(machine.crabcan(python=ESCAPE)).out.strip()
    must(out == "False", "the machine's files", "chroot only changes what / means, and root walks "
         "out of it: pivot_root, then detach the old root")
    return "no"


@fact(1, "the machine's files are out of reach", "crabcan step 4 -- ls /home")
def hidden(machine):
    return files(machine, "a file of the machine's could be opened")


@fact(1, "every part of the plan is there", "crabcan step 4 -- ls / /dev /proc/self /etc")
def parts(machine):
    places = "/proc/self /dev/null /dev/pts/ptmx /etc/passwd /usr/bin /tmp"
    out = machine.crabcan(sh=f"ls -d {places}").out.split()
    must(len(out) == 6, f"only {' '.join(out)}",
         "child() makes each part of self.plan in the new root")
    proc(machine, "the covers are missing: the whole of /proc shows")
    return "so"


@fact(2, "--read-only: nobody writes to the root", "crabcan step 4 --read-only -- touch /x")
def read_only(machine):
    answer = machine.crabcan("--read-only",
                             sh="touch /x && echo written; touch /dev/shm/x && echo shm")
    must("written" not in answer.out, "a new file in /", "self.read_only: mount_setattr with "
         "MOUNT_ATTR_RDONLY on the root, after its parts are made")
    came_up(answer)
    must(came_up(machine.crabcan(sh="touch /x && echo written")).out == "written\n",
         "read-only without the option",
         "without --read-only the root can be written to")
    return "so"


@fact(2, "--add: a path of the host's, writable, or not with :ro",
      "crabcan step 4 --add ~/data:/data:ro -- touch /data/x")
def add(machine):
    folder = "/home/you"
    out = came_up(machine.crabcan("-a", f"{folder}:/data",
                                  sh="cat /data/thesis; touch /data/a && echo rw")).out
    must("years of work" in out, "nothing at /data",
         "each of spec.add becomes a Bind at the end of the plan")
    must("rw" in out, "read-only", "without :ro it can be written to")
    answer = machine.crabcan("-a", f"{folder}:/data:ro", sh="touch /data/b || echo refused")
    return equal(came_up(answer).out.strip(), "refused",
                 ":ro was asked for, and a file could be made")


@fact(2, "a path that does not exist is refused before anything is made",
      "crabcan step 4 --add /nowhere:/x -- true")
def missing(machine):
    answer = machine.crabcan("-a", "/nowhere:/x", sh="true")
    must(answer.status == 125, f"status {answer.status}", "a missing path is an error")
    return must("--add /nowhere:/x" in answer.error and "stat" in answer.error, answer.error,
                "look in prepare() (linux.stat by way of named()): the error then names the option")


@fact(2, "--mount: the root is a directory of yours", "crabcan step 4 --mount / -- ls -d /home")
def mount(machine):
    answer = came_up(machine.crabcan("-m", "/", sh="cat /home/you/thesis"))
    return equal(answer.out.strip(), "years of work", "spec.mount names the root: given_root(spec)")
