"""Docker's, podman's and containerd's own profiles, for chapter 7: resolved into plain OCI rules.

They say more than the specification has: rules that hold only with a capability, on a processor or
from a kernel on, errnos by name, comments. What merely describes is left out; what we could not
enforce is refused by bpf.py, which sees only the result.
"""
import errno
import json

from .bpf import once, refuse, resolve, understood, value

SAID = {"defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap", "syscalls",
        "comment", "flags", "listenerPath", "listenerMetadata"}
SAID_IN_RULE = {"names", "name", "action", "errnoRet", "errno", "args", "comment", "includes",
                "excludes"}
ARCHES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "x86"}  # as Go has them
REFUSES = ("SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
           "SCMP_ACT_TRAP")


class Rule:
    """A rule of a profile: where it stands, what it says, why it does not hold here (or "")."""

    def __init__(self, line, words, why=""):
        self.line, self.words, self.why = line, words, why
        self.out = {}  # name -> why it does not count for this one


def resolved(source, kept, system):
    """A profile as one without conditions, in JSON, for a container that keeps these capabilities.

    kept: names, or None for all; system: os.uname(). Raises ValueError, TypeError as bpf.compiled.
    """
    profile, rules = read(source, kept, system)
    plain = {key: profile[key] for key in ("defaultAction", "defaultErrnoRet")
             if profile.get(key) is not None}
    plain["syscalls"] = [words for rule in rules if not rule.why for words in alternatives(rule)]
    return json.dumps(plain).encode()


def read(source, kept, system):
    """(the profile, a Rule for each of its rules)."""
    try:
        profile = json.loads(source, object_pairs_hook=once)
    except RecursionError:
        raise ValueError("nested too deep") from None
    understood(profile, SAID)
    for key in "flags", "listenerPath":  # how to load it, and whom to ask: we do neither
        if profile.get(key):
            refuse(key, "not understood, and a rule half understood is none")
    number(profile, "defaultErrnoRet", "defaultErrno")
    refused = value(profile, "defaultAction", str) in REFUSES
    given, lines = value(profile, "syscalls", list), places(source)
    rules = []
    for words, line in zip(given, lines if len(lines) == len(given) else [0] * len(given)):
        understood(words, SAID_IN_RULE)
        rule = Rule(line, plain(words), condition(words, kept, system))
        if refused and rule.words["action"] in REFUSES and not rule.why:
            rule.out = {name: "no call that libseccomp knows: refused by the default"
                        for name in rule.words["names"] if resolve(name) is None}
        rules.append(rule)
    overlaid([rule for rule in rules if not rule.why])
    return profile, rules


def overlaid(rules):
    """What comes of several rules for a call, as in libseccomp: one without comparisons is the last
    word, whatever stands around it, and the first of those counts."""
    for rule in rules:
        for name in rule.words["names"] if not rule.words["args"] else ():
            for other in rules:
                if other is not rule and name in other.words["names"] and name not in rule.out:
                    other.out.setdefault(name, f"line {rule.line} has no conditions")


def plain(words):
    """A rule in the words of the specification."""
    number(words, "errnoRet", "errno")
    names = [words["name"]] if words.get("name") else []
    plain = {"names": names + value(words, "names", list, []), "args": value(words, "args", list, []),
             "action": value(words, "action", str).replace("KILL_THREAD", "KILL")}
    return plain if words.get("errnoRet") is None else plain | {"errnoRet": words["errnoRet"]}


def number(words, key, named):
    """Fills in an errno that is said by name. Both may be said, and then must agree."""
    name = value(words, named, str, "")
    if name:
        code = getattr(errno, name, None)
        if type(code) is not int or words.get(key) not in (None, code):
            refuse(named, f"{name} is not {key} {words.get(key)}" if code else f"{name} is none")
        words[key] = code


def condition(words, kept, system):
    """Why a rule does not hold here; "" if it does."""
    includes, excludes = (value(words, key, dict, {}) for key in ("includes", "excludes"))
    here = {system.machine, ARCHES.get(system.machine, system.machine)}
    for some in includes, excludes:
        understood(some, {"caps", "arches", "minKernel"})
    for name in value(includes, "caps", list, []):
        if not holds(name, kept):
            return f"only with {name}"
    for name in value(excludes, "caps", list, []):
        if holds(name, kept):
            return f"not with {name}"
    arches = value(includes, "arches", list, [])
    if arches and not here.intersection(arches):
        return f"only on {', '.join(arches)}"
    if here.intersection(value(excludes, "arches", list, [])):
        return f"not on {system.machine}"
    if includes.get("minKernel") and release(system.release) < release(includes["minKernel"]):
        return f"only from Linux {includes['minKernel']} on"
    if excludes.get("minKernel") and release(system.release) >= release(excludes["minKernel"]):
        return f"not from Linux {excludes['minKernel']} on"
    return ""


def holds(name, kept):
    return kept is None or str(name).removeprefix("CAP_") in kept


def release(text):
    """(4, 18) of "4.18.0-513.el8": not a fraction, or 4.18 would be older than 4.8."""
    major, _, rest = str(text).partition(".")
    minor = rest[:next((at for at, c in enumerate(rest) if c not in "0123456789"), len(rest))]
    if not major.isdecimal() or not minor:
        refuse("minKernel", f"{text!r:.40} is no version of a kernel")
    return int(major), int(minor)


def alternatives(rule):
    """A rule; or one a comparison, if it compares an argument twice: runc takes any for all then."""
    words = rule.words | {"names": [name for name in rule.words["names"] if name not in rule.out]}
    if rule.out and not words["names"]:
        return []
    indexes = [repr(test.get("index")) for test in words["args"] if type(test) is dict]
    if len(indexes) == len(set(indexes)):
        return [words]
    return [words | {"args": [test]} for test in words["args"]]


def places(source):
    """The line that each rule's names begin on. (In a string the quotes would have backslashes.)"""
    return [number for number, line in enumerate(source.decode().splitlines(), 1)
            for _ in range(line.count('"names"') + line.count('"name"'))]
