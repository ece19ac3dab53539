"""The kernel's machine for filters, so that a test can ask a compiled one."""
import struct

ARCH = 0xC000003E  # AUDIT_ARCH_X86_64


def bpf(code, number, args, arch=ARCH):
    """What a filter answers: the kernel's machine (struct sock_filter, <linux/bpf_common.h>)."""
    data = struct.pack("<iIQ6Q", number, arch, 0, *args)
    at = accumulator = 0
    while True:
        kind, yes, no, k = struct.unpack_from("<HBBI", code, at * 8)
        at += 1
        if kind == 0x20:
            accumulator, = struct.unpack_from("<I", data, k)
        elif kind == 0x54:
            accumulator &= k
        elif kind == 0x05:
            at += k
        elif kind == 0x06:
            return k
        else:
            good = {0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k,
                    0x45: accumulator & k}[kind]
            at += yes if good else no
