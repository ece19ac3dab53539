"""What /proc shows of the room's processes to us, who stand outside."""
import os

from ..measure.observe import look, stat_of
from .join import Place

KINDS = ("uid", "gid")


class Sight:
    """Looks at processes; users and groups are counted as the room counts them."""

    def __init__(self, keeper):
        self.keeper, self.user = keeper, Place(keeper, ("user",))
        self.maps = {kind: id_map(keeper, kind) for kind in KINDS}

    def id(self, kind, number):
        """A user or group of the host's, as the room's; None if it is nobody in there."""
        for inside, outside, count in self.maps[kind]:
            if outside <= number < outside + count:
                return number - outside + inside
        return None

    def look(self, pid):
        """observe.look, and what it leaves out."""
        status = words(pid, "status")
        found = look(pid) | {
            "pid": pid, "filters": status.get("Seccomp_filters", ""), "umask": status["Umask"],
            "Groups": [self.id("gid", int(word)) for word in status["Groups"].split()]}
        for kind in KINDS:
            name = kind.capitalize()
            found[name] = [self.id(kind, int(word)) for word in status[name].split()]
            found[f"{kind}_map"] = [[inside, self.id(kind, outside), count]
                                    for inside, outside, count in id_map(pid, kind)]
        with open(f"/proc/{pid}/limits") as file:
            found["limits"] = {line[:26].strip(): line[26:].split()[:2] for line in file}
        with open(f"/proc/{pid}/mountinfo") as file:
            found["mounts"] = [line.split() for line in file]
        with open(f"/proc/{pid}/oom_score_adj") as file:
            found["oom"] = int(file.read())
        return found | {"uid": found["Uid"][1]}

    def program(self, runtime, inner, step):
        """The container's first process, if it has become the program that was asked for."""
        wanted = [os.fsencode(word) for word in inner]
        for pid in [runtime] if step < 2 else children(runtime):  # it may have others, beside the container
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if file.read().split(b"\0")[:-1] == wanted:
                        return self.look(pid) | {"runtime": self.look(runtime)}
            except (OSError, ValueError, KeyError, StopIteration):
                continue
        return None

    def fds(self, pid):
        """A process's descriptors. Its owner's, says /proc: so the room's root looks."""
        said = self.user.ask(lambda: " ".join(os.listdir(f"/proc/{pid}/fd")).encode())
        return sorted(map(int, said.split()))

    def within(self, pid, *tops):
        """Whether a process has come of the room's first one, or of one of `tops`."""
        for _ in range(100):
            try:
                pid = stat_of(pid)[1]
            except (OSError, ValueError, IndexError):
                return False
            if pid in (self.keeper, *tops):
                return True
            if pid <= 1:
                return False
        return False

    def others(self, *but):
        """Every process in the room, less its first and those that are to be there."""
        return [pid for pid in descendants(self.keeper) if pid not in but]


def words(pid, name):
    """Lines of /proc/PID/NAME such as "Umask: 0022", as a dict."""
    with open(f"/proc/{pid}/{name}") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def id_map(pid, kind):
    with open(f"/proc/{pid}/{kind}_map") as file:
        return [[int(word) for word in line.split()] for line in file]


def descendants(pid):
    """All that has come of a process, but itself."""
    found, new = [], [pid]
    while new:
        more = children(new.pop())
        found += more
        new += more
    return found


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN, or nobody
        found = []
        for name in os.listdir("/proc") if os.path.exists(f"/proc/{pid}") else ():
            try:
                if name.isdigit() and stat_of(name)[1] == pid:
                    found.append(int(name))
            except OSError:
                pass  # ended while we looked
        return found
    except OSError:
        return []
