"""After the change of root the file system is the container's: an import would run its code as us.

Three proofs that none happens, in success and failure: strace sees every call between pivot_root
and execve; an audit hook sees what Python does; and a root full of booby traps sees who steps on
them. Each is shown to see something, too: the last actions of AFTER are what must not be done.
"""
import ctypes
import os
import re
import shlex
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # left out by --fast

SCRIPT = """
import os, pwd, sys, traceback
from crabcan_steps import ch01_args, ch09_runtime, linux
from crabcan_steps.layer import Layer, LayerError, Stage

def fail(error): raise error

AFTER = {
    "nothing": lambda: None,
    "value error": lambda: fail(ValueError("\\u2713")),
    "no error of ours": lambda: fail(type("Odd", (Exception,), {"__str__": lambda self: 1 / 0})()),
    "exit": lambda: fail(SystemExit(0)),
    "interrupt": lambda: fail(KeyboardInterrupt()),
    "deep": lambda: (lambda f: f(f))(lambda f: f(f)),
    "uid": lambda: linux.setresuid(999999999, 0, 0),
    "import": lambda: __import__("this"),
    "traceback": lambda: traceback.print_stack(),
    "codec": lambda: "x".encode("booby"),
    "nss": lambda: pwd.getpwnam("booby"),
}

class After(Layer):
    chapter, name, stage = 9, "after", Stage.LIMITS
    def child(self):
        AFTER[sys.argv[1]]()

class Spy:
    layer, on = None, False
    def __call__(self, call, args, options, result, errno, microseconds):
        self.on = self.on or call == "pivot_root" and not errno

def hook(event, args):
    if spy.on and event in EVENTS:
        os.write(2, f"audit: {event} {args[0]!r:.80}\\n".encode())

EVENTS = ("import", "open", "ctypes.dlopen", "exec", "compile", "code.__new__", "marshal.loads")
if sys.argv[2] != "-":
    spy = Spy()
    linux.observer = spy
    sys.addaudithook(hook)
spec = ch01_args.parse(sys.argv[3:])
layers = [*ch09_runtime.assemble(spec, 9), After()]
try:
    sys.exit(ch09_runtime.run(spec, layers))
except LayerError as error:
    sys.exit(ch09_runtime.report(error, layers))
"""
WAYS = [  # what After does, the command, the exit status
    ("nothing", ["--", "/bin/cat", "/hello"], 0), ("nothing", ["--", "/bin/nosuch"], 127),
    ("nothing", ["--", "nosuch"], 127), ("nothing", ["--", "/hello"], 126),
    ("nothing", ["--workdir", "/no/such", "--", "/bin/cat"], 125),
    ("nothing", ["--uid", "7", "--", "/bin/cat", "/hello"], 0),
    ("nothing", ["--init", "--", "/bin/cat", "/hello"], 0), ("nothing", ["--init", "--", "nosuch"], 127),
    ("value error", ["--", "/bin/cat"], 125), ("no error of ours", ["--", "/bin/cat"], 125),
    ("exit", ["--", "/bin/cat"], 125), ("interrupt", ["--", "/bin/cat"], 125),
    ("deep", ["--", "/bin/cat"], 125), ("uid", ["--", "/bin/cat"], 125)]
WRONG = ("import", "traceback", "codec", "nss")
IDS = ["-".join(words).replace("/", "") for words in ((after, *command) for after, command, _ in WAYS)]
LOOKED_AT = ("/bin/nosuch", "/etc/hostname", *(f"{folder}/nosuch" for folder in (
    "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")))


def start(who, after, command, before=(), hook="-", **options):
    return subprocess.run([*before, *who.python, "-P", "-c", SCRIPT, after, hook, *command], cwd="/",
                          env=who.environment, text=True, capture_output=True, timeout=60, **options)


# ---------------------------------------------------------------- booby traps

class Traps:
    """A root with one program and nothing but traps where Python and libc look for their files."""

    SNAP = "# -*- coding: {} -*-\nopen('/trapped', 'a').write(__name__ + '\\n')\n"

    def __init__(self, who, folder):
        self.folder = folder
        for name in ("proc", "sys", "dev", "bin", "etc"):
            (folder / name).mkdir()
        (folder / "hello").write_text("hello\n")
        self.program("/bin/cat")
        self.names = set()
        for path in who.script("import sys, os; print(*filter(None, sys.path), sep='\\n')").stdout.split():
            self.python(path)
        ours = f"{os.uname().machine}-linux-gnu"
        for path in f"/lib/{ours}", f"/usr/lib/{ours}", "/lib64", "/usr/lib64", "/lib", "/usr/lib":
            for name in ("files", "compat", "systemd", "dns", "booby"):
                self.lay(f"{path}/libnss_{name}.so.2", "not a library")
        self.lay("/etc/nsswitch.conf", "passwd: booby\ngroup: booby\n")
        for name in "/etc/passwd", "/etc/group", "/etc/locale.alias", "/etc/localtime", "/usr/lib/gconv-modules":
            self.lay(name, "a trap")
        subprocess.run(["chown", "-R", "--reference", folder, *folder.iterdir()], check=True)
        self.watch()

    def program(self, path):
        shutil.copy(path, self.folder / path[1:])
        for library in re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", path], text=True, check=True,
                                                                 capture_output=True).stdout):
            (self.folder / library[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, self.folder / library[1:])

    def python(self, path):
        """Every module of the standard library's, every file of ours, and a codec that none has."""
        import sys
        for name in {*sys.stdlib_module_names, "prctl", "pyseccomp", "sitecustomize", "usercustomize"}:
            self.lay(f"{path}/{name}.py", self.SNAP.format("utf-8"))
        for name in ("__init__", "aliases", "utf_8", "ascii", "latin_1", "idna", "booby"):
            self.lay(f"{path}/encodings/{name}.py", self.SNAP.format("utf-8"))
        ours = Path(path, "crabcan_steps")
        for file in ours.rglob("*.py") if ours.is_dir() else ():
            self.lay(str(file), self.SNAP.format("booby"))
        self.lay(f"{path}/lib-dynload/_curses.so", "not a library")

    def lay(self, path, text):
        file = self.folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.names.add(file.name)

    def watch(self):
        """Lets the kernel tell of every trap that is opened (inotify(7)), executed or not."""
        libc = ctypes.CDLL(None, use_errno=True)
        self.inotify = libc.inotify_init1(os.O_NONBLOCK)
        for folder, _, files in os.walk(self.folder):
            if self.names & set(files):
                assert libc.inotify_add_watch(self.inotify, os.fsencode(folder), 0x20) > 0  # IN_OPEN

    def snapped(self):
        """The traps that somebody has stepped on since the last look."""
        names = []
        try:
            data = os.read(self.inotify, 1 << 20)
        except BlockingIOError:
            data = b""
        while data:
            size = struct.unpack_from("iIII", data)[3]
            names.append(data[16:16 + size].rstrip(b"\0").decode())
            data = data[16 + size:]
        mark = self.folder / "trapped"
        executed = [f"executed: {name}" for name in mark.read_text().split()] if mark.exists() else []
        mark.unlink(missing_ok=True)
        return [name for name in names if name in self.names] + executed


@pytest.fixture
def traps(who, folder):
    traps = Traps(who, folder)
    yield traps
    os.close(traps.inotify)


def test_nobody_steps_on_a_trap(who, traps):
    for after, command, status in WAYS:
        result = start(who, after, ["-m", str(traps.folder), *command])
        assert result.returncode == status and "Traceback" not in result.stderr, (after, command, result)
        read = {"passwd", "group"} if "--uid" in command else set()  # by us, before clone, as text
        assert set(traps.snapped()) == read, (after, command)


def test_the_traps_snap(who, traps):
    for after in WRONG:
        start(who, after, ["-m", str(traps.folder), "--", "/bin/cat"])
        found = traps.snapped()
        assert found, f"a proof that does not see {after}"
        assert after != "import" or "executed: this" in found


# ---------------------------------------------------------------- strace

OURS = {"umount2", "chdir", "fchdir", "unshare", "socket", "ioctl", "close", "prlimit64", "setsid", "prctl",
        "setgroups", "setresgid", "setresuid", "capset", "getcwd", "umask", "close_range", "fchown",
        "rt_sigaction", "rt_sigprocmask", "execve", "exit_group",
        "brk", "munmap", "mremap", "madvise", "restart_syscall"}  # memory
TERMINAL = {"dup2", "dup3", "fchown", "sendmsg"}
INIT = {"clone", "wait4", "kill", "alarm", "rt_sigreturn"}  # process 1 to its end


def whole(lines):
    """strace's lines, with those in one that it wrote in two, because another process's call came between."""
    begun, found = {}, []
    for line in lines:
        process = line.split()[0]
        if rest := re.match(r"\d+ +<\.\.\. \w+ resumed>(.*)", line):
            found[begun[process]] = found[begun[process]].removesuffix(" <unfinished ...>") + rest[1]
        else:
            begun[process] = len(found)
            found.append(line)
    return found


def strange(log, terminal=False, init=False):
    """The calls between pivot_root and execve that are none of those that we mean to make."""
    lines = whole(log.read_text().splitlines())
    at = next(i for i, line in enumerate(lines) if re.search(r"pivot_root\(.*= 0$", line))
    child = lines[at].split()[0]
    found, failed, seen = [], False, 0
    killed = any(re.match(rf"{child} +\+\+\+ killed", line) for line in lines[at:])
    others = {line.partition(" ")[2].strip() for line in lines if not line.startswith(f"{child} ")}
    for line in lines[at + 1:]:
        if killed and line.endswith("<unfinished ...>") and line.partition(" ")[2].strip() in others:
            continue  # killed on its way into a call: strace shows the call of whom it asked before
        call = re.match(rf"{child} +(\w+)\(", line)
        if not call:
            continue
        name, seen = call[1], seen + 1
        if name == "execve":
            if line.endswith("= 0"):
                break
            failed = True
        path = re.match(r'\d+ +openat\(AT_FDCWD, "([^"]*)"', line)
        talk = re.match(r"\d+ +(read|write)\((\d+)", line)  # with the parent: not through 0, 1 or 2
        workdir = name == "openat2" and "O_PATH|O_DIRECTORY, resolve=RESOLVE_NO_MAGICLINKS}" in line
        ptmx = terminal and re.match(r'\d+ +openat\(\d+, "ptmx"', line)  # below /dev/pts's descriptor
        good = (name in OURS or workdir or ptmx or talk and int(talk[2]) > 2
                or terminal and name in TERMINAL or init and name in INIT
                or name == "mmap" and "MAP_ANONYMOUS" in line
                or failed and name in ("newfstatat", "stat", "statfs")
                or path and (failed and path[1] in LOOKED_AT))
        if not good:
            found.append(line)
    assert seen > 10, "the trace is not that of a set-up"
    return found


def test_a_call_in_two_lines_is_one():
    lines = ['7 openat(AT_FDCWD, "/a" <unfinished ...>', "8 close(3) = 0", "7 <... openat resumed>, O_RDONLY) = -1 ENOENT"]
    assert whole(lines) == ['7 openat(AT_FDCWD, "/a", O_RDONLY) = -1 ENOENT', "8 close(3) = 0"]


def need_tracer(who):
    if os.geteuid() != 0 and not who.root:
        pytest.skip("newuidmap is set-user-ID, and does not get it while an ordinary user traces it")


@pytest.mark.parametrize("after, command, status", WAYS, ids=IDS)
def test_no_call_but_ours(who, tmp_path, after, command, status):
    need_tracer(who)
    command = [word.replace("/hello", "/etc/hostname") for word in command]
    result = start(who, after, command, ["strace", "-f", "-o", str(tmp_path / "log")])
    assert result.returncode == status, result
    assert strange(tmp_path / "log", init="--init" in command) == []


def test_no_call_but_ours_with_a_terminal(who, tmp_path):
    need_tracer(who)
    command = shlex.join(["strace", "-f", "-o", str(tmp_path / "log"), *who.command("run", "--", "/usr/bin/tty")])
    result = subprocess.run(["script", "--quiet", "--return", "--command", command, "/dev/null"], text=True,
                            env=who.environment, capture_output=True, stdin=subprocess.DEVNULL, cwd="/")
    assert "/dev/pts/0" in result.stdout, result
    assert strange(tmp_path / "log", terminal=True) == []


@pytest.mark.parametrize("after", WRONG)
def test_strace_sees_what_is_not_ours(who, tmp_path, after):
    need_tracer(who)
    start(who, after, ["--", "/bin/cat"], ["strace", "-f", "-o", str(tmp_path / "log")])
    assert any("openat" in line or "newfstatat" in line for line in strange(tmp_path / "log"))


# ---------------------------------------------------------------- the audit hook

def audited(who, after, command):
    """The status, and the events that Python's audit hook saw in the child after pivot_root."""
    result = start(who, after, command, hook="audit")  # to stderr: all but 0 to 2 are closed by then
    return result.returncode, re.findall(r"^audit: (.*)", result.stderr, re.M)


def test_python_does_nothing(who):
    for after, command, status in WAYS:
        found, events = audited(who, after, [word.replace("/hello", "/etc/hostname") for word in command])
        assert found == status, (after, command)
        if status not in (126, 127):  # there our own os.open looks at the file
            assert events == [], (after, command)
        assert all(re.match(r"open b'/(etc/hostname|.*/nosuch)'", event) for event in events), events


@pytest.mark.parametrize("after", ("import", "traceback", "codec"))
def test_the_hook_sees_what_python_does(who, after):
    assert any(re.match("import|open", event) for event in audited(who, after, ["--", "/bin/cat"])[1])
