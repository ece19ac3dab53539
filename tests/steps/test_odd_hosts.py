"""Hosts and callers that are not as usual: it works, or says in one line why it cannot."""
import os
import signal
import subprocess
from pathlib import Path

import pytest

from conftest import CHECKOUT

pytestmark = pytest.mark.slow  # left out by --fast

PYTHON = "/usr/bin/python3"


def check(result, *words, status=125):
    """Asserts one line that says why not."""
    errors = result.stderr if isinstance(result.stderr, str) else result.stderr.decode(errors="replace")
    lines = [line for line in errors.splitlines() if "default limits" not in line]
    assert result.returncode == status, errors
    assert len(lines) == 1 and lines[0].startswith("crabcan: "), errors
    assert all(word in lines[0] for word in words), errors


def works(result, out=None):
    assert result.returncode == 0, result.stderr
    assert [line for line in result.stderr.splitlines()
            if "default limits" not in line and "shown by a mirror" not in line] == []
    assert out is None or result.stdout == out


def under(who, text, *args, environment=None, **options):
    """Runs crabcan from a shell script, which finds its command line in "$@"."""
    return subprocess.run(["sh", "-c", text, "sh", *who.command(*args)], text=True, timeout=60,
                          env=who.environment | (environment or {}), capture_output=True, **options)


def elsewhere(who, text, *args, **options):
    """The same in a private mount table, made by root, and then as whoever it is."""
    if os.geteuid() != 0:
        pytest.skip("only root has a mount table to change")
    return under(who, f'exec unshare --mount sh -c \'{text}; exec "$@"\' sh "$@"', *args, **options)


# ---------------------------------------------------------------- what the host lacks

def test_no_compiler_and_no_path(who):
    works(who_with(who, "run", "--", "echo", "x", PATH=""), "x\n")


def who_with(who, *args, **environment):
    """crabcan with other variables; None unsets one."""
    changed = {k: v for k, v in {**who.environment, **environment}.items() if v is not None}
    command = who.command(*args)
    if not os.path.isabs(command[0]):
        command[0] = "/usr/bin/" + command[0]
    return subprocess.run(command, env=changed, text=True, capture_output=True, timeout=60, cwd="/")


@pytest.mark.parametrize("home", [None, "", "relative", "/proc/nowhere", "/dev/null"])
def test_no_home_to_keep_a_cache_in(who, home, folder):
    before = set(os.listdir("/")), set(os.listdir(folder))
    command = who.command("run", "--", "echo", "x")
    environment = {k: v for k, v in {**who.environment, "HOME": home}.items() if v is not None}
    works(subprocess.run(command, env=environment, text=True, capture_output=True, cwd=folder), "x\n")
    environment = {**who.environment, "XDG_CACHE_HOME": home or ""}
    works(subprocess.run(command, env=environment, text=True, capture_output=True, cwd=folder), "x\n")
    assert before == (set(os.listdir("/")), set(os.listdir(folder)))


def test_a_read_only_tmp(who):
    works(elsewhere(who, "mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp", "run", "--", "echo", "x",
                    environment={"XDG_CACHE_HOME": "/dev/null/x"}), "x\n")


def test_no_writable_temporary_directory_at_all(who):
    """To compile a filter takes no file."""
    text = "for d in / /dev/shm; do mount -o remount,bind,ro $d; done; cd /usr"
    works(elsewhere(who, text, "run", "--", "echo", "x", environment={"XDG_CACHE_HOME": "/nowhere"}), "x\n")


def test_in_a_chroot(who):
    """The kernel makes no user namespace for those whose root is not their mount table's."""
    check(elsewhere(who, "mount --bind / /; cd /..", "run", "true"), "clone3", "chroot")


def test_a_full_disk_under_the_cache(who):
    text = "mount -t tmpfs -o size=4k,mode=1777 tmpfs /var/tmp"
    works(elsewhere(who, text, "run", "--", "echo", "x", environment={"XDG_CACHE_HOME": "/var/tmp"}), "x\n")


def test_no_proc(who):
    check(elsewhere(who, "umount -l /proc", "run", "true"), "mount -t proc")


def test_proc_that_hides_others(who):
    works(elsewhere(who, "mount -t proc -o hidepid=2 proc /proc", "run", "--", "echo", "x"), "x\n")


def test_no_sys(who):
    result = elsewhere(who, "mount -t tmpfs tmpfs /sys", "run", "--", "echo", "x")
    works(result, "x\n")
    check(elsewhere(who, "mount -t tmpfs tmpfs /sys", "run", "--memory", "64M", "true"), "--memory")


# ---------------------------------------------------------------- descriptors

@pytest.mark.parametrize("where", ["/dev/full", "closed pipe"])
def test_nobody_takes_our_output(who, where):
    """The command's affair; but --help and our own lines must not end in a traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.open(where, os.O_WRONLY) if where == "/dev/full" else writer
    for args in (["run", "--", "true"], ["run", "--help"], ["--version"], ["step", "1", "--help"]):
        result = subprocess.run(who.command(*args), env=who.environment, stdout=stream,
                                stderr=subprocess.PIPE, text=True)
        lines = [line for line in result.stderr.splitlines() if "default limits" not in line]
        assert "Traceback" not in result.stderr and "Exception" not in result.stderr, result.stderr
        assert len(lines) <= 1 and (result.returncode == 0) == (args[-1] == "true"), (args, result)
    for args, status in (["run", "--nope"], 2), (["run", "-m", "/nope"], 125), (["run", "nope"], 127):
        result = subprocess.run(who.command(*args), env=who.environment, stderr=stream, stdout=stream)
        assert result.returncode == status, args
    os.close(writer)
    if stream != writer:
        os.close(stream)


@pytest.mark.parametrize("words", [["--debug"], ["--trace", "/dev/full"]])
def test_nobody_takes_what_is_told_of_the_calls(who, words):
    """A full disk, or `--debug 2>&1 | head`: no failure of the calls, nor of what undoes them."""
    reader, writer = os.pipe()
    os.close(reader)
    options = {"stderr": writer if words == ["--debug"] else subprocess.PIPE}
    process = subprocess.Popen(who.command("run", *words, "--", "echo", "x"), env=who.environment, stdout=-1, text=True, **options)
    os.close(writer)
    out, said = process.communicate(timeout=60)
    lines = [line for line in (said or "").splitlines() if "default limits" not in line]
    assert (process.returncode, out) == (0, "x\n") and [line for line in lines if "No space left" not in line] == [], said
    assert not list(Path("/sys/fs/cgroup").glob(f"*/crabcan-{process.pid}-*")) + list(Path("/sys/fs/cgroup").glob(f"crabcan-{process.pid}-*"))


@pytest.mark.parametrize("step", ["1", "9"])
def test_closed_output_takes_our_errors_nowhere_else(who, step):
    """Python, having no stderr, would print them to stdout, which may be a file that is read."""
    result = under(who, 'exec "$@" 2>&-', "step", step, "-w", "/nope", "true")
    assert result.returncode == 125 and result.stdout == ""
    works(under(who, 'exec "$@" >&-', "step", step, "--", "/bin/true"), "")
    works(under(who, 'exec "$@" >&-', "step", step, "--help"), "")
    assert under(who, 'exec "$@" 2>&-', "step", step, "--nope").returncode == 2


def test_a_thousand_descriptors_are_inherited(who):
    text = """import os, sys, resource
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2000), hard))
for _ in range(1000):
    os.set_inheritable(os.open("/etc/hostname", os.O_RDONLY), True)
os.execvp(sys.argv[1], sys.argv[1:])"""
    result = who.script(text, *who.command("run", "--", "ls", "/proc/self/fd")[len(who.prefix):])
    works(result, "0\n1\n2\n3\n")


def test_twenty_descriptors_at_most(who):
    result = under(who, 'ulimit -n 20; exec "$@"', "run", "--nofile", "20", "--", "echo", "x")
    if result.returncode:
        check(result, "Too many open files", "ulimit -n")
    else:
        works(result, "x\n")


def test_our_own_limit_is_lower_than_what_is_asked(who):
    check(under(who, 'ulimit -n 20; exec "$@"', "run", "true"), "--nofile 64", "20")


def test_stdin_is_a_directory(who):
    result = under(who, 'exec "$@" < /', "run", "--", "sh", "-c", "readlink /proc/self/fd/0; cat")
    assert result.returncode == 1 and "directory" in result.stderr  # says Python, or cat


# ---------------------------------------------------------------- the caller

def test_a_threaded_caller_is_refused(who):
    text = """import threading
from crabcan_steps import ch01_args, ch02_clone, ch09_runtime
from crabcan_steps.layer import LayerError
threading.Thread(target=threading.Event().wait, daemon=True).start()
spec = ch01_args.parse(["true"])
try:
    ch09_runtime.run(spec, ch09_runtime.assemble(spec, 9))
except LayerError as error:
    print(error.explain([ch02_clone.Clone]))"""
    assert "threads: a child of a threaded process" in who.script(text).stdout


@pytest.mark.parametrize("name", ["CHLD", "INT", "HUP", "TERM", "PIPE"])
def test_an_ignored_signal_is_not_passed_on_and_does_no_harm(who, name):
    """nohup ignores SIGHUP. With SIGCHLD ignored the kernel would throw exit statuses away."""
    script = 'grep SigIgn /proc/self/status; exit 7'
    ignored = who.script(f"""import os, signal, sys
signal.signal(signal.SIG{name}, signal.SIG_IGN)
os.execvp(sys.argv[1], sys.argv[1:])""", *who.command("run", "--", "sh", "-c", script)[len(who.prefix):])
    assert ignored.returncode == 7, ignored.stderr
    assert ignored.stdout.split()[1] == "0" * 16


def test_blocked_signals_are_not_passed_on(who):
    result = who.script("""import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
os.execvp(sys.argv[1], sys.argv[1:])""", *who.command(
        "run", "--", "grep", "SigBlk", "/proc/self/status")[len(who.prefix):])  # sh would unblock them
    assert result.returncode == 0 and result.stdout.split()[1] == "0" * 16, result.stderr


def test_ctrl_c_at_any_moment_is_no_traceback(who):
    for milliseconds in range(10, 130, 8):
        with subprocess.Popen(who.command("run", "--", "sleep", "1000"), env=who.environment,
                              stderr=subprocess.PIPE, text=True) as run:
            try:
                run.wait(milliseconds / 1000)
            except subprocess.TimeoutExpired:
                pass
            run.send_signal(signal.SIGINT)
            try:
                errors = run.communicate(timeout=20)[1]
            except subprocess.TimeoutExpired:
                run.kill()
                errors = run.communicate()[1]
                # It was lost, but to importlib, before a line of ours was reached.
                assert "Exception ignored in: <function _get_module_lock" in errors, milliseconds
                continue
            finally:
                run.kill()
        # In Python's own start nothing can be done.
        if "init_import_site" not in errors and ("crabcan" in errors or not errors):
            assert run.returncode in (130, -signal.SIGINT), (milliseconds, errors)
            assert "Traceback" not in errors, (milliseconds, errors)


def test_ctrl_c_before_our_first_lines_are_done_is_no_traceback(who):
    """Python raises it at the next call that has to do with signals: our first."""
    result = who.script("""import _signal, runpy
def interrupted(*_): raise KeyboardInterrupt
_signal.signal = interrupted
runpy.run_module("crabcan_steps", run_name="__main__")""")
    assert (result.returncode, result.stderr) == (130, "")


def test_the_working_directory_is_gone(who, folder):
    text = 'mkdir "$HERE/gone"; cd "$HERE/gone"; rmdir "$HERE/gone"; exec "$@"'
    works(under(who, text, "run", "--", "echo", "x", environment={"HERE": str(folder)}), "x\n")


def test_the_working_directory_is_in_the_given_root(who, folder):
    for name in ("usr", "bin", "lib", "lib64"):
        (folder / "root" / name).mkdir(parents=True)
    binds = [word for name in ("usr", "bin", "lib", "lib64") if os.path.isdir("/" + name)
             for word in ("-a", f"/{name}:/{name}:ro")]
    before = sorted(folder.rglob("*"))
    works(under(who, 'cd "$HERE/usr"; exec "$@"', "run", "-m", "..", *binds, "--", "pwd",
                environment={"HERE": str(folder / "root")}), "/\n")
    assert sorted(folder.rglob("*")) == before


def test_the_working_directory_is_odd(who):
    for place in ("/proc/self/fd", "/proc/self/task", "/sys/class/net", "/dev/shm"):
        works(under(who, f'cd {place}; exec "$@"', "run", "--", "pwd"), "/\n")


# ---------------------------------------------------------------- long and foreign words

@pytest.mark.parametrize("options", [["--env", "A=" + "x" * (1 << 17)], ["--", "true", "x" * (1 << 17)],
                                     ["--", "true", *["x" * 100_000] * 30]])
def test_more_than_a_program_can_be_given(who, options):
    """The kernel takes 128 KiB a word (MAX_ARG_STRLEN) and a quarter of the stack for all."""
    script = f"""import sys
from crabcan_steps.cli import main
words = [eval(word) if word.startswith("'") else word for word in sys.argv[1:]]
sys.exit(main(["run", *words]))"""
    short = [f"'{w[:2]}' + 'x' * {len(w) - 2}" if len(w) > 1000 else w for w in options]
    if short[0] != "--":
        short += ["--", "true"]
    check(who.script(script, *short), "Argument list too long", "environment", status=126)


@pytest.mark.parametrize("language", ["C", "POSIX", "C.UTF-8", "nonsense"])
@pytest.mark.parametrize("word", ["é".encode(), b"\xff\xfe", "日本".encode(), b"a\nb\x01"])
def test_bytes_arrive_unchanged_in_any_language(who, language, word):
    environment = {k.encode(): v.encode() for k, v in who.environment.items()}
    environment |= {b"LANG": language.encode(), b"LC_ALL": language.encode()}
    command = [os.fsencode(w) for w in who.command("run", "-e")]
    inside = 'cat /proc/self/environ | tr "\\0" "\\n"; printf "<%s>" "$1"'
    command += [b"A=" + word, b"--", b"sh", b"-c", inside.encode(), b"sh", word]
    result = subprocess.run(command, env=environment, capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert b"A=" + word + b"\n" in result.stdout and b"<" + word + b">" in result.stdout
    command[-7:] = [b"/nowhere/" + word]
    result = subprocess.run(command[:-1] + [b"A=b", b"--", command[-1]], env=environment, capture_output=True)
    check(result, "not found", status=127)


def test_hostile_python_variables(folder):
    """./workshop runs python -I, and so do its launchers: no PYTHON* variable has a say."""
    (folder / "prctl.py").write_text(f"open('{folder}/was-here', 'w')")
    (folder / "startup.py").write_text(f"open('{folder}/was-here', 'w')")
    environment = {"PYTHONPATH": str(folder), "PYTHONSTARTUP": str(folder / "startup.py"), "PYTHONHOME": "/x",
                   "PYTHONINSPECT": "1", "PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
    result = subprocess.run([CHECKOUT / "workshop", "run", "--", "echo", "x"], env=environment, cwd=folder, text=True,
                            capture_output=True, stdin=subprocess.DEVNULL)
    works(result, "x\n")
    assert not (folder / "was-here").exists()


def test_an_unreadable_profile(who, folder):
    profile = folder / "profile.json"
    profile.write_text("{}")
    profile.chmod(0)
    if who.root:  # may read it all the same; a directory it cannot
        profile.unlink()
        profile.mkdir()
    result = who.crabcan("run", "--seccomp", profile, "true")
    check(result, f"--seccomp {profile}")


def test_no_more_processes(user):
    if os.geteuid() != 0:
        pytest.skip("we would need processes ourselves")
    text = """import os, resource, sys
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
os.execvp(sys.argv[1], sys.argv[1:])"""
    result = user.script(text, *user.command("run", "true")[len(user.prefix):])
    check(result, "clone3", "ulimit -u")


def test_a_container_in_a_container(root, folder):
    """Works with what a runtime needs, and without it says in one line what is missing."""
    checkout = root.environment["PYTHONPATH"]
    site = os.path.dirname(__import__("pyseccomp").__file__)
    inner = [PYTHON, "-m", "crabcan_steps", "run", "--", "echo", "x"]
    options = ["-a", f"{checkout}:/mnt/code:ro", "-a", f"{site}:/mnt/site:ro",
               "-e", "PYTHONPATH=/mnt/code:/mnt/site"]
    check(root.crabcan("run", *options, "--", *inner), "open_tree", "Operation not permitted")
    result = root.crabcan("run", *options, "--layers", "all,-seccomp", "--", *inner)
    check(result, "open_tree", "CAP_SYS_ADMIN")
    result = root.crabcan("run", *options, "--layers", "all,-seccomp,-caps", "--", *inner)
    check(result, "/etc/subuid")  # the ids inside end at 65,535


POWERLESS = """
import sys
import pyseccomp
from crabcan_steps import cli, layer
layer.RESTRICTED = sys.argv[1]
rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
for name in sys.argv[2].split():
    rules.add_rule(pyseccomp.ERRNO(1), pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name))
rules.load()
sys.exit(cli.main(["run", "--", "true"]))
"""


@pytest.mark.parametrize("calls", ["sethostname", "mount_setattr open_tree"])
@pytest.mark.parametrize("restricted", [True, False])
def test_root_without_power_hears_a_cure_that_is_true_here(root, readable, folder, calls, restricted):
    """Ubuntu's AppArmor gives a user namespace, and no capabilities in it: as a filter does here."""
    setting = folder / "restrict"
    setting.write_text("1\n" if restricted else "0\n")
    result = subprocess.run(["setpriv", "--reuid=61234", "--regid=61234", "--clear-groups", "--", "/usr/bin/python3",
                             "-c", POWERLESS, str(setting), calls], env=root.environment | {
                                 "PYTHONPATH": str(readable), "HOME": "/nonexistent"}, capture_output=True, text=True)
    said = result.stderr.splitlines()[-1]
    assert result.returncode == 125 and "Operation not permitted" in said
    assert ("AppArmor" in said and "sysctl" in said) == restricted, said
    assert restricted or "are we in a container?" in said
