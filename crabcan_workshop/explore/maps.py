"""Who is who in a user namespace: its id maps, and an id as the host counts (user_namespaces(7))."""
import re

from .data import Unknown, arg, numbers, put, text
from .namespaces import by_pid

FILE = re.compile(r"/proc/(self|\d+)/(uid_map|gid_map|setgroups)")


def newidmap(state, event, process):
    """newuidmap and newgidmap write what we may not: their words are the process and the map."""
    kind = {"newuidmap": "uid", "newgidmap": "gid"}.get(text(arg(event, 0)).rpartition("/")[2])
    if kind is None or event["result"] != 0:
        raise Unknown("no map was written")
    pid, *ids = numbers(event["args"][1:])
    lines = [ids[n:n + 3] for n in range(0, len(ids), 3)]
    if not there(state, pid):
        return state
    user = by_pid(state, pid)["namespaces"]["user"]["id"]
    return put(state, "namespaces", user, "maps", kind, lines)


def there(state, pid):
    """Whether a process is in the recording. A helper's is not: it owns a mount whose owners are shifted."""
    return any(str(process["pid"]) == str(pid) for process in state["processes"].values())


def write(state, path, words, process):
    """A file of /proc that says who is who in a user namespace; None if it is another file."""
    match = FILE.fullmatch(path)
    if not match:
        return None
    if match[1] != "self" and not there(state, match[1]):
        return state
    other = process if match[1] == "self" else by_pid(state, match[1])
    user = other["namespaces"]["user"]["id"]
    if match[2] == "setgroups":
        return put(state, "namespaces", user, "setgroups", words.strip())
    lines = [[int(word) for word in line.split()] for line in words.splitlines()]
    if not all(len(line) == 3 for line in lines):
        raise Unknown("no id map")
    return put(state, "namespaces", user, "maps", match[2][:3], lines)


def outside(state, user, kind, number_):
    """An id of a user namespace, as the host counts; None if the map has none such."""
    while state["namespaces"][user]["parent"] is not None:
        space = state["namespaces"][user]
        number_ = next((out + number_ - first for first, out, count in space["maps"][kind]
                        if first <= number_ < first + count), None)
        if number_ is None:
            return None
        user = space["parent"]
    return number_


def user_of(process):
    return process["namespaces"]["user"]["id"]


def mapped(state, process, kind, number_):
    """An id that a process asks for, as the host counts. Raises Unknown if it is not in the map."""
    found = outside(state, user_of(process), kind, number_)
    if found is None:
        raise Unknown(f"{kind} {number_} is not in the map")
    return found
