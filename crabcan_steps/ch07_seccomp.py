"""Chapter 7: a filter that sees every system call before the kernel does (seccomp(2)).

Two profiles, both in the form of the OCI runtime specification, each for what it is good at: the
allow-list knows the names of what a program needs, the deny-list looks at arguments. The kernel
asks both, and the stricter answer counts.
"""
import ctypes
import errno
import os
import sys
from contextlib import suppress

from . import linux
from .layer import Layer, LayerError, Stage, named, warn

PROFILES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "profiles")
KNOWN = {"defaultAction", "defaultErrnoRet", "architectures", "syscalls", "comment"}
KNOWN_IN_RULE = {"names", "action", "errnoRet", "args", "comment"}
NAMED = {"default": ("allow-list", "deny-list"), "allow-list": ("allow-list",),
         "deny-list": ("deny-list",)}
KINDS = {list: "a list", str: "a string", int: "a whole number"}
LONGEST = 4096  # instructions, the kernel's BPF_MAXINSNS
WHOLE = b"the end of a filter\n"  # stands at the end of a cached one
REFUSED_ANYWAY = {"BPF", "PERFMON", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_PTRACE",
                  "SYS_RAWIO", "SYS_TIME", "SYS_TTY_CONFIG", "SYSLOG"}  # what these allow


class Program(ctypes.Structure):
    """struct sock_fprog of <linux/filter.h>: a filter, compiled."""
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


class Filter(Layer):
    """System calls that the container's program may make."""
    chapter, name, stage = 7, "seccomp", Stage.SECCOMP
    options = {"seccomp": "--seccomp"}
    cures = {("prctl", errno.EACCES): "needs no_new_privs: do not leave out caps (chapter 6)"}

    def prepare(self, spec, undo):
        paths = [os.path.join(PROFILES, name + ".json") for name in NAMED.get(spec.seccomp, ())]
        self.programs = []
        for name in REFUSED_ANYWAY.intersection(spec.cap_add if spec.seccomp == "default" else ()):
            warn(f"--cap-add {name}: the filter refuses most of its system calls all the same: "
                 "see --seccomp")
        for path in paths or [spec.seccomp]:
            try:
                code = cached(path)
            except (ValueError, KeyError, TypeError) as error:  # not JSON, or not a profile
                raise LayerError(self.name, f"--seccomp {path}", 0, f"{error}") from error
            self.programs.append(Program(len(code) // 8, code))

    def child(self):
        for program in self.programs:
            linux.prctl(linux.PR_SET_SECCOMP, linux.SECCOMP_MODE_FILTER, ctypes.addressof(program))


def cached(path):
    """The compiled profile: from the user's cache, if it was made of these very bytes, here.

    The key is all that goes into a filter, this file too: a mended compiler believes no old work.
    """
    with named(f"--seccomp {path}", open, path, "rb") as file, open(__file__, "rb") as compiler:
        source, maker = file.read(), compiler.read()
    system = os.uname()
    where = f"{system.machine} {system.release} {len(maker)} {len(source)} {linux.NUMBERS}\n"
    key = where.encode() + maker + source
    folder = cache_folder()
    name = os.path.join(folder, os.path.basename(path) + ".bpf")
    try:
        with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            status = os.fstat(file.fileno())
            found = file.read()
        ours = status.st_uid == os.geteuid() and not status.st_mode & 0o022
        if ours and found.startswith(key) and found.endswith(WHOLE):
            return found[len(key):-len(WHOLE)]
    except OSError:
        pass
    code = compiled(source)
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        with suppress(FileNotFoundError):
            os.unlink(name)
        # A new file, which nobody else writes to; if we are killed it lacks its end, and is the
        # next one's to replace. A temporary file would stay for ever.
        with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key + code + WHOLE)
    except OSError:
        pass  # a cache is no promise
    return code


def cache_folder():
    """The user's, as the XDG base directory specification has it: a relative path is none."""
    home = os.environ.get("HOME", os.path.expanduser("~"))
    for base in os.environ.get("XDG_CACHE_HOME", ""), home and f"{home}/.cache":
        if base.startswith("/"):
            return f"{base}/crabcan"
    return "/dev/null/crabcan"  # where nothing can be read or written


def compiled(source):
    """Compiles a profile to BPF, with libseccomp. Raises ValueError, naming what is wrong in it."""
    import json  # these two only now: 40 ms, and most of the time the cache has the answer

    import pyseccomp
    try:
        profile = json.loads(source, object_pairs_hook=once)
    except RecursionError:
        raise ValueError("nested too deep") from None
    understood(profile, KNOWN)
    default = action(pyseccomp, profile, "defaultAction", "defaultErrnoRet")
    rules = pyseccomp.SyscallFilter(default)
    # i386 and x32 are other doors to the same calls: whoever knocks there is killed.
    rules.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)
    actions = {}  # number of a call -> what its rules do
    for rule in value(profile, "syscalls", list):
        understood(rule, KNOWN_IN_RULE)
        does = action(pyseccomp, rule, "action", "errnoRet")
        tests = comparisons(pyseccomp, value(rule, "args", list, []))
        for name in value(rule, "names", list) or refuse("names", "names no call"):
            number = resolve(pyseccomp, name)
            if number is None and does != pyseccomp.ALLOW:
                refuse(name, "libseccomp does not know this call, so it cannot be refused")
            if number is not None and actions.setdefault(number, does) != does:
                refuse(name, "has rules with different actions, and which of them counts?")
            if number is not None and does != default:
                rules.add_rule(does, number, *tests)
    with open(os.memfd_create("filter"), "w+b") as file:
        rules.export_bpf(file)
        file.seek(0)
        code = file.read()
    if len(code) > 8 * LONGEST:
        refuse("syscalls", f"too many: {len(code) // 8} instructions, the kernel takes {LONGEST}")
    return code


def refuse(word, why):
    raise ValueError(f"{word}: {why}")


def once(pairs):
    """A JSON object, if it says nothing twice: the last word would count, in silence."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            refuse(name, "said twice")
    return dict(pairs)


def understood(words, known):
    """Refuses what we would pass over, such as Docker's "includes", which makes a rule conditional.

    `architectures` may stand there: other ABIs stay shut whatever it says."""
    if type(words) is not dict:
        raise TypeError(f"an object is wanted, with keys such as {min(known)}, not {words!r:.60}")
    for word in words:
        if word not in known:
            refuse(word, "not understood, and a rule half understood is none")


def value(words, key, kind, otherwise=None, most=None):
    """A value of just the kind that it must be; `otherwise` if it may be missing and is."""
    found = words.get(key)
    if found is None:
        return refuse(key, "missing") if otherwise is None else otherwise
    if type(found) is not kind:  # True is an int to isinstance
        refuse(key, f"{KINDS[kind]} is wanted, not {found!r:.60}")
    if most is not None and not 0 <= found <= most:  # ctypes would cut off the rest, in silence
        refuse(key, f"must be from 0 to {most}, not {found!r:.60}")
    return found


def action(pyseccomp, words, key, errno_key):
    """An action of the specification, such as SCMP_ACT_ERRNO, as libseccomp's number."""
    name = value(words, key, str)
    number = value(words, errno_key, int, -1, most=4095)  # the kernel's MAX_ERRNO
    kind = name.removeprefix("SCMP_ACT_")
    if kind == "ERRNO":
        return pyseccomp.ERRNO(errno.EPERM if number == -1 else number)
    if kind not in ("ALLOW", "KILL", "KILL_PROCESS", "TRAP", "LOG"):
        raise ValueError(f"unknown action {name}")
    if number != -1:
        refuse(errno_key, f"{name} returns no errno")
    return getattr(pyseccomp, kind)


def comparisons(pyseccomp, args):
    """All that a rule asks about a call's arguments; each must be so."""
    tests = [test(pyseccomp, words) for words in args]
    indexes = [words["index"] for words in args]
    for index in indexes:
        if indexes.count(index) > 1:
            refuse(f"argument {index}", "libseccomp compares each only once in a rule")
    return tests


def test(pyseccomp, words):
    """A comparison with an argument of the call: {"index", "op", "value", "valueTwo"}."""
    understood(words, {"index", "op", "value", "valueTwo"})
    name = value(words, "op", str)
    op = name.removeprefix("SCMP_CMP_")
    one, two = (value(words, key, int, otherwise, most=2**64 - 1)
                for key, otherwise in (("value", None), ("valueTwo", 0)))
    if op not in ("EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ"):
        raise ValueError(f"unknown comparison {name}")
    if two & ~(one if op == "MASKED_EQ" else 0):
        refuse("valueTwo", f"{two} means nothing beside {name} {one}")
    return pyseccomp.Arg(value(words, "index", int, most=5), getattr(pyseccomp, op), one, two)


def resolve(pyseccomp, name):
    """A call's number; from our own table if libseccomp is older than the call; None if unknown."""
    if type(name) is not str or not name.isidentifier():  # C would read only as far as a NUL
        refuse("names", f"{name!r:.60} is not the name of a call")
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    return linux.NUMBERS.get(name) if number == -1 else number


if __name__ == "__main__":
    from crabcan_steps.ch09_runtime import main  # the door to all checkpoints
    sys.exit(main(["step", "7", *sys.argv[1:]]))
