"""What a filter costs: instructions that each call waits for, as a chain and as a tree; compiling."""
import struct
import time

from common import CHECKOUT, machine, spread

import pyseccomp

from crabcan_steps.seccomp import bpf

CALLS = ("read", "openat", "futex", "clone", "ioctl")
SOURCE = (CHECKOUT / "crabcan_steps/seccomp/profiles/allow-list.json").read_bytes()


def steps(code, number, architecture):
    """Runs a filter on a call with zeros for arguments: so many instructions until it returns.

    Classic BPF (bpf(4) of the BSDs, <linux/bpf_common.h>): only what libseccomp uses of it."""
    data = struct.pack("iIQ6Q", number, architecture, 0, *[0] * 6)
    accumulator = at = count = 0
    while True:
        code_, true, false, k = struct.unpack_from("HBBI", code, 8 * at)
        count, at = count + 1, at + 1
        if code_ == 0x20:  # ld [k]
            accumulator, = struct.unpack_from("I", data, k)
        elif code_ == 0x54:  # and #k
            accumulator &= k
        elif code_ == 0x05:  # ja
            at += k
        elif code_ in (0x15, 0x25, 0x35, 0x45):  # jeq, jgt, jge, jset #k
            holds = {0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k,
                     0x45: bool(accumulator & k)}[code_]
            at += true if holds else false
        elif code_ == 0x06:  # ret
            return count
        else:
            raise ValueError(f"instruction {code_:#x}")


class Chain(pyseccomp.SyscallFilter):
    """libseccomp as it is if it is not asked for a tree."""

    def set_attr(self, attribute, value):
        if attribute != pyseccomp.Attr.CTL_OPTIMIZE:
            super().set_attr(attribute, value)


def measure(rounds):
    rows, tree = {}, pyseccomp.SyscallFilter
    for name, kind in ("a chain", Chain), ("a tree", tree):
        pyseccomp.SyscallFilter, seconds = kind, []
        try:
            for _ in range(rounds):
                begin = time.perf_counter()
                code = bpf.compiled(SOURCE)
                seconds.append(time.perf_counter() - begin)
        finally:
            pyseccomp.SyscallFilter = tree
        architecture = struct.unpack_from("I", code, 12)[0]  # what the second instruction compares with
        for call in CALLS:
            count = steps(code, pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, call), architecture)
            rows[f"{call}, {name}"] = {"median": count, "min": count, "max": count}
        rows[f"all of it, {name}"] = dict.fromkeys(("median", "min", "max"), len(code) // 8)
        rows[f"compiling, {name}: ms"] = spread(seconds)
    return {"about": "The allow-list as a filter: instructions until a call has its answer",
            "machine": machine(), "rows": rows, "ratios": {}, "notes": []}
