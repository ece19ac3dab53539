"""Chapter 7, line by line: other doors to the same calls, rules that contradict, a cache that is not believed."""
import json
import os
import shutil
import struct
import subprocess
import sys

import pytest

from conftest import CHECKOUT
from crabcan_steps.seccomp import bpf
from crabcan_steps.seccomp.cache import WHOLE

KILL_PROCESS = 0x80000000  # <linux/seccomp.h>, SECCOMP_RET_KILL_PROCESS
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[os.uname().machine]
ALLOW = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}


def result_of(code, arch, number):
    """What a filter of plain loads, jumps and returns says to a call (bpf(2), classic)."""
    data, accumulator, at = struct.pack("<iI", number, arch) + bytes(56), 0, 0
    program = [struct.unpack("<HBBI", code[n:n + 8]) for n in range(0, len(code), 8)]
    while True:
        op, yes, no, k = program[at]
        at += 1
        if op == 0x20:    # BPF_LD | BPF_W | BPF_ABS
            accumulator = struct.unpack_from("<I", data, k)[0]
        elif op == 0x54:  # BPF_ALU | BPF_AND | BPF_K
            accumulator &= k
        elif op == 0x05:  # BPF_JMP | BPF_JA
            at += k
        elif op == 0x06:  # BPF_RET | BPF_K
            return k
        else:             # BPF_JMP | BPF_JEQ, JGT, JGE
            true = {0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k}[op]
            at += yes if true else no


@pytest.mark.parametrize("arch, number", [(0x40000003, 20), (0xC00000F3, 1), (0, 0)])
def test_whoever_comes_by_another_door_is_killed(arch, number):
    """i386 (int 0x80), another machine, none: whatever the profile allows."""
    code = bpf.compiled(json.dumps(ALLOW).encode())
    assert result_of(code, AUDIT_ARCH, 0) == 0x7FFF0000  # SECCOMP_RET_ALLOW: the reader of filters reads
    assert result_of(code, arch, number) == KILL_PROCESS


INT_80 = """
import ctypes, mmap, sys
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes([0x53, 0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0x5B, 0xC3]))  # push rbx; getpid of i386; pop rbx; ret
sys.exit(0 if ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))() > 0 else 3)
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="a door of x86_64's")
def test_the_attempt_itself(who):
    """Where the kernel has that door at all it is open on the host, and shut inside."""
    outside = subprocess.run([sys.executable, "-c", INT_80]).returncode
    inside = who.crabcan("run", "--", "/usr/bin/python3", "-c", INT_80).returncode
    assert outside in (0, -11) and inside == (159 if outside == 0 else 139), (outside, inside)


@pytest.mark.parametrize("second", ["SCMP_ACT_KILL", "SCMP_ACT_ALLOW"])
def test_two_actions_for_one_call_are_refused(second):
    rules = [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}, {"names": ["mkdir"], "action": second}]
    with pytest.raises(ValueError, match="different actions"):
        bpf.compiled(json.dumps(ALLOW | {"syscalls": rules}).encode())
    bpf.compiled(json.dumps(ALLOW | {"syscalls": [rules[0], rules[0]]}).encode())


# ---------------------------------------------------------------- the cache

CACHED = """
import sys
from crabcan_steps.ch07_seccomp import cached, files
for path, own in files("default"):
    print(cached(path, own, None).hex())
"""


@pytest.fixture
def course(tmp_path):
    """A copy of the runtime whose compiler can be changed, and a cache of its own."""
    shutil.copytree(CHECKOUT / "crabcan_steps", tmp_path / "crabcan_steps")

    def compiled():
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        return subprocess.run([sys.executable, "-c", CACHED], env=environment, cwd=tmp_path, text=True,
                              capture_output=True)
    before = compiled()
    assert before.returncode == 0 and compiled().stdout == before.stdout, before.stderr
    return tmp_path, before.stdout, compiled


def change(course):
    """Makes the compiler fail, in a way that changes the length of no file."""
    for path in course.rglob("bpf.py"):
        text = path.read_text()
        assert text.count("    return code\n") == 1
        path.write_text(text.replace("    return code\n", "    return cod3\n"))


def test_the_cache_is_used(course):
    folder, before, compiled = course
    for path in (folder / "cache/crabcan").iterdir():
        data = path.read_bytes()
        path.write_bytes(data[:-len(WHOLE) - 1] + b"!" + WHOLE)
    assert compiled().stdout.split() == [line[:-2] + "21" for line in before.split()]


def test_a_mended_compiler_believes_no_old_work(course):
    folder, before, compiled = course
    change(folder)
    assert "cod3" in compiled().stderr


OWN = """
import sys
from crabcan_steps.ch07_seccomp import cached
print(cached(sys.argv[1], False, set(sys.argv[2:])).hex())
"""


def test_a_profile_of_the_user_s_is_kept_for_these_capabilities_and_this_reader_of_it(course):
    """What stays is a condition in it; and a mended reader of conditions believes no old work."""
    folder, _, _ = course
    rule = {"names": ["sethostname"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}}
    (folder / "p.json").write_text(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]}))

    def made(*kept):
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "HOME": str(folder / "home")}
        return subprocess.run([sys.executable, "-c", OWN, folder / "p.json", *kept], env=environment, cwd=folder,
                              text=True, capture_output=True)
    with_it, without = made("SYS_ADMIN"), made()
    assert with_it.stdout and with_it.stdout != without.stdout == made().stdout, with_it.stderr
    kept, = (folder / "home/.cache/crabcan").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    path = folder / "crabcan_steps/seccomp/profile.py"
    path.write_text(path.read_text().replace("def resolved(", "def resolvex(", 1))
    assert "resolved" in made().stderr


@pytest.mark.parametrize("lost", [1, len(WHOLE), len(WHOLE) + 8])
def test_one_that_lacks_its_end_is_made_anew(course, lost):
    """As of a crabcan that was killed while it wrote."""
    folder, before, compiled = course
    for path in (folder / "cache/crabcan").iterdir():
        path.write_bytes(path.read_bytes()[:-lost])
    assert compiled().stdout == before


@pytest.mark.parametrize("mode", [0o622, 0o662])
def test_one_that_others_may_write_to_is_made_anew(course, mode):
    folder, before, compiled = course
    for path in (folder / "cache/crabcan").iterdir():
        path.write_bytes(path.read_bytes().replace(WHOLE, b"!" + WHOLE))
        path.chmod(mode)
    assert compiled().stdout == before
