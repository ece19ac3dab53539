"""Names exchanged while they are being used, descriptors at execve, and the ways out by /proc.

The first part stops crabcan before each call that looks at a name or uses what it has found, and
exchanges a name there. Whatever comes of it: nothing outside is seen or written, nothing hangs.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyseccomp
import pytest

from conftest import host_mounts

pytestmark = pytest.mark.slow  # left out by --fast

TRACER = Path(__file__).with_name("exchange.py")
SYSTEM = ["usr", "bin", "sbin", "lib", "lib64"]
# What stands in the way of an exchange, and what takes its place. All but "typed" are the root's.
VICTIMS = {"entry": "root/home", "file": "root/file", "target's parent": "root/data", "target": "root/data/x",
           "proc": "root/proc", "dev": "root/dev", "top": "root/top", "workdir": "root/work"}
TYPED = {"root": "up/root", "root's parent": "up", "source": "sources/one", "source's parent": "sources"}
KINDS = ("link", "relative link", "fifo", "other file", "other directory")
# Only what somebody could reach with the user's names: not the host's own.
OWN = re.compile(r"(?!/(proc|sys|etc|dev|usr|root|home)?(/|$))|.*crabcan-test")
LOOK = """for p in /home /data /data/x /top /work /dev /proc .; do
cat $p/secret; echo planted >$p/planted; done 2>/dev/null; for f in /file /data/x/f; do [ -p $f ] || cat $f 2>/dev/null; done"""


class Stage:
    """A root, sources for --add, and what must not be reached: with all that may be exchanged."""

    def __init__(self, who, folder, complete):
        self.who, self.folder = who, folder
        for name in ("up/root", "sources/one", "outside", "outside-up/root", "outside-up/one", "alt"):
            (folder / name).mkdir(parents=True)
        (folder / "root").symlink_to("up/root")  # a shorter name for the tables above
        for name in ("home", "data/x", "top", "work", *(("proc", "sys", "dev") if complete else ())):
            (folder / "root" / name).mkdir(parents=True)
        for name in SYSTEM:
            if os.path.islink(f"/{name}"):
                (folder / "root" / name).symlink_to(f"usr/{name}")
            elif os.path.isdir(f"/{name}"):
                (folder / "root" / name).mkdir()
        (folder / "root/file").write_text("mine\n")
        (folder / "sources/one/f").write_text("source\n")
        for place in ("outside", "outside-up/root", "outside-up/one"):
            (folder / place / "secret").write_text("canary\n")
            (folder / place / "secret").chmod(0o600)
        (folder / "outside/null").symlink_to("secret")
        alt = folder / "alt"
        (alt / "link").symlink_to(folder / "outside")
        (alt / "relative link").symlink_to("../" * 12 + f"..{folder}/outside")
        (alt / "link to a file").symlink_to(folder / "outside/secret")
        (alt / "link up").symlink_to(folder / "outside-up")
        os.mkfifo(alt / "fifo")
        (alt / "other file").write_text("other\n")
        (alt / "other directory").mkdir()
        subprocess.run(["chown", "-R", "-h", "--reference", folder, *folder.iterdir()], check=True)
        self.before = self.outside()

    def outside(self):
        """All that can be seen of what must not change."""
        return {(str(p), p.lstat().st_mode, p.lstat().st_uid, tuple(os.listxattr(p, follow_symlinks=False)))
                for top in self.folder.glob("outside*") for p in (top, *top.rglob("*"))}

    def words(self):
        add = [word for name in SYSTEM if os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}")
               for word in ("-a", f"/{name}:/{name}:ro")]
        return self.who.command("run", "-m", self.folder / "up/root", *add, "-w", "/work",
                                "-a", f"{self.folder}/sources/one:/data/x", "--", "sh", "-c", LOOK)

    def deeds(self):
        """(name, victim is typed by the user, deed)"""
        for name, victim in VICTIMS.items():
            for kind in KINDS:
                if kind == "link" and name == "file":
                    kind = "link to a file"
                if (self.folder / victim).exists():
                    yield f"{name}, {kind}", None, ["swap", str(self.folder / victim), str(self.folder / "alt" / kind)]
        for name, victim in TYPED.items():
            kind = "link up" if "parent" in name else "link"
            typed = "up/root" if "root" in name else "sources/one"
            yield (f"{name}, {kind}", str(self.folder / typed),
                   ["swap", str(self.folder / victim), str(self.folder / "alt" / kind)])


def trace(who, words, marker, times, **more):
    job = {"words": [str(word) for word in words], "environment": who.environment, "marker": str(marker),
           "times": times} | more
    result = subprocess.run([sys.executable, TRACER], input=json.dumps(job), text=True, capture_output=True,
                            cwd="/", timeout=60 + 3 * len(times))
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def need_root():
    if os.geteuid() != 0:
        pytest.skip("newuidmap is set-user-ID, and does not get it while an ordinary user traces it")


@pytest.mark.parametrize("complete", [True, False], ids=["complete root", "mirrored root"])
def test_a_name_exchanged_before_any_call(who, folder, complete, request):
    """Each name by each kind of thing, before each call that could mind: with --long all of them."""
    need_root()
    stage = Stage(who, folder, complete)
    calm = trace(who, stage.words(), folder, [[None, None]])[0]
    assert calm["status"] == 0 and "mine\nsource\n" in calm["out"], calm
    calls = calm["calls"]
    stops = [at for at, (name, path) in enumerate(calls) if name not in ("fstat", "newfstatat") and OWN.match(path)]
    assert len(stops) > 60
    every = 1 if request.config.getoption("long") else 47
    tried = late = 0
    for number, (name, typed, deed) in enumerate(stage.deeds()):
        first = next(at for at, (_, path) in enumerate(calls) if path == typed) if typed else -1
        times = [[at, deed] for at in stops if at > first][number % every::every]
        for answer in trace(who, stage.words(), folder, times):
            where = (name, answer["at"], answer["calls"])
            tried += 1
            late += not answer["done"]  # a call or two more or less: how many cgroups there are, say
            assert "canary" not in answer["out"] + answer["err"], (where, answer)
            assert answer["status"] in (0, 1, 2, 125, 126, 127), (where, answer)  # 2: sh has no /dev/null
            assert "Traceback" not in answer["err"] and answer["err"].count("crabcan:") < 4, (where, answer)
            assert stage.outside() == stage.before, (where, stage.outside() - stage.before)
    assert late * 10 < tried
    print(f"{len(stops)} stops, {tried} exchanges")


def test_the_root_in_which_a_user_was_looked_up_is_the_one_that_is_mounted(who, folder):
    """--user asks the root's passwd, and the root is opened for that and to be mounted: twice."""
    need_root()
    stage = Stage(who, folder, True)
    typed = str(folder / "up/root")
    words = who.command("run", "-m", typed, "-a", "/usr:/usr:ro", "--user", "7", "--", "true")
    calm = trace(who, words, folder, [[None, None]])[0]
    looks = [at for at, (name, path) in enumerate(calm["calls"]) if name == "openat" and path == typed]
    assert calm["status"] == 0 and len(looks) == 2, calm
    deed = ["swap", str(folder / "up"), str(folder / "alt/link up")]
    answer = trace(who, words, folder, [[looks[0] + 1, deed]])[0]
    assert answer["status"] == 125 and "was exchanged while we started" in answer["err"], answer
    assert stage.outside() == stage.before


@pytest.mark.parametrize("kind", ["link to a file", "fifo", "other directory"])
def test_a_learners_file_exchanged_while_it_is_checked(root, folder, kind):
    """The check reads a workspace that is somebody else's, and starts a room with what it has read."""
    need_root()
    (folder / "outside").mkdir()
    (folder / "outside/secret").write_text("canary = 1\n")
    (folder / "alt").mkdir()
    (folder / "alt/link to a file").symlink_to(folder / "outside/secret")
    os.mkfifo(folder / "alt/fifo")
    (folder / "alt/other directory").mkdir()
    workshop = [sys.executable, "-P", "-m", "crabcan_workshop"]
    home = root.environment | {"HOME": str(folder)}
    subprocess.run([*workshop, "start", folder / "mine"], env=home, check=True, capture_output=True, cwd="/")
    words = [*workshop, "check", "3", "--dir", str(folder / "mine")]
    mine = str(folder / "mine/ch03_hostname.py")
    calm = trace(root, words, mine, [[None, None]], environment=home)[0]
    assert "nothing is written yet" in calm["out"], calm
    stops = [at for at, (name, path) in enumerate(calm["calls"]) if "/mine" in path or name.startswith("open")][:12]
    for answer in trace(root, words, mine, [[at, ["swap", mine, str(folder / "alt" / kind)]] for at in stops],
                        environment=home):
        assert "canary" not in answer["out"] + answer["err"] and "Traceback" not in answer["err"], answer
        assert answer["status"] in (0, 1), answer


def test_at_execve_in_the_room_only_the_socket_is_open(root, folder):
    """The room of a check, and the container in it that the learner's code has made."""
    need_root()
    home = root.environment | {"HOME": str(folder)}
    workshop = [sys.executable, "-P", "-m", "crabcan_workshop"]
    subprocess.run([*workshop, "start", folder / "mine"], env=home, check=True, capture_output=True, cwd="/")
    words = [*workshop, "try", "--dir", str(folder / "mine"), "3", "crabcan step 9 -- true"]
    answer = trace(root, words, folder, [[None, None]], environment=home, leave=left_open(folder), seconds=60)[0]
    found = {fd: what for fd, what in answer["descriptors"].items() if fd.isdigit() and int(fd) > 2}
    assert all(what.startswith("socket:") for what in found.values()), found


def test_the_tracer_sees_what_an_unsafe_step_would_do(root, folder):
    """The same exchange, and a program that looks by name and uses by name."""
    need_root()
    stage = Stage(root, folder, True)
    script = f"import os\nif os.path.isdir('{folder}/root/home'): print(open('{folder}/root/home/secret').read())"
    deed = ["swap", str(folder / "root/home"), str(folder / "alt/link")]
    words = [sys.executable, "-c", script]
    calm, *answers = trace(root, words, folder / "root", [[None, None], [1, deed]])
    assert "canary" not in calm["out"] and "canary" in answers[0]["out"], answers


# ---------------------------------------------------------------- what is open at execve

LEFT_OUT = ("hostname", "namespaces", "caps", "seccomp", "cgroups", "terminal")


def left_open(folder):
    """A caller that leaves much open: {path: descriptor}."""
    return {"/": 5, str(folder): 9, "/etc/passwd": 20, "/proc": 33}


@pytest.mark.parametrize("options", [[], ["--init"], *(["--layers", f"all,-{name}"] for name in LEFT_OUT)], ids=" ".join)
def test_at_execve_only_the_socket_is_open(who, folder, options):
    need_root()
    if "all,-namespaces" in options and not who.root:
        pytest.skip("an ordinary user has no other namespaces without one of users")
    words = who.command("run", *options, "-a", f"{folder}:/x", "--", "true")
    answer = trace(who, words, folder, [[None, None]], leave=left_open(folder))[0]
    assert answer["status"] == 0, answer
    found = answer["descriptors"]
    assert found.pop("cwd") == found.pop("root") == "/"
    exe = found.pop("exe")
    assert exe.startswith("/usr/") or exe.startswith("/memfd:")
    assert {"0", "1", "2"} <= found.keys()
    others = [what for fd, what in found.items() if int(fd) > 2]
    assert len(others) == 1 and others[0].startswith("socket:"), found


@pytest.mark.parametrize("number", (0, 1, 2))
def test_a_directory_is_refused_as_one_of_the_three(who, number):
    """By Python itself, before a line of ours: it would be a way out."""
    words = ["sh", "-c", f'exec "$@" {number}</', "sh", *who.command("run", "--", "sh", "-c", "echo ran")]
    result = subprocess.run(words, env=who.environment, capture_output=True, text=True, cwd="/")
    assert result.returncode == 1 and "ran" not in result.stdout


# ---------------------------------------------------------------- ways out by /proc

NUMBERS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 20, 33)
WAYS = [*(f"/proc/self/fd/{number}" for number in NUMBERS), "/proc/self/cwd", "/proc/self/cwd/../../../..",
        "/proc/self/root", "/proc/1/root", "/proc/1/cwd", "/proc/thread-self/root", "/dev/fd/5", "/dev/stdin"]


@pytest.fixture
def bait(who, folder):
    """A program outside, and a root; both the user's."""
    (folder / "outside").mkdir()
    program = folder / "outside/program"
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o755)
    for name in ("proc", "sys", "dev", "usr", "way"):
        (folder / "root" / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        if os.path.islink(f"/{name}"):
            (folder / "root" / name).symlink_to(f"usr/{name}")
    subprocess.run(["chown", "-R", "-h", "--reference", folder, *folder.iterdir()], check=True)
    return folder


def left(who, folder, *words):
    """crabcan, by a caller that has left descriptors open; the CompletedProcess."""
    keep = {path: os.open(path, os.O_RDONLY) for path in left_open(folder)}
    moves = "; ".join(f"exec {left_open(folder)[path]}<&{fd}" for path, fd in keep.items())
    try:
        return subprocess.run(["bash", "-c", f'{moves}; exec "$@"', "bash", *map(str, words)], env=who.environment,
                              text=True, capture_output=True, stdin=subprocess.DEVNULL, cwd="/", timeout=60,
                              pass_fds=keep.values())
    finally:
        for fd in keep.values():
            os.close(fd)


@pytest.mark.parametrize("given", [True, False], ids=["given root", "own root"])
def test_no_way_out_as_a_command_or_a_link_or_a_script(who, bait, given):
    options = ["-m", bait / "root", "-a", "/usr:/usr:ro"] if given else ["-a", f"{bait}/root/way:/way"]
    inside = "/way"
    for way in WAYS:
        path = f"{way}{bait}/outside/program"
        (bait / "root/way/link").unlink(missing_ok=True)
        (bait / "root/way/link").symlink_to(path)
        (bait / "root/way/script").write_text(f"#!{path}\n")
        (bait / "root/way/script").chmod(0o755)
        for command in (path, f"{inside}/link", f"{inside}/script"):
            result = left(who, bait, *who.command("run", *options, "--", command))
            assert "ran" not in result.stdout and result.returncode in (125, 126, 127), (command, result)
        result = left(who, bait, *who.command("run", *options, "-e", f"PATH={way}{bait}/outside:{inside}", "--", "program"))
        assert "ran" not in result.stdout and result.returncode in (125, 126, 127), (way, result)


def test_no_way_out_as_a_working_directory_or_a_place_for_a_mount(who, bait):
    options = ["-m", bait / "root", "-a", "/usr:/usr:ro"]
    for way in WAYS:
        result = left(who, bait, *who.command("run", *options, "-w", f"{way}{bait}/outside", "--", "./program"))
        assert "ran" not in result.stdout and result.returncode in (2, 125), (way, result)
        result = left(who, bait, *who.command("run", *options, "-w", way, "--", "sh", "-c", "cat .%s/outside/program" % bait))
        assert "ran" not in result.stdout, (way, result)
        target = way.replace("/..", "") + "/x"
        result = left(who, bait, *who.command("run", *options, "-a", f"{bait}/outside:{target}", "--", "true"))
        assert result.returncode in (2, 125), (way, result)
    assert os.listdir(bait / "outside") == ["program"]


def test_a_working_directory_that_is_moved_away_leads_nowhere(who, bait):
    """It is taken out of the root after crabcan has entered it."""
    need_root()
    (bait / "root/work").mkdir()
    words = who.command("run", "-m", bait / "root", "-a", "/usr:/usr:ro", "-w", "/work", "--", "sh", "-c",
                        f"cat ../outside/program .{bait}/outside/program ../../../..{bait}/outside/program")
    calls = trace(who, words, bait, [[None, None]])[0]["calls"]
    last = max(at for at, (name, _) in enumerate(calls) if name == "fchdir")
    (bait / "other").mkdir()
    for at in range(last - 1, last + 3):
        answer = trace(who, words, bait, [[at, ["swap", str(bait / "root/work"), str(bait / "other")]]])[0]
        assert "echo ran" not in answer["out"] and answer["status"] != "hangs", answer


# ---------------------------------------------------------------- our own interpreter

CHANGE = """import os
fd = os.open("/proc/self/exe", os.O_RDONLY)
try: os.fchmod(fd, 0o777)
except OSError as e: print(e.strerror)
for flags in os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC:
    try: os.write(os.open("/proc/self/exe", flags), b"x"); print("written")
    except OSError as e: print(e.strerror)
try: os.write(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY), b"x"); print("written")
except OSError as e: print(e.strerror)
"""


def own_interpreter(who, folder):
    """A Python that belongs to whoever starts the container, and how crabcan is started with it."""
    python = folder / "python3"
    shutil.copy(os.path.realpath("/usr/bin/python3"), python)
    if os.geteuid() == 0:
        os.chown(python, who.uid, who.uid)
    path = f"{who.environment['PYTHONPATH']}:{os.path.dirname(pyseccomp.__file__)}"
    return python, [*who.prefix, "env", f"PYTHONPATH={path}", str(python), "-m", "crabcan_steps"]


@pytest.mark.parametrize("options", [[], ["--layers", "all,-namespaces"], ["--layers", "all,-seccomp"]], ids=" ".join)
def test_nobody_inside_changes_the_interpreter(who, folder, options):
    if "all,-namespaces" in options and not who.root:
        pytest.skip("an ordinary user has no other namespaces without one of users")
    python, crabcan = own_interpreter(who, folder)
    before = python.stat()
    for command in (["/proc/self/exe", "-I", "-S", "-c", CHANGE], ["/proc/1/exe", "-I", "-S", "-c", CHANGE]):
        result = subprocess.run([*crabcan, "run", *options, "--", *command], env=who.environment, text=True,
                                capture_output=True, stdin=subprocess.DEVNULL, cwd="/", timeout=60)
        after = python.stat()
        assert (after.st_mode, after.st_size, after.st_mtime) == (before.st_mode, before.st_size, before.st_mtime)
        assert "written" not in result.stdout, result
        assert result.stdout, result  # it ran


def test_it_could_be_changed_without_the_copy(user, folder):
    """Shows that the test above can fail."""
    python, _ = own_interpreter(user, folder)
    words = [*user.prefix, str(python), "-c", "from crabcan_steps import cli\ncli.shelter = lambda layers: None\n"
             "import sys; sys.exit(cli.main(sys.argv[1:]))", "run", "--", "/proc/self/exe", "-I", "-S", "-c", CHANGE]
    subprocess.run(words, env=user.environment, capture_output=True, cwd="/", timeout=60)
    assert python.stat().st_mode & 0o777 == 0o777


def test_debians_python_needs_no_copy(who):
    with who.start("run", "--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        assert not os.readlink(f"/proc/{running.runtime}/exe").startswith("/memfd:")


# ---------------------------------------------------------------- races, for a minute

@pytest.mark.parametrize("victim, other", [("home", "link"), ("proc", "link"), ("data", "link")])
def test_a_race(who, folder, victim, other, request):
    """The same without a tracer: somebody exchanges in a loop while containers start."""
    stage = Stage(who, folder, True)
    loop = ("import ctypes, sys, time\nrename = ctypes.CDLL(None).renameat2\na, b = (x.encode() for x in sys.argv[1:])\n"
            "while True: rename(-100, a, -100, b, 2); time.sleep(.0003)")
    before = host_mounts()
    swapper = subprocess.Popen([*who.python, "-c", loop, folder / "root" / victim, folder / "alt" / other])
    end = time.monotonic() + (60 if request.config.getoption("long") else 2)
    try:
        while time.monotonic() < end:
            result = subprocess.run(stage.words(), env=who.environment, text=True, capture_output=True,
                                    stdin=subprocess.DEVNULL, cwd="/", timeout=60)
            assert "canary" not in result.stdout and "Traceback" not in result.stderr, result
    finally:
        swapper.kill()
        swapper.wait()
    assert stage.outside() == stage.before
    assert host_mounts() == before
