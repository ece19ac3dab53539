"""Whether many containers cost more than as many times one: 1,000 in a row, 100 at once."""
import contextlib
import os
import statistics
import sys

from common import Once, clock, machine, progress, spread

from crabcan_steps import ch01_args, ch02_clone, ch09_runtime


def create(*command):
    spec = ch01_args.parse(command)
    return ch02_clone.create(spec, ch09_runtime.assemble(spec, ch09_runtime.LAST))


def warm():
    """Seconds of one container, from nothing to nothing."""
    begin = clock()
    container = create("/bin/true")
    try:
        ch02_clone.start(container)
        assert ch02_clone.wait(container) == 0
    finally:
        ch02_clone.delete(container)
    return clock() - begin


def at_once(number):
    """Seconds until so many containers run, all at the same time."""
    containers = []
    begin = clock()
    try:
        for _ in range(number):
            containers.append(create("/bin/sleep", "1000"))
            ch02_clone.start(containers[-1])
        seconds = clock() - begin
        for container in containers:
            assert os.readlink(f"/proc/{container.pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
    finally:
        for container in containers:
            ch02_clone.delete(container)
    return seconds


def measure(rounds):
    """The report: 50 starts in a row a round, and so 1,000 for the usual 20."""
    with contextlib.redirect_stderr(Once(sys.stderr)):
        return measured(max(50 * rounds, 20), min(100, 5 * rounds))


def measured(number, many):
    times = []
    for i in range(number):
        if i % 50 == 0:
            progress(f"scale: {i} of {number} in a row")
        times.append(warm())
    tenth = number // 10
    begin, end = times[:tenth], times[-tenth:]
    progress(f"scale: {many} at once")
    together = at_once(many)
    one = statistics.median(times)
    return {"about": f"{number} containers in a row and {many} at once, warm, milliseconds",
            "machine": machine(),
            "rows": {f"the first {tenth}": spread(begin), f"the last {tenth}": spread(end),
                     f"{many} at once, each": spread([together / many])},
            "ratios": {"last / first": {"ratio": statistics.median(end) / statistics.median(begin),
                                        "aim": 1.1},
                       f"{many} at once / {many} times one": {"ratio": together / many / one, "aim": 1.2}},
            "notes": []}
