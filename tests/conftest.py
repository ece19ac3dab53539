"""What the tests share: real containers, as root and as an ordinary user, and a look at the host."""
import argparse
import contextlib
import fcntl
import importlib.util
import inspect
import json
import os
import platform
import pty
import pwd
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

for name in [name for name in os.environ if name.startswith(("PYTHON", "CRABCAN_CALLED"))]:
    if name != "PYTHONDONTWRITEBYTECODE":
        del os.environ[name]  # what we start has its modules, and its name, from where we say

import apart  # noqa: E402
import beside  # noqa: E402
import browser as chromium  # noqa: E402
import pytest  # noqa: E402

from crabcan_workshop import chapters  # noqa: E402
from crabcan_workshop.measure import evidence, observe  # noqa: E402
from crabcan_workshop.measure.matrix import CHAPTERS, PROPERTIES  # noqa: E402

CHECKOUT = Path(__file__).resolve().parent.parent
USER = f"crabcan-user-{os.getpid()}"  # other runs of the tests may be under way
UNIFIED = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
COPIED = ("crabcan_steps", "crabcan_workshop", "pyseccomp", "rich", "pygments", "markdown_it", "mdurl")


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="the same tests with many more rounds")
    parser.addoption("--processes", type=int, metavar="N",
                     help="so many side by side (as many as processors, up to 4; 1 for one file, or --long)")
    parser.addoption("--second-chance", action="store_true",
                     help="what fails beside other tests is tried once more, alone (not what looks for rare events)")
    parser.addoption("--worker", type=int, help=argparse.SUPPRESS)


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: left out by --fast")
    config.addinivalue_line("markers", "alone: nothing else is tested on the machine meanwhile")
    Who.patience = (config.getoption("timeout") or float(config.getini("timeout"))) / 2
    # A script's background ignores Ctrl-C, and what it starts would, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if config.getoption("collectonly") or config.getoption("help"):
        return
    if reason := apart.refused():
        raise pytest.UsageError(reason)
    if config.getoption("worker") is not None:
        config.pluginmanager.register(beside.Worker(config, config.getoption("worker")))
    elif (number := beside.processes(config)) > 1 or config.getoption("second_chance"):
        config.pluginmanager.register(beside.Lead(config, number, Who.patience))
        return
    apart.enter(sys.argv[1:], network=config.getoption("long"))


def pytest_terminal_summary(terminalreporter):
    if "tmp" in apart.APART and terminalreporter.stats.get("failed"):
        terminalreporter.write_line(f"/tmp of the tests, until the next run: {apart.own()}")


# ---------------------------------------------------------------- who runs the containers

class Who:
    """A user of the host's who starts containers: root, or an ordinary one."""
    patience = None  # seconds for one run; --timeout is for a whole test

    def __init__(self, name, python, path, prefix=()):
        self.name, self.prefix = name, list(prefix)
        self.python = [*self.prefix, *python]
        self.environment = {"PATH": os.environ["PATH"], "HOME": os.path.expanduser(f"~{name}"),
                            "PYTHONPATH": str(path), "LANG": "C.UTF-8"}
        if name == pwd.getpwuid(os.getuid()).pw_name and "XDG_RUNTIME_DIR" in os.environ:
            self.environment["XDG_RUNTIME_DIR"] = os.environ["XDG_RUNTIME_DIR"]
        self.uid = pwd.getpwnam(name).pw_uid
        self.root = self.uid == 0

    def command(self, *args):
        return [*self.python, "-m", "crabcan_steps", *map(str, args)]

    def crabcan(self, *args, stdin="", **options):
        """Runs crabcan to its end; returns the CompletedProcess, with text."""
        return subprocess.run(self.command(*args), env=self.environment, input=stdin, text=True,
                              capture_output=True, **{"timeout": self.patience} | options)

    def run(self, *command, options=()):
        """`crabcan run` of a command that must succeed; returns what it printed."""
        result = self.crabcan("run", *options, "--", *command)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def script(self, text, *args, **options):
        """Runs a Python script on the host (not in a container), as this user."""
        return subprocess.run([*self.python, "-c", text, *map(str, args)], env=self.environment,
                              text=True, capture_output=True, cwd="/",
                              **{"timeout": self.patience} | options)

    def start(self, *args):
        """Starts crabcan in the background; a Running to look at and to end."""
        return Running(self, args)

    def has_cgroups(self):
        """Tells whether limits can be had by this user on this host."""
        return self.root or UNIFIED and "XDG_RUNTIME_DIR" in self.environment

    def need_cgroups(self):
        if not self.has_cgroups():
            pytest.skip("limits for an ordinary user need cgroup v2 and a systemd session")


class Running:
    """A container that sleeps, reads or serves, until the block ends."""

    def __init__(self, who, args):
        self.process = subprocess.Popen(who.command(*args), env=who.environment, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.runtime = self.process.pid

    def __enter__(self):
        return self

    def ready(self):
        """Waits for the first line that the container prints; then its init is known."""
        line = self.process.stdout.readline().strip()
        assert line, self.process.stderr.read()
        self.init = observe.child_of(self.runtime)
        return line

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Typist:
    """Somebody at a terminal, in which crabcan runs."""

    def __init__(self, who, *args):
        self.outer, self.inner = pty.openpty()
        self.before = termios.tcgetattr(self.inner)
        self.process = subprocess.Popen(who.command(*args), env={**who.environment, "TERM": "dumb"},
                                        stdin=self.inner, stdout=self.inner, stderr=self.inner,
                                        start_new_session=True)
        self.seen = ""

    def type(self, text):
        os.write(self.outer, text.encode())

    def sees(self, text, seconds=20):
        """Waits until something is printed; asserts that it is."""
        end = time.monotonic() + seconds
        while text not in self.seen and time.monotonic() < end:
            if select.select([self.outer], [], [], 0.1)[0]:
                self.seen += os.read(self.outer, 4096).decode(errors="replace")
        assert text in self.seen, self.seen
        self.seen = self.seen.split(text, 1)[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.outer)
        os.close(self.inner)


@pytest.fixture(scope="session")
def readable(tmp_path_factory):
    """A copy of what runs that every user may read, wherever the checkout is."""
    folder = Path("/tmp", f"crabcan-copy-{os.getpid()}")
    folder.mkdir(mode=0o755)
    for name in COPIED:
        spec = importlib.util.find_spec(name)
        where = Path(spec.submodule_search_locations[0] if spec.submodule_search_locations
                     else spec.origin)
        copy = shutil.copytree if where.is_dir() else shutil.copy
        copy(where, folder / where.name)
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def root():
    if os.geteuid() != 0:
        pytest.skip("not root")
    return Who("root", [sys.executable], CHECKOUT)


@pytest.fixture(scope="session")
def user(request):
    """Ourselves if we are an ordinary user; else one created for the tests."""
    if os.geteuid() != 0:
        yield Who(pwd.getpwuid(os.getuid()).pw_name, [sys.executable], CHECKOUT)
        return
    for entry in pwd.getpwall():
        if abandoned(entry):
            subprocess.run(["userdel", "--remove", entry.pw_name], capture_output=True)
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", USER], check=True,
                   capture_output=True)
    home = os.open(f"/home/{USER}", os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(home, fcntl.LOCK_EX)  # there is somebody, also for who cannot see our number
    try:
        user = Who(USER, ["/usr/bin/python3"], request.getfixturevalue("readable"),
                   ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "--"])
        with systemd_of(user):
            yield user
    finally:
        os.close(home)
        subprocess.run(["userdel", "--remove", USER], check=True, capture_output=True)


def abandoned(entry):
    """Tells whether an account is one of a run that was killed."""
    number = entry.pw_name.removeprefix("crabcan-user-")
    if not number.isdigit() or os.path.exists(f"/proc/{number}"):
        return False
    try:
        home = os.open(entry.pw_dir, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(home, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(home)


@contextlib.contextmanager
def systemd_of(user):
    """Gives a user a systemd to ask for limits, if the host has systemd and cgroup v2."""
    if not UNIFIED or not os.path.isdir("/run/systemd/system"):
        yield
        return
    runtime = Path(f"/run/user/{user.uid}")
    subprocess.run(["loginctl", "enable-linger", user.name], check=True)
    try:
        end = time.monotonic() + 100
        while not (runtime / "bus").exists() and time.monotonic() < end:
            time.sleep(0.1)
        assert (runtime / "bus").exists(), "no dbus-user-session, or the user's systemd fails"
        user.environment["XDG_RUNTIME_DIR"] = str(runtime)
        yield
    finally:
        subprocess.run(["loginctl", "disable-linger", user.name], check=True)
        subprocess.run(["systemctl", "stop", f"user@{user.uid}.service",
                        f"user-runtime-dir@{user.uid}.service"], check=True)


@pytest.fixture(params=["root", "user"])
def who(request):
    """Each test that takes this runs twice: containers of root's, and of an ordinary user's."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def matrices():
    return {}


class Matrix(dict):
    """{step: {property: cell}}, and what each cell is made of."""

    def __init__(self, rows):
        super().__init__({row["step"]: row["cells"] for row in rows})
        self.seen = {row["step"]: row["seen"] for row in rows}

    def tell(self, step, name):
        """One line about a cell that is not as it should be."""
        chapter, meaning, _ = PROPERTIES[name]
        return evidence.tell(name, chapter, CHAPTERS[chapter], meaning, step, self[step][name], self.seen[step][name])


@pytest.fixture
def matrix(who, matrices):
    """{step: {property: cell}} of `workshop matrix`, run once for each user."""
    if who.name not in matrices:
        result = subprocess.run([*who.python, "-m", "crabcan_workshop", "matrix", "--json"],
                                env=who.environment, text=True, capture_output=True, cwd="/")
        try:
            matrices[who.name] = Matrix(json.loads(result.stdout))
        except ValueError:  # a checkpoint did not come up: why, stands there
            pytest.fail(f"no matrix: {result.stderr.strip() or result}. Look: ./workshop matrix", pytrace=False)
    return matrices[who.name]


@pytest.fixture
def folder(who, tmp_path_factory):
    """A directory of the host's that belongs to whoever runs the container."""
    path = Path("/tmp", f"crabcan-test-{os.getpid()}-{time.monotonic_ns()}")
    path.mkdir(mode=0o755)
    if os.geteuid() == 0:
        os.chown(path, who.uid, who.uid)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = chromium.find()
    if not program and platform.freedesktop_os_release().get("ID") != "debian":
        pytest.skip("no Chromium or Chrome, and apt-get has none here")
    assert program, "no browser: apt-get install chromium-headless-shell"
    page = chromium.Browser(program, tmp_path_factory.mktemp("browser"))
    yield page
    page.close()


def closes(matrix, name, step):
    """Asserts both halves of a property's column: open before its chapter, closed from it on."""
    column = [matrix[row][name] for row in range(chapters.WHOLE + 1)]
    if "absent" in column[step:]:
        pytest.skip(f"{name}: limits for an ordinary user need cgroup v2 and a systemd session")
    for row, cell in enumerate(column):
        if cell not in (("open", "borrowed") if row < step else ("closed",)):
            pytest.fail(matrix.tell(row, name), pytrace=False)


# ---------------------------------------------------------------- the host, before and after

def host_mounts():
    return apart.mounts()


@pytest.fixture(autouse=True)
def put_back():
    """What one broken test does to the machine must not make others fail."""
    kept = apart.Kept()
    yield
    if broken := list(kept.broken()):
        pytest.fail("; ".join(broken))


interrupted = []


def pytest_keyboard_interrupt(excinfo):
    interrupted.append(excinfo)


@pytest.fixture(scope="session", autouse=True)
def nothing_left():
    """Compares the host before and after the whole run."""
    before = apart.state()
    yield
    if interrupted:
        return  # by Ctrl-C: what has just been stopped is still ending
    left = apart.compare(before, sweep)
    if left:
        pytest.fail("; ".join(left))


def sweep():
    """What the killed runs of some tests left, the next run sweeps; root sees the cgroups of all."""
    if os.geteuid() == 0:
        subprocess.run([sys.executable, "-m", "crabcan_steps", "run", "true"], cwd=CHECKOUT, check=True)


def wait_for(condition, seconds=10):
    """Waits until something is so; tells whether it came to be."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return Never(condition, seconds)


class Never:
    """A "no" that says to what: `assert False` would tell nobody anything."""

    def __init__(self, condition, seconds):
        self.condition, self.seconds = condition, seconds

    def __bool__(self):
        return False

    def __repr__(self):
        try:
            asked = " ".join(inspect.getsource(self.condition).split())
        except (OSError, TypeError):
            asked = repr(self.condition)
        cells = zip(self.condition.__code__.co_freevars, self.condition.__closure__ or ())
        known = {name: vars(cell.cell_contents) if isinstance(cell.cell_contents, Running) else cell.cell_contents
                 for name, cell in cells}
        return f"<not in {self.seconds} s: {asked}, with {known!r:.600}>"


def gone(pid):
    """Tells whether a process has ended (or only waits to be collected)."""
    try:
        return observe.stat_of(pid)[0] == "Z"
    except OSError:
        return True


def end(pid, number=signal.SIGKILL):
    os.kill(pid, number)
