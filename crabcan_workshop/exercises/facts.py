"""Facts: what must be so in a chapter's container, how to see it, what it means if it is not."""


class Wrong(Exception):
    """A fact is not so: what was seen instead, and why that is or what it leads to."""

    def __init__(self, seen, why):
        super().__init__(seen, why)
        self.seen, self.why = str(seen), why


class Absent(Exception):
    """A fact that cannot be tried on this machine, and why."""


class Fact:
    """One line of a check. `attempt` returns what was seen, or raises Wrong."""

    def __init__(self, exercise, expected, look, attempt):
        self.exercise, self.expected, self.look, self.attempt = exercise, expected, look, attempt

    def untried(self):
        return {"exercise": self.exercise, "expected": self.expected, "look": self.look,
                "state": "untried", "seen": "", "why": "not tried: the others took too long"}

    def result(self, machine, harm):
        """As a dict, for the table and for --json."""
        found = {"exercise": self.exercise, "expected": self.expected, "look": self.look, "why": ""}
        try:
            return found | {"state": "right", "seen": str(self.attempt(machine))}
        except Wrong as error:
            return found | {"state": "wrong", "seen": error.seen or "nothing", "why": error.why}
        except Absent as error:
            return found | {"state": "absent", "seen": "cannot be tried here", "why": str(error)}
        except harm as error:
            return found | {"state": "harm", "seen": "more than the container", "why": str(error)}


def collector():
    """A list of facts, and a decorator that adds one."""
    facts = []

    def fact(exercise, expected, look):
        def add(attempt):
            facts.append(Fact(exercise, expected, look, attempt))
            return attempt
        return add
    return facts, fact


def must(condition, seen, why):
    """Raises Wrong unless the condition holds; returns what was seen."""
    if not condition:
        raise Wrong(seen, why)
    return seen


def equal(seen, expected, why):
    return must(seen == expected, seen, why)


def came_up(answer):
    """The answer, if its container ran to a good end."""
    if answer.status != 0:
        raise Wrong(answer.error or f"exit status {answer.status}", answer.reason)
    return answer


def property_of(name):
    """A fact of the isolation matrix: closed by this chapter?"""
    from ..measure import matrix

    def closed(machine, why, *options):
        inside, outside = machine.probe(*options)
        host = machine.kept.setdefault("host", {**matrix.look("self"), "hostname": "your-machine"})
        result = matrix.PROPERTIES[name][2](inside, outside, host)
        if result is None:
            raise Absent("this kernel does not have it")
        return must(result, "open", why) and "closed"
    return closed
