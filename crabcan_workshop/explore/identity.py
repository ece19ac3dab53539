"""What the calls about users, capabilities and filters make of the state (capabilities(7))."""
from .data import Unknown, arg, number, numbers, put
from .maps import mapped, outside, user_of
from .start import capabilities, capability

PDEATHSIG, KEEPCAPS, SECCOMP, CAPBSET_DROP, NO_NEW_PRIVS, AMBIENT = 1, 8, 22, 24, 38, 47
AMBIENT_RAISE, AMBIENT_LOWER, AMBIENT_CLEAR_ALL = 2, 3, 4



def changed(state, event, process, kind):
    """Three ids: real, effective, saved. -1 leaves one as it is."""
    wanted = numbers(event["args"])[:3]
    if len(wanted) != 3:
        raise Unknown("three ids are needed")
    old = process[kind]
    return [was if want in (-1, 4294967295) else mapped(state, process, kind, want)
            for was, want in zip(old, wanted)]


def setresgid(state, event, process):
    return put(state, "processes", process["side"], "gid", changed(state, event, process, "gid"))


def setresuid(state, event, process):
    """Who was root and is it no more loses its capabilities, unless PR_SET_KEEPCAPS says otherwise."""
    new, old = changed(state, event, process, "uid"), process["uid"]
    root = outside(state, user_of(process), "uid", 0)
    sets = process["capabilities"]
    if root in old and root not in new:
        sets = {**sets, "ambient": []}
        if not process["keep_capabilities"]:
            sets = {**sets, "permitted": [], "effective": []}
    if old[1] == root != new[1]:
        sets = {**sets, "effective": []}
    if old[1] != root == new[1]:
        sets = {**sets, "effective": sets["permitted"]}
    death = process["death_signal"] if new[1] == old[1] else 0
    process = {**process, "uid": new, "capabilities": sets, "death_signal": death}
    return put(state, "processes", process["side"], process)


def setgroups(state, event, process):
    groups = [mapped(state, process, "gid", number_) for number_ in numbers(event["args"][0])]
    return put(state, "processes", process["side"], "groups", groups)


def capset(state, event, process):
    effective, permitted, inheritable = (capabilities(bits) for bits in numbers(event["args"])[:3])
    ambient = [name for name in process["capabilities"]["ambient"]
               if name in permitted and name in inheritable]
    sets = {**process["capabilities"], "effective": effective, "permitted": permitted,
            "inheritable": inheritable, "ambient": ambient}
    return put(state, "processes", process["side"], "capabilities", sets)


def drop_bounding(state, process, number_):
    left = [name for name in process["capabilities"]["bounding"] if name != capability(number_)]
    return put(state, "processes", process["side"], "capabilities", "bounding", left)


def capbset_drop(state, event, process):
    return drop_bounding(state, process, number(arg(event, 0)))


def set_no_new_privs(state, event, process):
    return put(state, "processes", process["side"], "no_new_privs", True)


def prctl(state, event, process):
    choice, value, side = number(arg(event, 0)), arg(event, 1, 0), process["side"]
    if choice == PDEATHSIG:
        return put(state, "processes", side, "death_signal", number(value))
    if choice == KEEPCAPS:
        return put(state, "processes", side, "keep_capabilities", bool(value))
    if choice == NO_NEW_PRIVS:
        return set_no_new_privs(state, event, process)
    if choice == CAPBSET_DROP:
        return drop_bounding(state, process, number(value))
    if choice == SECCOMP:
        return filtered(state, event, process)
    if choice == AMBIENT:
        return put(state, "processes", side, "capabilities", "ambient", ambient(event, process))
    return state


def ambient(event, process):
    """The ambient set after one of the operations that it has."""
    now, do = process["capabilities"]["ambient"], number(arg(event, 1))
    if do == AMBIENT_CLEAR_ALL:
        return []
    name = capability(number(arg(event, 2, -1)))
    if do == AMBIENT_RAISE:
        numbers_ = [capability(n) for n in range(64)]
        return sorted({*now, name}, key=lambda each: numbers_.index(each))
    return [each for each in now if each != name] if do == AMBIENT_LOWER else now


def filtered(state, event, process):
    """One more filter: all are asked, and the stricter answer counts."""
    program = event.get("filter") or {"instructions": None}
    return put(state, "processes", process["side"], "filters", [*process["filters"], program])


def seccomp(state, event, process):
    """seccomp(2) can do the same as prctl; its other operations only ask."""
    return filtered(state, event, process) if number(arg(event, 0)) == 1 else state


def after_execve(state, process):
    """The sets after execve: root's come back as far as the bounding set, nobody else's but ambient ones."""
    sets, root = process["capabilities"], outside(state, user_of(process), "uid", 0)
    wanted = set(sets["ambient"])
    if root in process["uid"][:2]:
        wanted |= {*sets["inheritable"], *sets["bounding"]}
        if process["no_new_privs"]:
            wanted &= {*sets["permitted"]}
    permitted = [capability(n) for n in range(64) if capability(n) in wanted]
    effective = permitted if process["uid"][1] == root else sets["ambient"]
    return {**sets, "permitted": permitted, "effective": effective}
