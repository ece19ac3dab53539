"""A small assembler for eBPF, and the bpf(2) calls that put a program about devices on a cgroup.

An instruction has eight bytes: what to do, two registers, how far to jump, and a number
(Documentation/bpf/standardization/instruction-set.rst). R1 has what we are asked, R0 our answer.
"""
import ctypes
import errno
import os
import struct

from ... import linux

R0, R1, R2, R3, R4, R5 = range(6)
PROG_LOAD, PROG_ATTACH, PROG_DETACH, PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD, PROG_QUERY = (
    5, 8, 9, 13, 15, 16)
TYPE_CGROUP_DEVICE, ATTACH_CGROUP_DEVICE, ALLOW_MULTI = 15, 6, 2  # <linux/bpf.h>
NAME = b"crabcan_devices"
MOST = 64  # programs on one cgroup


def instruction(code, register=0, source=0, offset=0, number=0):
    return struct.pack("<BBhi", code, source << 4 | register, offset, number)


def load(register, source, offset):
    """register = the 32 bits at source + offset"""
    return instruction(0x61, register, source, offset)


def move(register, number):
    return instruction(0xB4, register, number=number)


def copy(register, source):
    return instruction(0xBC, register, source)


def and_(register, number):
    return instruction(0x54, register, number=number)


def shift_right(register, number):
    return instruction(0x74, register, number=number)


def jump_if(register, number, over):
    """Jumps over so many instructions if the register is the number."""
    return instruction(0x16, register, offset=over, number=signed(number))


def jump_unless(register, number, over):
    return instruction(0x56, register, offset=over, number=signed(number))


def answer(number):
    """Returns the number: 1 is yes, 0 is no."""
    return [move(R0, number), instruction(0x95)]


def signed(number):
    return number - (1 << 32) if number >= 1 << 31 else number


def attach(directory, program):
    """Puts a program on a cgroup, in the place of ours that was there. Descriptors are closed.

    While both are there, what both allow is allowed: nothing fails that neither would refuse."""
    cgroup = linux.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        old = attached(cgroup)
        new = program_of(program)
        try:
            linux.bpf(PROG_ATTACH, struct.pack("4I", cgroup, new, ATTACH_CGROUP_DEVICE, ALLOW_MULTI))
        finally:
            linux.close(new)
        for number in old:
            detach(cgroup, number)
    finally:
        linux.close(cgroup)


def program_of(instructions):
    """Loads a program; returns its descriptor. Raises OSError; EINVAL and EACCES are the verifier's."""
    code, license_ = b"".join(instructions), b"GPL\0"
    attributes = struct.pack("IIQQIIQII16s", TYPE_CGROUP_DEVICE, len(instructions), address(code),
                             address(license_), 0, 0, 0, 0, 0, NAME)
    return linux.bpf(PROG_LOAD, attributes)[0]


def address(data):
    """Where bytes are in memory; whoever asks must keep them."""
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value


def attached(cgroup):
    """The numbers of our own programs on a cgroup: others, such as systemd's, are let be."""
    numbers = (ctypes.c_uint32 * MOST)()
    query = struct.pack("4IQI4x", cgroup, ATTACH_CGROUP_DEVICE, 0, 0, ctypes.addressof(numbers), MOST)
    _, told = linux.bpf(PROG_QUERY, query)
    return [number for number in numbers[:struct.unpack_from("I", told, 24)[0]] if ours(number)]


def ours(number):
    try:
        fd, _ = linux.bpf(PROG_GET_FD_BY_ID, struct.pack("4I", number, 0, 0, 0))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EPERM, errno.EACCES):
            return False  # gone, or somebody's whom we may not even look at
        raise
    try:
        info = ctypes.create_string_buffer(80)  # struct bpf_prog_info, as far as the name
        linux.bpf(OBJ_GET_INFO_BY_FD, struct.pack("IIQ", fd, len(info), ctypes.addressof(info)))
        return info.raw[64:80].rstrip(b"\0") == NAME
    finally:
        linux.close(fd)


def detach(cgroup, number):
    fd, _ = linux.bpf(PROG_GET_FD_BY_ID, struct.pack("4I", number, 0, 0, 0))
    try:
        linux.bpf(PROG_DETACH, struct.pack("4I", cgroup, fd, ATTACH_CGROUP_DEVICE, 0))
    finally:
        linux.close(fd)
