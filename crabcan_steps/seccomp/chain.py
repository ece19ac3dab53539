"""Comparisons that libseccomp mistakes, as BPF of our own, for chapter 7: it stands before libseccomp's part.

BPF compares 32 bits at a time. Where several rules compare one argument, libseccomp 2.5 joins what they
share, and at times wrongly: of "allow less than 1, and 1 << 32 or more" it makes a filter that allows 1,
too; of others it never comes to an end. What it makes well we have tried; the rest is compiled here, one
comparison after the other.
"""
import struct

LD, AND, JA, JEQ, JGT, JGE, RET = 0x20, 0x54, 0x05, 0x15, 0x25, 0x35, 0x06  # <linux/bpf_common.h>
NUMBER, ARCH, ARGS = 0, 4, 16  # offsets in struct seccomp_data
LOW = 0xFFFFFFFF
PASSED, FAILED = "passed", "failed"  # where a comparison may lead: on, or to the next rule


def sure(rules):
    """Whether libseccomp makes of a call's rules, lists of comparisons, what they say.

    It does, as far as we have tried, where an argument is compared by one rule, or by all for equality, or
    where no rule compares any other, and all numbers have the same upper half."""
    ops, halves = {}, set()  # of each argument; of all
    for words in (words for args in rules for words in args):
        ops.setdefault(words["index"], []).append(words["op"].removeprefix("SCMP_CMP_"))
        halves.add(words["value"] >> 32)
    alone = all(len(args) == 1 for args in rules) and len(ops) == len(halves) == 1
    return alone or all(len(own) == 1 or {*own} <= {"EQ", "MASKED_EQ"} for own in ops.values())


def comparison(words):
    """The instructions of one comparison of 64 bits: (code, number, where if so, where if not)."""
    op, value = words["op"].removeprefix("SCMP_CMP_"), words["value"]
    upper, lower = ARGS + 8 * words["index"] + 4, ARGS + 8 * words["index"]  # little-endian
    high, low, yes, no = value >> 32, value & LOW, PASSED, FAILED
    if op == "MASKED_EQ":
        wanted = words.get("valueTwo", 0)
        return [(LD, upper), (AND, high), (JEQ, wanted >> 32, None, no),
                (LD, lower), (AND, low), (JEQ, wanted & LOW, yes, no)]
    if op in ("NE", "LT", "LE"):  # the contrary of EQ, GE, GT
        yes, no, op = no, yes, {"NE": "EQ", "LT": "GE", "LE": "GT"}[op]
    if op == "EQ":
        return [(LD, upper), (JEQ, high, None, no), (LD, lower), (JEQ, low, yes, no)]
    return [(LD, upper), (JGT, high, yes, None), (JEQ, high, None, no),
            (LD, lower), (JGE if op == "GE" else JGT, low, yes, no)]


def rule(answer, args):
    """The instructions of one rule: all its comparisons, then the answer. Who fails goes on behind it."""
    parts = [comparison(words) for words in args]
    length, at, code = sum(map(len, parts)) + 1, 0, []
    for part in parts:
        end = at + len(part)
        for line in part:
            at += 1
            go = {None: 0, PASSED: end - at, FAILED: length - at}
            code.append((line[0], *([go[where] for where in line[2:]] or [0, 0]), line[1]))
    return [*code, (RET, 0, 0, answer)]


def call(number, rules, default):
    """What stands for one call: each rule, (answer, comparisons), then the default."""
    body = [line for answer, args in rules for line in rule(answer, args)] + [(RET, 0, 0, default)]
    return [(JEQ, 1, 0, number), (JA, 0, 0, len(body)), *body, (LD, 0, 0, NUMBER)]


def before(calls, default, arch):
    """The code for {number: rules} to stand before libseccomp's, which other processors' calls go to at once."""
    body = [(LD, 0, 0, NUMBER)] + [line for number, rules in calls.items() for line in call(number, rules, default)]
    code = [(LD, 0, 0, ARCH), (JEQ, 1, 0, arch), (JA, 0, 0, len(body)), *body] if calls else []
    return b"".join(struct.pack("<HBBI", *line) for line in code)
