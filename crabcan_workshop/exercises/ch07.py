"""Chapter 7: the facts about the system call filter."""
import json
import os

from .facts import Absent, came_up, collector, equal, must, property_of

FACTS, fact = collector()
active = property_of("filter")
CALL = "import ctypes, sys\nlibc = ctypes.CDLL(None, use_errno=True)\n" \
       "def call(*words):\n    return ctypes.get_errno() if libc.syscall(*words) == -1 else 0\n"
I386 = """
import ctypes, mmap
code = b"\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3"  # mov eax, 20 (getpid); int 0x80; ret
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(code)
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
print("pid", ctypes.CFUNCTYPE(ctypes.c_int)(address)(), flush=True)
"""


def profile(machine, rules, default="SCMP_ACT_ALLOW", **more):
    path = "/tmp/profile.json"
    with open(path, "w") as file:
        json.dump({"defaultAction": default, "syscalls": rules, **more}, file)
    return ["--seccomp", path]


@fact(1, "a filter is active", "crabcan step 7 -- grep Seccomp /proc/self/status")
def on(machine):
    return active(machine, "child() hands each program to the kernel: prctl(PR_SET_SECCOMP, "
                  "SECCOMP_MODE_FILTER, address)")


@fact(1, "both filters: the allow-list and the deny-list",
      "crabcan step 7 -- grep Seccomp_filters /proc/self/status")
def both(machine):
    out = came_up(machine.crabcan(sh="grep Seccomp_filters /proc/self/status")).out.split()
    return equal(out[1], "2", "the stricter answer of all filters counts, so both must be there")


@fact(1, "keyctl is refused with EPERM, clone3 with ENOSYS",
      "crabcan step 7 -- unshare --user true")
def refused(machine):
    number = {"x86_64": 250}.get(os.uname().machine, 219)
    code = CALL + f"print(call({number}, 0, -3, 0), call(435, 0, 0))"
    out = came_up(machine.crabcan(python=code)).out.split()
    must(out[0] == "1", f"keyctl: errno {out[0]}",
         "what the profile does not name gets its defaultAction: EPERM is 1")
    return must(out[1] == "38", f"clone3: errno {out[1]}", "ENOSYS, 38 (the rule's errnoRet), so "
                "that glibc falls back to clone, whose flags a filter can see") and "1 38"


@fact(1, "other doors are shut: an i386 call is the end", "chapters/07-seccomp.md, exercise 3")
def doors(machine):
    if os.uname().machine != "x86_64":
        raise Absent("only x86_64 has such a door")
    answer = machine.crabcan(python=I386)
    must("pid" not in answer.out, answer.out, "the same call went through the i386 door: each "
         "filter must check the architecture (ACT_BADARCH)")
    return equal(answer.status, 159, "it was not killed by SIGSYS as a whole: KILL_PROCESS for "
                 "ACT_BADARCH")


@fact(1, "an i386 call ends all threads, not one", "the same in a thread")
def process(machine):
    if os.uname().machine != "x86_64":
        raise Absent("only x86_64 has such a door")
    answer = machine.crabcan(python="import threading\ndef f():\n" + I386.replace("\n", "\n    ") +
                                    "\nt = threading.Thread(target=f); t.start()\nimport time; "
                             "time.sleep(0.3); print('alive', flush=True); import os; os._exit(0)")
    return must("alive" not in answer.out, "one thread killed, the others live on",
                "a process that is half dead is dangerous: KILL_PROCESS, not KILL") and "all"


@fact(1, "a profile that cannot be meant is refused",
      "write a profile, as in crabcan_steps/profiles")
def meant(machine):
    twice = [{"names": ["sethostname"], "action": "SCMP_ACT_ERRNO", "errnoRet": n} for n in (1, 2)]
    seen, = complaints(machine, [{"syscalls": twice}])
    must("sethostname" in seen, seen, "two actions for one call: which of them counts?")
    answer = machine.script("from crabcan_steps import bpf\nbpf.LONGEST = 1\nbpf.compiled("
                            "b'{\"defaultAction\": \"SCMP_ACT_LOG\", \"syscalls\": []}')")
    must("syscalls: too many" in answer.error, answer.error or "accepted",
         "the kernel takes no more than LONGEST instructions, and says EINVAL: better say it here")
    answer = machine.script("from crabcan_steps import bpf\ntry: bpf.compiled('{\"comment\": ' + '[' * 100_000)"
                            "\nexcept ValueError as error: print('ValueError')")
    return must("ValueError" in answer.out, answer.error,
                "json gives up with RecursionError: make it a ValueError") and "so"


@fact(2, "a rule's errnoRet, or EPERM", "write a profile, as in crabcan_steps/profiles")
def numbers(machine):
    options = profile(machine, [{"names": ["sethostname"], "action": "SCMP_ACT_ERRNO",
                                 "errnoRet": 99},
                                {"names": ["setdomainname"], "action": "SCMP_ACT_ERRNO"}])
    table = {"x86_64": (170, 171)}.get(os.uname().machine, (161, 162))
    out = came_up(machine.crabcan(*options, python=CALL + f"print(call({table[0]}, 0, 0), "
                                  f"call({table[1]}, 0, 0))")).out.strip()
    return equal(out, "99 1", "SCMP_ACT_ERRNO takes the rule's errnoRet, and 1 if there is none")


@fact(2, "a rule about an argument", "write a profile, as in crabcan_steps/profiles")
def arguments(machine):
    rules = [{"names": ["prctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 70,
              "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 4}, dict(index=1, **test)]}
             for test in ({"op": "SCMP_CMP_EQ", "value": 77},
                          {"op": "SCMP_CMP_MASKED_EQ", "value": 0xF00, "valueTwo": 0x500})]
    answer = machine.crabcan(*profile(machine, rules), python=CALL + "libc.prctl.argtypes = "
                             "[ctypes.c_long] * 5\ndef p(x):\n    return ctypes.get_errno() if "
                             "libc.prctl(4, x, 0, 0, 0) == -1 else 0\nprint(p(77), p(0x5ab), p(1))")
    return equal(came_up(answer).out.strip(), "70 70 0", "a comparison has index, op, value and, "
                 "for MASKED_EQ, valueTwo: the mask comes first")


@fact(2, "actions: KILL_PROCESS, and nonsense is refused",
      "write a profile, as in crabcan_steps/profiles")
def actions(machine):
    number = {"x86_64": 170}.get(os.uname().machine, 161)
    options = profile(machine, [{"names": ["sethostname"], "action": "SCMP_ACT_KILL_PROCESS"}])
    must(machine.crabcan(*options, python=CALL + f"call({number}, 0, 0)").status == 159, "it lives",
         "SCMP_ACT_KILL_PROCESS is pyseccomp.KILL_PROCESS")
    compare = {"index": 0, "op": "SCMP_CMP_EQ", "value": 1}
    odd = {"unknown action": {"action": "SCMP_ACT_HUG"},
           "comparison": {"args": [dict(compare, op="SCMP_CMP_LIKE")]},
           "includes": {"includes": {}},
           "errnoRet": {"errnoRet": 5},
           "valueThree": {"args": [dict(compare, valueThree=1)]},
           "valueTwo": {"args": [dict(compare, valueTwo=1)]}}
    profiles = [{"syscalls": [{"names": ["sethostname"], "action": "SCMP_ACT_LOG", **words}]}
                for words in odd.values()]
    profiles += [{"syscalls": ["x"]}, {"syscalls": [], "surprise": 1}]
    for key, seen in zip([*odd, "object", "surprise"], complaints(machine, profiles), strict=True):
        must(seen != "accepted", f"accepted, with an odd {key}",
             "what is not understood must be refused: a rule half understood is none")
        must(key in seen, seen, "a ValueError that names what is wrong in the profile; a TypeError "
             "if a rule is no object")
    return "so"


def complaints(machine, profiles):
    """What compiled() says of each profile, in one process: libseccomp is slow to load."""
    code = "import json\nfrom crabcan_steps import bpf\n" \
           f"for profile in json.loads({json.dumps(profiles)!r}):\n" \
           "    try: bpf.compiled(json.dumps(profile | {'defaultAction': 'SCMP_ACT_ALLOW'}))\n" \
           "    except (ValueError, TypeError, KeyError) as error: print(error)\n" \
           "    else: print('accepted')"
    return came_up(machine.script(code)).out.splitlines()


@fact(2, "a call that libseccomp does not know cannot be refused, but may be allowed",
      "write a profile, as in crabcan_steps/profiles")
def unknown(machine):
    answer = machine.crabcan(*profile(machine, [{"names": ["no_such_call"],
                                                 "action": "SCMP_ACT_ERRNO"}]), sh="true")
    must("no_such_call" in answer.error, answer.error or "accepted",
         "a filter that silently leaves out a call is worse than none")
    answer = machine.crabcan(*profile(machine, [{"names": ["no_such_call", "setdomainname"],
                                                 "action": "SCMP_ACT_ALLOW"}]), sh="true")
    return came_up(answer) and "so"
