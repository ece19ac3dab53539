"""Chapter 7: the filters. Each call is really tried, in the container."""
import json
import os
import struct

import pyseccomp
import pytest

from conftest import closes
from crabcan_steps.seccomp.cache import WHOLE

CALL = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(*[ctypes.c_long(int(a, 0)) for a in sys.argv[1:]])
print(ctypes.get_errno() if result == -1 else 0)
"""
EPERM, ENOSYS = 1, 38


def number(name):
    return pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)


def call(who, *words, options=()):
    return int(who.run("/usr/bin/python3", "-c", CALL, *map(str, words), options=options))


@pytest.mark.parametrize("name", ["filter", "calls"])
def test_property(matrix, name):
    closes(matrix, name, 7)


@pytest.mark.parametrize("name, args, errno", [
    ("unshare", [0x10000000], EPERM),     # CLONE_NEWUSER
    ("clone", [0x10000000 | 17], EPERM),  # CLONE_NEWUSER | SIGCHLD
    ("clone3", [0, 0], ENOSYS),
    ("keyctl", [0, -3, 0], EPERM),
    ("io_uring_setup", [1, 0], EPERM),
    ("userfaultfd", [0], EPERM),
    ("bpf", [0, 0, 0], EPERM),
    ("perf_event_open", [0, 0, 0, 0, 0], EPERM),
    ("mbind", [0, 0, 0, 0, 0, 0], EPERM),
    ("socket", [38, 5, 0], EPERM),        # AF_ALG
    ("socket", [40, 1, 0], EPERM),        # AF_VSOCK
    ("personality", [0x40000], ENOSYS),   # ADDR_NO_RANDOMIZE
])
def test_a_dangerous_call_is_refused(root, name, args, errno):
    assert call(root, number(name), *args) == errno


def test_a_call_of_tomorrow_s_is_unknown(root):
    assert call(root, 9999) == ENOSYS


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="a door of x86_64's")
def test_another_abi_is_another_door_and_shut(root):
    """x32: the same calls with bit 30 set. The caller is killed (SIGSYS, 31)."""
    script = CALL.replace("print", "sys.stdout.flush(); print")
    result = root.crabcan("run", "--", "sh", "-c", 'python3 -c "$0" $((0x40000000 + 39)); echo $?', script)
    assert result.stdout.split()[-1] == "159", result.stdout + result.stderr


@pytest.mark.skipif(os.uname().machine != "aarch64", reason="a door of arm64's")
def test_a_32_bit_program_knocks_at_another_door(root, tmp_path):
    """Its exit(7) is not asked for by our numbers: it is killed. (Some processors run none.)"""
    at = 0x10000
    code = bytes.fromhex("0700a0e3 0170a0e3 000000ef")  # mov r0, #7; mov r7, #1; svc #0
    size = 52 + 32 + len(code)
    header = struct.pack("<16s2H5I6H", b"\x7fELF\1\1\1", 2, 40, 1, at + 84, 52, 0, 0x5000000,
                         52, 32, 1, 0, 0, 0)
    program = tmp_path / "exits"
    program.write_bytes(header + struct.pack("<8I", 1, 0, at, at, size, size, 5, at) + code)
    program.chmod(0o755)
    words = "-a", f"{program}:/mnt/exits:ro", "--", "/mnt/exits"
    if root.crabcan("run", "--layers", "all,-seccomp", *words).returncode != 7:
        pytest.skip("this processor runs no 32-bit programs")
    assert root.crabcan("run", *words).returncode == 128 + 31  # SIGSYS


def test_a_profile_in_the_oci_form(who, folder):
    profile = folder / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}))
    result = who.crabcan("run", "--seccomp", profile, "--", "mkdir", "/tmp/x")
    assert result.returncode == 1 and "No space left" in result.stderr


@pytest.mark.parametrize("name, count", [("default", 2), ("allow-list", 1), ("deny-list", 1), ("unconfined", 0)])
def test_a_profile_of_ours_by_its_name(root, name, count):
    """And not the other one: only the deny-list refuses to make a file set-user-ID."""
    script = "grep ^Seccomp_filters: /proc/self/status; touch /tmp/x; chmod 4755 /tmp/x && echo made"
    lines = root.crabcan("run", "--seccomp", name, "--", "sh", "-c", script).stdout.split()
    assert lines[:2] == ["Seccomp_filters:", str(count)], f"chapter 7, --seccomp {name}: grep Seccomp /proc/self/status"
    assert (lines[2:] == ["made"]) == (name in ("allow-list", "unconfined")), f"chapter 7, --seccomp {name}: chmod 4755: {lines[2:]}"


@pytest.mark.parametrize("text, words", [
    ("{", "Expecting"), ("[]", ""), ('{"defaultAction": "X", "syscalls": []}', "unknown action X"),
    ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": '
     '[{"names": ["nonsense"], "action": "SCMP_ACT_ERRNO"}]}', "nonsense"),
    # What is not understood must not be passed over: a rule half understood is none.
    ('{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["mount"], "action": '
     '"SCMP_ACT_ALLOW", "includes": {"groups": ["wheel"]}}]}', "groups"),
    ('{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"], "syscalls": []}', "flags"),
    ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": '
     '"SCMP_ACT_NOTIFY"}]}', "SCMP_ACT_NOTIFY"),
    ('{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/x", "syscalls": []}', "listenerPath")])
def test_a_broken_profile_is_refused(root, tmp_path, text, words):
    (tmp_path / "p.json").write_text(text)
    result = root.crabcan("run", "--seccomp", tmp_path / "p.json", "true")
    assert result.returncode == 125 and words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_cache_that_is_not_ours_or_not_of_this_profile_is_not_believed(root, tmp_path):
    """A planted cache with an empty filter must not be loaded."""
    who = root
    cache = tmp_path / "crabcan"
    environment = {**who.environment, "XDG_CACHE_HOME": str(tmp_path)}

    def refused():
        import subprocess
        result = subprocess.run(who.command("run", "--", "/usr/bin/python3", "-c", CALL, str(number("keyctl")),
                                             "0", "-3", "0"),
                                env=environment, text=True, capture_output=True, timeout=60)
        assert result.returncode == 0, result.stderr
        return result.stdout == "1\n"

    assert refused() and len(list(cache.iterdir())) == 2
    allow_all = b"\x06\0\0\0\0\0\xff\x7f" + WHOLE  # BPF: return SECCOMP_RET_ALLOW
    for file in cache.iterdir():
        good = file.read_bytes()
        code = good.rindex(b"]\n}\n") + 4  # behind the profile's own text
        file.write_bytes(good[:code] + allow_all)
        file.chmod(0o666)  # others could have written it
    assert refused()
    for file in cache.iterdir():
        file.write_bytes(b"another profile\n" + allow_all)
        file.chmod(0o600)
    assert refused()
    for file in cache.iterdir():
        file.unlink()
        os.mkfifo(file)  # whose owner may be another, where HOME is: not waited for
    assert refused()
