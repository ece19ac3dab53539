"""Chapter 7: the facts about the system call filter."""
import json
import os
from pathlib import Path

from . import source
from .facts import (FILTERED, Absent, came_up, collector, drawn, equal, filtered, must, number,
                    property_of, refused)

FACTS, fact = collector()
active = property_of("filter")
X86 = os.uname().machine == "x86_64"
SETHOSTNAME, SETDOMAINNAME, KEYCTL = (170, 171, 250) if X86 else (161, 162, 219)
ALONE = (("getsid", 124 if X86 else 156), ("getpgid", 121 if X86 else 155), ("sched_getscheduler", 145 if X86 else 120),
         ("sched_get_priority_max", 146 if X86 else 125), ("sched_get_priority_min", 147 if X86 else 126),
         ("sched_getparam", 143 if X86 else 121))  # calls that only ask, with a number first
EXAMPLE = "cat /course/crabcan_steps/seccomp/profiles/deny-list.json"
CALL = """import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = [ctypes.c_long] + [ctypes.c_ulong] * 4
def call(*words):
    return ctypes.get_errno() if libc.syscall(*words) == -1 else 0
def p(*words):
    return libc.prctl(*words, *[0] * (5 - len(words))) == -1 and ctypes.get_errno() == 70
def show(*all):
    print("".join("1" if one else "0" for one in all))
"""
I386 = r"""
import ctypes, mmap
code = b"\xb8\x14\0\0\0\xcd\x80\xc3"  # mov eax, 20 (getpid); int 0x80; ret
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(code)
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
print("pid", ctypes.CFUNCTYPE(ctypes.c_int)(address)(), flush=True)
"""


def profile(machine, rules, default="SCMP_ACT_ALLOW", **more):
    """A profile on the machine, as options."""
    return written(machine, json.dumps({"defaultAction": default, "syscalls": rules, **more}))


def written(machine, text):
    path = f"/tmp/{drawn()}.json"
    machine.put(path, text)
    return ["--seccomp", path]


def errno_rule(names, *number, **more):
    return {"names": names, "action": "SCMP_ACT_ERRNO", **more} | ({"errnoRet": number[0]} if number
                                                                   else {})


@fact(1, "a filter is active", "crabcan step 7 -- grep Seccomp /proc/self/status", spare=True)
def on(machine):
    answer = machine.crabcan(sh="true")
    must("NoneType" not in answer.error, answer.seen, "compiled() returned nothing")
    must("to bytes" not in answer.error, answer.seen, "compiled() returns the program itself, as bytes")
    if answer.status:
        must(False, answer.seen, slip(machine) or (
            "the default profiles look at arguments; without its comparisons a rule refuses every such "
            "call" if "Operation not permitted" in answer.err and not answer.failed and
            not heeds(machine) else ""))
    must(active(machine, "compiled() gives the bytes of a program, and child() hands each to the "
                "kernel"), "none")
    _, outside = machine.probe()
    if filtered():
        raise Absent(FILTERED)
    return must(outside["runtime"]["seccomp"] == "0", "one in the runtime, too", "compiled() only makes "
                "the bytes: load() would filter the runtime itself") and "so"


SLIP = """
from crabcan_steps.seccomp import bpf
def filters():
    return [line.split()[1] for line in open("/proc/self/status") if line.startswith("Seccomp:")]
before = filters()
codes = [bpf.compiled('{"defaultAction": "SCMP_ACT_%s", "syscalls": []}' % kind) for kind in ("ALLOW", "LOG")]
say(codes[0] != codes[1], filters() == before, all(codes))
"""


def slip(machine):
    """What is wrong with the simplest of profiles, of which no rule can be the cause; "" if nothing."""
    heard, free, some = (machine.script(SLIP).out.split() + [""] * 3)[:3]
    if some == "False":
        return "what compiled() returns is empty: a file is read from where it was written to, unless seek(0)"
    if free == "False":
        return ("compiled() has put a filter on the runtime itself: it only makes the bytes, and load() "
                "is not for it")
    return "defaultAction is ignored: the filter is the same whatever it says" if heard == "False" else ""


def heeds(machine):
    """Whether a rule's comparisons make a difference."""
    rule = refusing(4, ("EQ", 77))
    answer = machine.crabcan(*profile(machine, [rule]), python=CALL + "show(p(4, 77), p(4, 1))")
    return answer.out.strip() == "10"


def refusing(option, *tests):
    """A rule about prctl(option, ...), with comparisons of its other arguments: (op, value, ...)."""
    args = [{"index": 0, "op": "SCMP_CMP_EQ", "value": option}]
    for at, (op, value, *two) in enumerate(tests, 1):
        args.append({"index": at, "op": f"SCMP_CMP_{op}", "value": value} | ({"valueTwo": two[0]} if two
                                                                            else {}))
    return errno_rule(["prctl"], 70, args=args)


@fact(1, "both filters: the allow-list and the deny-list",
      "crabcan step 7 -- grep Seccomp_filters /proc/self/status")
def both(machine):
    _, outside = machine.probe()
    return equal(int(outside["filters"]) - int(machine.host["filters"] or 0), 2,
                 "the stricter answer of all filters counts, so both must be there")


@fact(1, "keyctl is refused with EPERM, clone3 with ENOSYS",
      "crabcan step 7 -- unshare --user true")
def defaults(machine):
    code = CALL + f"print(call({KEYCTL}, 0, -3, 0), call(435, 0, 0))"
    out = came_up(machine.crabcan(python=code)).out.split()
    must(out[0] == "1", f"keyctl: errno {out[0]}",
         "what the profile does not name gets its defaultAction: EPERM is 1")
    return must(out[1] == "38", f"clone3: errno {out[1]}", "ENOSYS, 38 (the rule's errnoRet), so "
                "that glibc falls back to clone, whose flags a filter can see") and "1 38"


@fact(1, "defaultAction, and its errno, are for whatever no rule names", EXAMPLE)
def unnamed(machine):
    ours = json.loads(Path(source.STEPS, "seccomp/profiles/allow-list.json").read_text())
    wanted = number(40, 120)
    text = json.dumps(ours | {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": wanted})
    out = came_up(machine.crabcan(*written(machine, text), python=CALL +
                                  f"print(call({KEYCTL}, 0, -3, 0))")).out.strip()
    equal(out, str(wanted), "defaultErrnoRet is the errno of defaultAction: action(profile, "
          '"defaultAction", "defaultErrnoRet")')
    out = came_up(machine.crabcan(*profile(machine, []), python=CALL +
                                  f"print(call({KEYCTL}, 0, -3, 0))")).out.strip()
    return must(out == "0", f"errno {out}", "with defaultAction SCMP_ACT_ALLOW and no rule all is allowed") \
        and str(wanted)


@fact(1, "every rule counts, and every name in it", EXAMPLE)
def every(machine):
    one, two, three = number(40, 60), number(61, 90), number(91, 120)
    rules = [errno_rule(["sethostname"], one), errno_rule(["vhangup", "setdomainname"], two),
             errno_rule(["keyctl"], three)]
    out = came_up(machine.crabcan(*profile(machine, rules), python=CALL + f"print(call({SETHOSTNAME}, 0, 0), "
                  f"call({SETDOMAINNAME}, 0, 0), call({KEYCTL}, 0, -3, 0))")).out.strip()
    return equal(out, f"{one} {two} {three}", "each rule of \"syscalls\", and each of its \"names\", is "
                 "added")


@fact(1, "other doors are shut: an i386 call is the end", "", spare=True)
def doors(machine):
    if not X86:
        raise Absent("only x86_64 has such a door")
    for options in [], profile(machine, []):
        answer = machine.crabcan(*options, python=I386)
        must("pid -" not in answer.out, answer.out.strip(), "an errno is an answer to a call, and whoever knocks "
             "there has no honest one to make: KILL_PROCESS for ACT_BADARCH")
        must("pid" not in answer.out, answer.out.strip(), "the same call went through the i386 door: each "
             "filter must check the architecture (ACT_BADARCH)")
        must(answer.status in (159, 128 + 31), answer.seen, "it was not killed by SIGSYS as a whole: "
             "KILL_PROCESS for ACT_BADARCH" if answer.status == 0 else "")
    return "159"


@fact(1, "an i386 call ends all threads, not one", "", spare=True)
def process(machine):
    if not X86:
        raise Absent("only x86_64 has such a door")
    answer = machine.crabcan(python=threaded(I386))
    must("pid" not in answer.out, "it lives")
    return must("alive" not in answer.out, "one thread killed, the others live on",
                "a process that is half dead is dangerous: ACT_BADARCH is to be KILL_PROCESS; KILL, which "
                "it is if nobody says so, ends one thread") and "all"


def threaded(code):
    """A program that runs this in a thread, and says if it lives on."""
    return ("import threading\ndef f():\n" + code.replace("\n", "\n    ") +
            "\nt = threading.Thread(target=f); t.start()\nimport time; time.sleep(0.1)\n"
            "print('alive', flush=True); import os; os._exit(0)")


COMPILE = """
import json, os
from crabcan_steps.seccomp import bpf
{before}
for text in json.loads({texts!r}):
    try: bpf.compiled(text)
    except (ValueError, TypeError, KeyError) as error: say("refused", str(error).replace("\\n", " "))
    except (OSError, RecursionError, NameError) as error: say("failed", type(error).__name__, error)
    else: say("accepted")
{after}
"""


def complaints(machine, *profiles, before="", after=""):
    """What compiled() says of each profile, in one process: libseccomp is slow to load."""
    texts = [text if isinstance(text, str) else
             json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []} | text) for text in profiles]
    answer = machine.script(COMPILE.format(texts=json.dumps(texts), before=before, after=after))
    return came_up(answer).out.splitlines()


def rejects(machine, why, *cases, **more):
    """Each case, (words that the refusal names, profile), is refused."""
    seen = complaints(machine, *[text for _, text in cases], **more)
    for (names, text), line in zip(cases, seen, strict=True):
        must(line.startswith("refused"), f"{line}: {json.dumps(text)[:120]}", why)
        for name in names:
            must(name in line, line.removeprefix("refused "), f"the ValueError names what is wrong: {name}")


@fact(1, "a profile that cannot be meant is refused", EXAMPLE)
def meant(machine):
    rules = [errno_rule(["sethostname"], 40), errno_rule(["sethostname"], 41)]
    rejects(machine, "two actions for one call: which of them counts?", (["sethostname"], {"syscalls": rules}))
    alias = [errno_rule(["sethostname"], 40), errno_rule(["alias"], 41)]
    rejects(machine, "two names of one call (as some machines have) and two actions: which counts?",
            ([], {"syscalls": alias}), before="real = bpf.resolve\nbpf.resolve = lambda name: "
            "real('sethostname' if name == 'alias' else name)")
    rejects(machine, "the kernel takes no more than LONGEST instructions, and says EINVAL: better say it "
            "here (tried with LONGEST = 1)", (["syscalls"], {"syscalls": [errno_rule(["vhangup"], 40)]}), before="bpf.LONGEST = 1")
    rejects(machine, "a word that stands twice: which of them counts? (once)",
            ([], '{"defaultAction": "SCMP_ACT_ALLOW", "defaultAction": "SCMP_ACT_LOG", "syscalls": []}'))
    word = drawn()
    rejects(machine, "a word that is not understood must be refused: understood(profile, KNOWN)",
            ([word], {word: 1}), ([], {"syscalls": None}), ([], "[]"))
    rejects(machine, "a word in a rule, too: understood(rule, KNOWN_IN_RULE)",
            ([word], {"syscalls": [errno_rule(["vhangup"], 40, **{word: 1})]}))
    return rejects(machine, "names is a list of names", ([], {"syscalls": [
        {"names": "vhangup", "action": "SCMP_ACT_ALLOW"}]})) or "so"


@fact(1, "a profile that is nested too deep is one line", EXAMPLE)
def deep(machine):
    rejects(machine, "json gives up with RecursionError: make it a ValueError",
            ([], '{"comment": ' + "[" * 20_000))
    path = f"/tmp/{drawn()}.json"
    machine.put(path, '{"comment": ' + "[" * 100_000)
    return refused(machine.crabcan("--seccomp", path, sh="true"), 125, path) and "so"


@fact(1, "a call that cannot be refused is an error, wherever it fails", EXAMPLE)
def unknown(machine):
    name = drawn("no_such_")
    rejects(machine, "a filter that silently leaves out a call is worse than none",
            ([name], {"syscalls": [errno_rule([name], 1)]}))
    seen = complaints(machine, {"syscalls": [{"names": [name, "setdomainname"], "action": "SCMP_ACT_ALLOW"}]})
    must(seen == ["accepted"], " ".join(seen), "a call that libseccomp does not know may be allowed: it "
         "is not there to be called, or by its number")
    seen = complaints(machine, {"syscalls": [errno_rule(["vhangup"], number(40, 120))]}, before=(
        "import pyseccomp\ndef fails(*_): raise ValueError('libseccomp says no')\n"
        "pyseccomp.SyscallFilter.add_rule = fails\n"
        "if hasattr(pyseccomp.SyscallFilter, 'add_rule_exactly'): pyseccomp.SyscallFilter.add_rule_exactly = fails"))
    return must(seen[0].startswith("refused"), "accepted", "an error of add_rule was passed over: the call "
                "would be allowed") and "so"


@fact(1, "it leaves no file", "")
def traceless(machine):
    folder = f"/tmp/{drawn()}"
    seen = complaints(machine, {"syscalls": [errno_rule(["vhangup"], 1)]},
                      before=f"os.mkdir({folder!r}); os.chdir({folder!r})",
                      after="say('files', *os.listdir('.'))")
    return equal(seen[-1], "files", "the program is exported to a file, and a name in the working directory "
                 "is somebody's: os.memfd_create has none") and "none"


@fact(2, "a rule's errnoRet, or EPERM", EXAMPLE)
def numbers(machine):
    wanted = number(40, 120)
    rules = [errno_rule(["sethostname"], wanted), errno_rule(["setdomainname"]), errno_rule(["keyctl"], 0)]
    out = came_up(machine.crabcan(*profile(machine, rules), python=CALL + f"print(call({SETHOSTNAME}, 0, 0), "
                                  f"call({SETDOMAINNAME}, 0, 0), call({KEYCTL}, 99, 0))")).out.strip()
    return equal(out, f"{wanted} 1 0", "SCMP_ACT_ERRNO takes the rule's errnoRet, and 1 if there is none; 0 is "
                 "one, too")


def apart(machine):
    """Whether each comparison of a rule counts for itself, as though there were no other."""
    key = ("apart", machine.alone)
    if key not in machine.kept:
        a, b = number(100, 900), number(1000, 9000)
        answer = machine.crabcan(*profile(machine, [refusing(5000, ("EQ", a), ("EQ", b))]), python=CALL +
                                 f"show(p(5000, {a}, {b}), p(5000, {a}, 1), p(5000, 1, {b}))")
        machine.kept[key] = came_up(answer).out.strip()
    return machine.kept[key]


@fact(2, "all comparisons of a rule must hold together", EXAMPLE)
def together(machine):
    return equal(apart(machine), "100", "one rule with all its comparisons, not one for each: "
                 "add_rule(action, number, *tests)" if apart(machine) == "111" else "")


@fact(2, "a rule about arguments: each comparison", EXAMPLE)
def comparisons(machine):
    mark = number(1000, 9000)
    holds = {"EQ": "010", "NE": "101", "LT": "100", "LE": "110", "GT": "001", "GE": "011"}
    rules = [refusing(5000 + at, (name, mark)) for at, name in enumerate(holds)]
    answer = machine.crabcan(*profile(machine, rules), python=CALL + f"for at in range({len(holds)}):\n    "
                             f"show(*(p(5000 + at, {mark} + n) for n in (-1, 0, 1)))")
    for (name, wanted), seen in zip(holds.items(), came_up(answer).out.split(), strict=True):
        equal(seen, wanted, f"SCMP_CMP_{name} {mark} must hold for {mark - 1}, {mark}, {mark + 1} as in {wanted} "
              "(1: refused)" if apart(machine) != "111" else "")
    # One alone of a call's, too: the others of one call may be compiled in another way.
    calls = dict(zip(holds, ALONE))
    rules = [errno_rule([call], 70, args=[{"index": 0, "op": f"SCMP_CMP_{name}", "value": mark}])
             for name, (call, _) in calls.items()]
    answer = machine.crabcan(*profile(machine, rules), python=CALL + f"for n in {[n for _, n in calls.values()]}:\n    "
                             f"show(*(call(n, {mark} + by, 0) == 70 for by in (-1, 0, 1)))")
    for (name, wanted), seen in zip(holds.items(), came_up(answer).out.split(), strict=True):
        equal(seen, wanted, f"SCMP_CMP_{name} {mark} must hold for {mark - 1}, {mark}, {mark + 1} as in {wanted} "
              "(1: refused)" if apart(machine) != "111" else "")
    return " ".join(holds)


@fact(2, "MASKED_EQ: the mask comes first", EXAMPLE)
def masked(machine):
    mask, rest = 0xF0 << number(0, 8), number(1, 15)
    part = mask & 0x5555
    answer = machine.crabcan(*profile(machine, [refusing(5000, ("MASKED_EQ", mask, part))]), python=CALL +
                             f"show(p(5000, {part | rest}), p(5000, {mask | rest}), p(5000, {rest}))")
    return equal(came_up(answer).out.strip(), "100", "a comparison has index, op, value and, for MASKED_EQ, "
                 "valueTwo: the mask comes first" if apart(machine) != "111" else "")


@fact(2, "each action does what its name says", EXAMPLE)
def actions(machine):
    def ends(action, code):
        return machine.crabcan(*profile(machine, [{"names": ["sethostname"], "action": f"SCMP_ACT_{action}"}]),
                               python=CALL + code)
    hit = f"call({SETHOSTNAME}, 0, 0)"
    must(ends("KILL_PROCESS", hit).status == 159, "it lives", "SCMP_ACT_KILL_PROCESS is pyseccomp.KILL_PROCESS")
    answer = ends("KILL_PROCESS", threaded("\n" + hit))
    must("alive" not in answer.out, "one thread killed, the others live on", "KILL_PROCESS ends them all")
    answer = ends("KILL", threaded("\n" + hit))
    must("alive" in answer.out, answer.seen, "SCMP_ACT_KILL ends the thread only: pyseccomp.KILL"
         if answer.status == 159 else "")
    answer = ends("TRAP", "import os, signal\nsignal.signal(signal.SIGSYS, lambda *_: (print('trapped', "
                  f"flush=True), os._exit(0)))\n{hit}")
    must("trapped" in answer.out, answer.seen, "SCMP_ACT_TRAP sends a SIGSYS that the program can catch"
         if answer.status == 0 else "SCMP_ACT_TRAP is an action of the specification: pyseccomp.TRAP")
    answer = ends("LOG", f"print({hit})")
    must(answer.status == 0, answer.seen, "SCMP_ACT_LOG is an action of the specification: pyseccomp.LOG")
    return came_up(ends("ALLOW", f"print({hit})")) and "so"


@fact(2, "what is not understood is refused", EXAMPLE)
def nonsense(machine):
    word = drawn()
    compare = {"index": 0, "op": "SCMP_CMP_EQ", "value": 1}

    def odd(names, **words):
        return names, {"syscalls": [{"names": ["vhangup"], "action": "SCMP_ACT_LOG", **words}]}

    def comparing(names, **words):
        return odd(names, args=[compare | words])
    why = "what is not understood must be refused: a rule half understood is none"
    rejects(machine, why, odd([word], action=f"SCMP_ACT_{word}"), odd([word], **{word: 1}),
            odd(["errnoRet"], errnoRet=5), comparing([word], op=f"SCMP_CMP_{word}"), comparing([word], **{word: 1}),
            comparing(["valueTwo"], valueTwo=1), comparing(["value"], value=None), ([], {"syscalls": [word]}), ([], {"syscalls": [[]]}))
    rejects(machine, "a comparison that can never hold is a slip: valueTwo has bits that the mask takes away",
            comparing(["valueTwo"], op="SCMP_CMP_MASKED_EQ", value=0xF0, valueTwo=0x10F))
    rejects(machine, "ctypes would cut off what is too large: value(words, key, int, most=...)",
            comparing(["value"], value=1 << 64), comparing(["value"], value=-1), comparing(["index"], index=6),
            comparing(["index"], index=-1), odd(["errnoRet"], action="SCMP_ACT_ERRNO", errnoRet=4096))
    return rejects(machine, "value() takes just the kind that it must be", comparing(["value"], value="1"),
                   odd(["action"], action=1), odd(["errnoRet"], action="SCMP_ACT_ERRNO", errnoRet="5")) or "so"
