"""Facts: what must be so in a chapter's container, how to see it, what it means if it is not."""

import random
import secrets
from pathlib import Path

FILTERED = "a filter is active around this machine already, as in a container: what has none cannot be shown"


def filtered():
    """Whether a filter that is not ours holds for all processes here."""
    return "\nSeccomp:\t0\n" not in Path("/proc/self/status").read_text(errors="surrogateescape")


def drawn(prefix="w"):
    """A word for this check alone, so that no constant can be right."""
    return f"{prefix}{secrets.token_hex(3)}"


def number(least, most):
    return random.randint(least, most)


def plain(seen):
    """What was seen, as text for a reader: lists are their words."""
    return " ".join(map(plain, seen)) if isinstance(seen, (list, tuple)) else str(seen)


class Wrong(Exception):
    """A fact is not so: what was seen instead, and why that is or what it leads to.

    A reason is given only by who has tested its own condition; else it is empty."""

    def __init__(self, seen, why=""):
        super().__init__(seen, why)
        self.seen, self.why = plain(seen), why


class Absent(Exception):
    """A fact that cannot be tried on this machine, and why."""


class Fact:
    """One line of a check. `attempt` returns what was seen, or raises Wrong.

    `spare`: the exercise can be passed on a machine where this cannot be tried."""

    def __init__(self, exercise, expected, look, attempt, spare=False):
        self.exercise, self.expected, self.look = exercise, expected, look
        self.attempt, self.spare = attempt, spare

    def found(self, state, seen="", why=""):
        """As a dict, for the table and for --json."""
        return {"exercise": self.exercise, "expected": self.expected, "look": self.look,
                "spare": self.spare, "state": state, "seen": seen, "why": why}

    def untried(self, slowest, longest):
        return self.found("untried", why="not tried: no time was left, for one run of your code took up "
                          f"to {slowest:.1f} s; longest was: {longest}")

    def result(self, machine, harm):
        try:
            return self.found("right", str(self.attempt(machine)))
        except Wrong as error:
            return self.blame(machine, error.seen or "nothing", error.why)
        except Absent as error:
            return self.found("absent", "cannot be tried here", str(error))
        except harm as error:
            return self.found("harm", "more than the container", str(error))
        except Exception as error:  # what came back was so odd that the fact could make nothing of it
            last = machine.runs[-1] if machine.runs else None
            seen = (last.out.strip() or last.seen)[:200] if last else type(error).__name__
            return self.blame(machine, seen or "nothing", "")

    def blame(self, machine, seen, why):
        """Whoever raises an exception of their own hears of that first, and of it once."""
        for words in (words for run in machine.runs for words in run.raised):
            if words["type"] == "NotImplementedError":
                return self.found("wrong", seen, f"still to be written: {words['text']}")
            where = f" ({words['file']}, line {words['line']})" if words["file"] else ""
            return self.found("unreached", seen, f"not reached: {words['type']}{where}")
        if seen == "died" and not why and machine.kept.setdefault("died", self) is self:  # told once
            why = "the child ended before its command, and without a word: by os._exit(), or killed by a signal"
        return self.found("wrong", seen, why)


def collector():
    """A list of facts, and a decorator that adds one."""
    facts = []

    def fact(exercise, expected, look, spare=False):
        def add(attempt):
            facts.append(Fact(exercise, expected, look, attempt, spare))
            return attempt
        return add
    return facts, fact


def must(condition, seen, why=""):
    """Raises Wrong unless the condition holds; returns what was seen."""
    if not condition:
        raise Wrong(seen, why)
    return seen


def equal(seen, expected, why=""):
    return must(seen == expected, seen, why)


def came_up(answer, **causes):
    """The answer, if its container ran to a good end. A cause is a call's that failed."""
    if answer.status != 0:
        raise Wrong(answer.seen, causes.get((answer.failed or {}).get("call"), ""))
    return answer


def refused(answer, status, *names):
    """The answer, if it is one line of the runtime's that names all these, and this status."""
    must(answer.status == status, f"status {answer.status}: {answer.error or answer.out[:60]}",
         f"this is to be refused, with status {status}" if answer.status == 0 else "")
    must(len(answer.lines) == 1, f"{len(answer.lines)} lines: {answer.err.strip()[:200]}",
         "an error is one line of crabcan's")
    for name in names:
        must(name in answer.error, answer.error, f"the line names what it is about: {name}")
    return answer


def swallowed(machine, calls, *options):
    """Raises Wrong if a container starts although the kernel refuses one of these calls."""
    for call in calls:
        answer = machine.refusing(call, *options)
        name = call.partition(":")[0]
        if answer.status == 0 and machine.refusing("!" + call, *options).status == 0:
            continue  # there are other ways, and this one makes no such call
        must(answer.status, f"it starts although the kernel refuses {name}", f"what {name} says was "
             "passed over: its error must come home, or the container is less than it seems")
        must(answer.status == 125 and len(answer.lines) == 1, f"status {answer.status}, "
             f"{len(answer.lines)} lines, when the kernel refuses {name}: {answer.seen}",
             "a call that fails is one line and status 125: let its error through")
    return f"{len(calls)} calls"


def property_of(name):
    """A fact of the isolation matrix: closed by this chapter?"""
    from ..measure import matrix

    def closed(machine, why, *options):
        inside, outside = machine.probe(*options)
        result = matrix.PROPERTIES[name][2](inside, outside, machine.host)
        if result is None:
            raise Absent("this kernel does not have it")
        return must(result, "open", why) and "closed"
    return closed
