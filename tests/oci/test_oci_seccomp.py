"""linux.seccomp of a bundle: each call is really tried, under a filter that was really loaded."""
import array
import fcntl
import json
import os
import socket
import struct
import threading

import pyseccomp
import pytest

from conftest import CHECKOUT
from crabcan_steps.layer import LayerError
from crabcan_steps.oci import fields_linux, filter, seccomp
from bpfmachine import bpf

RUN = """
import json, os, sys
from crabcan_steps import ch02_clone, linux
from crabcan_steps.ch01_args import Spec
from crabcan_steps.ch05_namespaces import Users
from crabcan_steps.ch06_caps import BoundingSet, Capabilities, Choice
from crabcan_steps.layer import LayerError
from crabcan_steps.oci.seccomp import BundleFilter

class Drop(Capabilities):
    def child(self):
        linux.capset(1 << 21, 1 << 21, 0)  # SYS_ADMIN, which a filter without no_new_privs takes

spec, (words, nnp, *command) = Spec(), json.loads(sys.argv[1])
spec.command, spec.id, spec.bundle = command, "some", "/some/bundle"
spec.settings, spec.folder = {}, type("Nowhere", (), {"write": lambda *words: None})()
spec.config = {"ociVersion": "1.2.0", "annotations": {"a": "b"}}
spec.process, spec.linux = {"noNewPrivileges": nnp}, {"seccomp": words}
layers = [ch02_clone.Clone(), Choice(), BoundingSet(), Capabilities() if nnp else Drop(), BundleFilter()]
if os.geteuid():
    layers.append(Users())
try:
    status = ch02_clone.run(spec, layers)
except LayerError as error:
    status = print(error.explain(layers), file=sys.stderr) or 125
print("compiled" if "pyseccomp" in sys.modules else "cached", file=sys.stderr)
sys.exit(status)
"""
CALL = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
for words in sys.argv[1:]:
    result = libc.syscall(*[ctypes.c_long(int(a, 0)) for a in words.split(",")])
    print(ctypes.get_errno() if result == -1 else 0, end=" ", flush=True)
"""
EPERM, ENOSYS, ENOMEDIUM, SIGSYS = 1, 38, 123, 31


def number(name):
    return pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)


def run(who, words, *command, nnp=True):
    return who.script(RUN, json.dumps([words, nnp, *map(str, command)]))


def call(who, words, *calls, nnp=True):
    """The errno of each call, given as NUMBER,ARGUMENT,...; they all return."""
    result = run(who, words, "/usr/bin/python3", "-c", CALL, *calls, nnp=nnp)
    assert result.returncode == 0, result.stderr
    return [int(word) for word in result.stdout.split()]


def allow_but(*rules, **words):
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(rules), **words}


def rule(*names, action="ERRNO", args=(), **words):
    return {"names": list(names), "action": f"SCMP_ACT_{action}", "args": list(args), **words}


def allow_list(**words):
    """What chapter 7 allows, with a default that refuses."""
    with open(CHECKOUT / "crabcan_steps/seccomp/profiles/allow-list.json") as file:
        rules = [rule for rule in json.load(file)["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW"]
    return {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules, **words}


@pytest.mark.parametrize("nnp", [True, False])
def test_it_holds_with_and_without_no_new_privileges(who, nnp):
    """Without, loading one takes CAP_SYS_ADMIN, which the program does not have any more."""
    script = "grep -E '^(NoNewPrivs|Seccomp|CapEff)' /proc/self/status; mkdir /tmp/x"
    result = run(who, allow_but(rule("mkdir", "mkdirat", errnoRet=28)), "sh", "-c", script, nnp=nnp)
    assert result.returncode == 1 and "No space left" in result.stderr
    said = dict(line.split(":\t") for line in result.stdout.splitlines())
    assert said == {"CapEff": "0" * 16, "NoNewPrivs": str(int(nnp)), "Seccomp": "2",
                    "Seccomp_filters": "1"}


@pytest.mark.parametrize("op, value, two, hit", [
    ("EQ", 5, None, {5}), ("NE", 5, None, {4, 6, 7}), ("LT", 5, None, {4}), ("LE", 5, None, {4, 5}),
    ("GE", 6, None, {6, 7}), ("GT", 6, None, {7}), ("MASKED_EQ", 6, 4, {4, 5}), ("EQ", 5, 7, {5})])
def test_operators(root, op, value, two, hit):
    args = [{"index": 0, "value": value, "op": f"SCMP_CMP_{op}"} | ({} if two is None else {"valueTwo": two})]
    calls = [f"{number('getpgid')},{n + 2**20}" for n in (4, 5, 6, 7)]
    args[0]["value"] += 0 if op == "MASKED_EQ" else 2**20
    said = call(root, allow_but(rule("getpgid", errnoRet=99, args=args)), *calls)
    assert said == [99 if n in hit else 3 for n in (4, 5, 6, 7)]  # ESRCH


@pytest.mark.parametrize("action, status", [
    ("KILL", 128 + SIGSYS), ("KILL_THREAD", 128 + SIGSYS), ("KILL_PROCESS", 128 + SIGSYS),
    ("TRAP", 128 + SIGSYS), ("ALLOW", 0), ("LOG", 0), ("TRACE", 0), ("ERRNO", 0)])
def test_actions(root, action, status):
    words = allow_but(rule("getpgid", action=action))
    result = run(root, words, "sh", "-c", 'python3 -c "$0" "$1"; echo $?', CALL, f"{number('getpgid')},0")
    assert result.stdout.split()[-1] == str(status), result.stderr
    if not status:  # nobody traces: then there is no such call
        assert int(result.stdout.split()[0]) == {"TRACE": ENOSYS, "ERRNO": EPERM}.get(action, 0)


def test_a_default_that_refuses(root):
    """What it does not name is refused; what nobody knew yet when it was written is not there."""
    tried = f"{number('getpgid')},0", f"{number('add_key')},0", "9999"
    assert call(root, allow_list(), *tried) == [0, EPERM, ENOSYS]
    assert call(root, allow_list(defaultErrnoRet=99), *tried) == [0, 99, ENOSYS]
    assert call(root, allow_list(defaultErrnoRet=ENOSYS), *tried) == [0, ENOSYS, ENOSYS]


def test_names_that_nobody_knows_are_passed_over(root):
    words = allow_but(rule("no_such_call", "getpgid", errnoRet=99), rule("a.b", "x\u00e9"))
    assert call(root, words, f"{number('getpgid')},0") == [99]


def test_calls_that_libseccomp_is_too_old_to_know(root):
    """466 is removexattrat: named, it is refused, and allowed, whatever other ABIs there are."""
    young = 466
    args = [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]
    arches = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    words = allow_but(rule("removexattrat", errnoRet=99), architectures=arches)
    assert call(root, words, f"{young},0,0,0,0") == [99]
    words = allow_list(architectures=arches)
    for words_ in words["syscalls"]:
        words_["names"] = [name for name in words_["names"] if not name.startswith(("removex", "file_"))]
    assert call(root, words, f"{young},0,0,0,0")[0] in (EPERM, ENOSYS)
    words["syscalls"].append(rule("removexattrat", action="ALLOW"))
    assert call(root, words, f"{young},-1,0,0,0")[0] not in (0, EPERM)
    if number("removexattrat") == -1:
        with pytest.raises(ValueError, match="removexattrat: libseccomp does not know"):
            filter.compiled(allow_but(rule("removexattrat", args=args)))


def test_the_last_word_is_runc_s(root):
    """A rule that says what the default says is none; of others, one without conditions counts."""
    some = [{"index": 0, "value": 2**20, "op": "SCMP_CMP_EQ"}]
    tried = f"{number('getpgid')},{2**20}", f"{number('getpgid')},{2**20 + 1}"
    words = allow_but(rule("getpgid", action="ALLOW"), rule("getpgid", args=some, errnoRet=99))
    assert call(root, words, *tried) == [99, 3]
    words = allow_but(rule("getpgid", args=some, errnoRet=99), rule("getpgid", errnoRet=98))
    assert call(root, words, *tried) == [98, 98]
    twice = [some[0], {"index": 0, "value": 2**20 + 1, "op": "SCMP_CMP_EQ"}]  # any of them, then
    assert call(root, allow_but(rule("getpgid", args=twice, errnoRet=99)), *tried) == [99, 99]


def exits_in_32_bits(tmp_path):
    """A program for i386, or for arm, whose exit(7) is not asked for by our own numbers."""
    at, kind, code = {
        "x86_64": (0x8048000, 3, "b801000000 bb07000000 cd80"),  # mov eax, 1; mov ebx, 7; int 0x80
        "aarch64": (0x10000, 40, "0700a0e3 0170a0e3 000000ef"),  # mov r0, #7; mov r7, #1; svc #0
    }[os.uname().machine]
    code = bytes.fromhex(code)
    size = 52 + 32 + len(code)
    header = struct.pack("<16s2H5I6H", b"\x7fELF\1\1\1", 2, kind, 1, at + 84, 52, 0,
                         0x5000000 if kind == 40 else 0, 52, 32, 1, 0, 0, 0)
    program = tmp_path / "exits"
    program.write_bytes(header + struct.pack("<8I", 1, 0, at, at, size, size, 5, 4096) + code)
    program.chmod(0o755)
    return program


def test_other_abis_are_shut_unless_named(root, tmp_path):
    program = exits_in_32_bits(tmp_path)
    foreign = [name for name in fields_linux.ARCHES if name not in ("SCMP_ARCH_X86", "SCMP_ARCH_ARM")]
    if run(root, {}, program).returncode != 7:
        pytest.skip("this machine runs no 32-bit programs")
    assert run(root, allow_but(architectures=foreign), program).returncode == 128 + SIGSYS
    assert run(root, allow_but(architectures=list(fields_linux.ARCHES)), program).returncode == 7
    assert run(root, allow_but(rule("exit", action="KILL"), architectures=list(fields_linux.ARCHES)),
               program).returncode == 128 + SIGSYS


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="a door of x86_64's")
def test_x32_is_a_door_of_its_own(root):
    script = 'python3 -c "$0" "$1"; echo $?'
    for arches, said in (["SCMP_ARCH_X86_64"], "159"), (["SCMP_ARCH_X32"], "0"):
        result = run(root, allow_but(architectures=arches), "sh", "-c", script, CALL, str(filter.X32 + 39))
        assert result.stdout.split()[-1] == said, result.stderr


def test_a_filter_says_what_it_says_for_each_abi():
    """The code itself, by the kernel's rules: what was put before libseccomp's part leads into it."""
    every = list(fields_linux.ARCHES)
    code = filter.compiled({"defaultAction": "SCMP_ACT_ERRNO", "architectures": every, "syscalls": [
        rule("read", "mkdir", action="ALLOW"), rule("removexattrat", action="ALLOW")]})
    if os.uname().machine == "x86_64":
        x86_64, i386, bit = 0xC000003E, 0x40000003, filter.X32
        good = [(x86_64, 0), (x86_64, 83), (x86_64, 466), (i386, 3), (i386, 39), (i386, 466),
                (x86_64, bit), (x86_64, bit | 83), (x86_64, bit | 466)]
        bad = [(x86_64, 1), (i386, 4), (x86_64, bit | 1), (x86_64, 465), (x86_64, bit | 465), (i386, 465)]
        gone = [(x86_64, 467), (i386, 467), (x86_64, bit | 467)]
    else:
        arm64, arm = 0xC00000B7, 0x40000028
        good, gone = [(arm64, 63), (arm, 3), (arm64, 466), (arm, 466)], [(arm64, 467), (arm, 467)]
        bad = [(arm64, 64), (arm, 4)]
    for answer, calls in (0x7FFF0000, good), (0x50001, bad), (0x50026, gone), (0x80000000, [(8, 1)]):
        for arch, n in calls:
            assert bpf(code, n, [0] * 6, arch) == answer, (hex(arch), n)


def test_none_is_asked_for(root):
    assert run(root, {}, "true").returncode == 0


def test_a_filter_is_compiled_once(root, tmp_path):
    root = type(root)(root.name, root.python, CHECKOUT)
    root.environment["XDG_CACHE_HOME"] = str(tmp_path)
    words = allow_but(rule("mkdir"))
    said = [run(root, words, "true").stderr for words in (words, words, allow_but(rule("rmdir")), words)]
    assert said == ["compiled\n", "cached\n", "compiled\n", "cached\n"]


# ---------------------------------------------------------------- flags

@pytest.mark.parametrize("name", fields_linux.FILTER_FLAGS)
def test_flags(root, name):
    assert name in seccomp.FLAGS
    assert call(root, allow_but(rule("getpgid", errnoRet=99), flags=[name]), f"{number('getpgid')},0",
                nnp=False) == [99]


def test_a_flag_that_this_kernel_does_not_know_is_refused(monkeypatch):
    monkeypatch.setitem(seccomp.FLAGS, "SECCOMP_FILTER_FLAG_OF_TOMORROW", 1 << 20)
    with pytest.raises(LayerError, match="OF_TOMORROW"):
        seccomp.flags(["SECCOMP_FILTER_FLAG_OF_TOMORROW"], False)
    assert seccomp.flags(None, False) == 4 and seccomp.flags([], False) == 0
    assert seccomp.flags(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"], True) == 32 | 8


# ---------------------------------------------------------------- somebody else decides

RECEIVE, ANSWER = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, _SEND


class Agent(threading.Thread):
    """Whoever decides: takes one descriptor, and answers what it is asked with an errno."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.listener.settimeout(20)
        self.asked, self.problem = [], None
        self.start()

    def run(self):
        fd = -1
        try:
            connection, _ = self.listener.accept()
            with connection, self.listener:
                text, rights, _, _ = connection.recvmsg(65536, 256)
                while piece := connection.recv(65536):
                    text += piece
            self.state = json.loads(text)
            (_, _, data), = rights
            fd, = array.array("i", data)
            while True:
                request = bytearray(80)
                fcntl.ioctl(fd, RECEIVE, request)
                key, pid, _, nr = struct.unpack_from("<QIIi", request)
                self.asked.append((pid, nr))
                fcntl.ioctl(fd, ANSWER, struct.pack("<QqiI", key, 0, -ENOMEDIUM, 0))
        except (OSError, ValueError) as error:
            self.problem = error  # at last: nobody is left who could ask
        finally:
            if fd != -1:
                os.close(fd)


@pytest.mark.parametrize("nnp", [True, False])
def test_somebody_else_decides(who, folder, nnp):
    agent = Agent(folder / "agent")
    os.chmod(folder / "agent", 0o666)
    words = allow_but(rule("mkdir", "mkdirat", action="NOTIFY"), listenerPath=str(folder / "agent"),
                      listenerMetadata="told \u00e9", flags=["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])
    result = run(who, words, "sh", "-c", "ls -l /proc/self/fd; mkdir /tmp/x", nnp=nnp)
    assert result.returncode == 1 and "No medium found" in result.stderr, result.stderr
    assert "seccomp" not in result.stdout and "socket" not in result.stdout
    agent.join(20)
    pid = agent.state["pid"]
    assert len(agent.asked) == 1 and agent.asked[0][0] > pid > 1  # its child made the call
    assert agent.state == {"ociVersion": "1.2.0", "fds": ["seccompFd"], "pid": pid, "metadata": "told \u00e9",
                           "state": {"ociVersion": "1.2.0", "id": "some", "status": "creating", "pid": pid,
                                     "bundle": "/some/bundle", "annotations": {"a": "b"}}}


def test_nobody_who_decides(root, tmp_path):
    words = allow_but(rule("mkdir", action="NOTIFY"), listenerPath=str(tmp_path / "agent"))
    result = run(root, words, "true")
    assert result.returncode == 125 and "failed to connect with seccomp agent" in result.stderr
    assert str(tmp_path / "agent") in result.stderr and "No such file" in result.stderr


def test_a_filter_that_would_not_let_us_tell(root, tmp_path):
    Agent(tmp_path / "agent")
    words = allow_but(rule("mkdir", action="NOTIFY"), rule("sendmsg"), listenerPath=str(tmp_path / "agent"))
    result = run(root, words, "true")
    assert result.returncode == 125 and "must allow sendmsg" in result.stderr
