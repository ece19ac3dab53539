"""linux.seccomp, compiled to BPF: chapter 7's work, for all that the specification has.

Other ABIs are doors that a container may ask for. A name that libseccomp does not know is passed
over, as runc does: a call that nobody knows yet is not there (ENOSYS), so that programs try another.
"""
import errno
import os
import struct

import pyseccomp

from .. import linux
from ..seccomp import chain
from ..seccomp.bpf import LONGEST, apart, comparisons, refuse
from ..seccomp.profile import Rule, alternatives, overlaid

X32 = 1 << 30  # stands in the numbers of its calls
NATIVE = {"x86_64": "X86_64", "aarch64": "AARCH64"}.get(linux.MACHINE)
HERE = {"X86_64": ("X86_64", "X86", "X32"), "AARCH64": ("AARCH64", "ARM")}.get(NATIVE, ())
LD, JA, JEQ, JGT, JSET, RET = 0x20, 0x05, 0x15, 0x25, 0x45, 0x06  # <linux/bpf_common.h>
NUMBER, ARCH = 0, 4  # offsets in struct seccomp_data
TO_THE_END = None    # an instruction: go to libseccomp's part


def compiled(words):
    """The filter of a configuration that checks.py has looked at. Raises ValueError, OSError."""
    default = action(words["defaultAction"], words.get("defaultErrnoRet"))
    wanted = [name.removeprefix("SCMP_ARCH_") for name in words.get("architectures") or ()]
    arches = [name for name in HERE if name in wanted or name == NATIVE]  # the rest is no door here
    rules = pyseccomp.SyscallFilter(default)
    rules.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)
    for name in arches:
        if name != NATIVE:
            rules.add_arch(getattr(pyseccomp.Arch, name))
    young, told, names = {}, {}, [name for rule in words.get("syscalls") or () for name in rule["names"]]
    if len(names) > 32:  # a tree of comparisons; of a few rules libseccomp makes a wrong one
        rules.set_attr(pyseccomp.Attr.CTL_OPTIMIZE, 2)
    for name, does, args in simple(words, default):
        number = resolve(name)
        if number != -1:
            told.setdefault(number, []).append((does, args, comparisons(args)))
        elif name in linux.NUMBERS:
            young[linux.NUMBERS[name]] = does if not args else refuse(
                name, "libseccomp does not know this call, so its arguments cannot be compared")
    ours = {number: [one[:2] for one in all_] for number, all_ in told.items()
            if not chain.sure([args for _, args, _ in all_])}
    for number, all_ in told.items():
        for does, _, compared in all_ if number not in ours or arches != [NATIVE] else ():
            rules.add_rule(does, number, *compared)  # for other ABIs also what libseccomp may mistake
    with open(os.memfd_create("filter"), "w+b") as file:
        rules.export_bpf(file)
        file.seek(0)
        code = chain.before(ours, default, getattr(pyseccomp.Arch, NATIVE)) + file.read()
    missing = None if may_pass(words["defaultAction"]) else pyseccomp.ERRNO(errno.ENOSYS)
    code = before({name: tests(name, names, young, missing) for name in arches}) + code
    if len(code) > 8 * LONGEST:
        refuse("linux.seccomp.syscalls", f"{len(code) // 8} instructions, the kernel takes {LONGEST}")
    return code


def action(name, number):
    """An action of the specification as libseccomp's number."""
    kind = name.removeprefix("SCMP_ACT_")
    if kind in ("ERRNO", "TRACE"):
        return getattr(pyseccomp, kind)(errno.EPERM if number is None else number)
    return getattr(pyseccomp, kind)


def may_pass(name):
    return name in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")


def resolve(name, arch="NATIVE"):
    """A call's number; -1 if libseccomp does not know it. C would read only as far as a NUL."""
    return pyseccomp.resolve_syscall(getattr(pyseccomp.Arch, arch), name) if name.isidentifier() else -1


def simple(words, default):
    """(name, action, comparisons) of each rule that says something else than the default."""
    rules, actions = [], {}
    for i, words_ in enumerate(words.get("syscalls") or ()):
        does = action(words_["action"], words_.get("errnoRet"))
        if does != default:
            args = [{key: arg[key] for key in ("index", "value", "op", "valueTwo") if arg.get(key)
                     is not None and (key != "valueTwo" or arg["op"] == "SCMP_CMP_MASKED_EQ")}
                    for arg in words_.get("args") or ()]
            rules.append(Rule(i, {"names": words_["names"], "args": args, "does": does}))
    overlaid(rules)
    for words_ in (one for rule in rules for one in alternatives(rule)):
        for name in words_["names"]:
            others = actions.setdefault(name, [])
            if any(words_["does"] != does and not apart(words_["args"], args) for does, args in others):
                refuse(name, "has rules with different actions, and which of them counts?")
            others.append((words_["does"], words_["args"]))
            yield name, words_["does"], words_["args"]


def tests(arch, names, young, missing):
    """Instructions for what libseccomp cannot say: younger calls, and those of tomorrow."""
    bit = X32 if arch == "X32" else 0
    code = [line for number, does in young.items()
            for line in ((JEQ, 0, 1, number | bit), (RET, 0, 0, does))]
    last = max((resolve(name, arch) for name in names), default=0)
    last = max([last, *(linux.NUMBERS[name] | bit for name in names
                        if name in linux.NUMBERS and resolve(name) == -1)])
    if missing is not None and last > 0:
        code += [(JGT, 0, 1, last), (RET, 0, 0, missing)]
    return [*code, TO_THE_END]


def before(parts):
    """Code to stand before libseccomp's: for each ABI its instructions. X32 is one of x86_64's."""
    code = [(LD, 0, 0, ARCH)]
    for arch, lines in parts.items():
        body = [(LD, 0, 0, NUMBER)]
        if arch == "X86_64":
            other = parts.get("X32", [TO_THE_END])
            body += [(JSET, 0, len(other), X32), *other]
        body += lines
        if arch != "X32":
            code += [(JEQ, 0, len(body), getattr(pyseccomp.Arch, arch)), *body]
    return b"".join(struct.pack("<HBBI", *(line or (JA, 0, 0, len(code) - at - 1)))
                    for at, line in enumerate(code))
