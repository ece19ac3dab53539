"""Draws a cold start as a timeline: the quickest of twenty runs, disturbed least by others.

--write puts it into the book (chapters/diagrams), and a narrow one for small screens; then run
tools/diagrams.py.
"""
import os
import subprocess
import sys

from common import CHECKOUT, LAUNCHER, clock

DIAGRAMS = CHECKOUT / "chapters/diagrams"
# Runs crabcan with an observer that writes each call to a pipe: nanoseconds, side, layer, call. The
# pipe is its standard input, for the child closes all else.
RUN = """
import os, sys, time
now = time.perf_counter_ns
begun = now()
sys.path[:0] = [sys.argv[1]]
sys.path += ["/usr/lib/python3/dist-packages",
             "%s/.venv/lib/python%d.%d/site-packages" % (sys.argv[1], *sys.version_info[:2])]
pipe = 0
from crabcan_steps import cli, linux
class Observer:
    side, layer = "parent", None
    def __call__(self, call, args, options, result, error, microseconds):
        end = now()
        if (call, result) != ("clone3", (0, None)) and call not in ("recv", "send", "close", "dup2"):
            name = self.layer.name if self.layer else "-"
            os.write(pipe, f"{end - 1000 * microseconds} {end} {self.side} {name} {call}\\n".encode())
linux.observer = Observer()
os.write(pipe, f"{begun} {now()} parent - imports\\n".encode())
os._exit(cli.main(["run", "/bin/true"]))
"""


def run():
    """One cold start: (label, side, begin, end) of its parts, in milliseconds from the beginning."""
    ours, theirs = os.pipe()
    begin = clock()
    subprocess.run([*LAUNCHER[:-1], "-c", RUN, str(CHECKOUT)], stdin=theirs, check=True)
    end = (clock() - begin) * 1000
    os.close(theirs)
    with open(ours) as file:
        events = [line.split() for line in file]
    times = [((int(a) / 1e6 - begin * 1000), (int(b) / 1e6 - begin * 1000), *names)
             for a, b, *names in events]

    def of(side, layer=None, call=None):
        return [t for t in times if t[2] == side and layer in (None, t[3]) and call in (None, t[4])]

    imports, clone = of("parent", call="imports")[0], of("parent", call="clone3")[0]
    child, mounts, filters = of("child"), of("child", "mounts"), of("child", "seccomp")
    maps = [t for t in of("parent", "namespaces") if t[0] > clone[1]]
    over = min(t[0] for t in of("parent") if t[0] > filters[-1][1])
    return [("interpreter", "parent", 0, imports[0]), ("imports", "parent", *imports[:2]),
            ("prepare", "parent", imports[1], clone[0]), ("clone3", "parent", *clone[:2]),
            ("id maps", "parent", maps[0][0], maps[-1][1]),
            ("users, cgroup", "child", child[0][0], mounts[0][0]),
            ("mounts", "child", mounts[0][0], mounts[-1][1]),
            ("limits, caps", "child", mounts[-1][1], filters[0][0]),
            ("seccomp", "child", filters[0][0], filters[-1][1]),
            ("execve to exit", "child", filters[-1][1], over),
            ("clean up", "parent", over, end)]


def drawn(parts):
    """The parts as lines of text, one each: two columns a millisecond."""
    lines, last = scale(parts, 10, 24), None
    for label, side, begin, end in parts:
        lines.append(f"{side if side != last else '':8}{label:16}{bar(2 * begin, 2 * end)} {end - begin:.1f}")
        last = side
    return "\n".join(lines) + "\n"


def narrow(parts):
    """The same, half as wide: the ends of the wide one's bars, halved."""
    lines, last = scale(parts, 5, 16), None
    for label, side, begin, end in parts:
        if side != last:
            lines.append(side)
        first, after = round(2 * begin), round(2 * begin) + max(1, round(2 * end) - round(2 * begin))
        lines.append(f" {label:15}{bar((first + 1) // 2, (after + 1) // 2)} {end - begin:.1f}")
        last = side
    return "\n".join(lines) + "\n"


def scale(parts, tick, margin):
    """The two lines above the bars, with a tick each five milliseconds."""
    ticks = int(parts[-1][3] / 5) + 1
    numbers = "".join(f"{5 * i:<{tick}}" for i in range(ticks + 1)).rstrip()
    return [f"{'':{margin}}{numbers} ms", f"{'':{margin}}{('┬' + '─' * (tick - 1)) * ticks}┬"]


def bar(begin, end):
    """A bar from one column to another."""
    return " " * round(begin) + "━" * max(1, round(end) - round(begin))


def main():
    run()  # the first may have to compile the filters
    parts = min((run() for _ in range(20)), key=lambda parts: parts[-1][3])
    if sys.argv[1:] == ["--write"]:
        (DIAGRAMS / "timeline.txt").write_text(drawn(parts))
        (DIAGRAMS / "timeline-narrow.txt").write_text(narrow(parts))
    print(drawn(parts), end="")


if __name__ == "__main__":
    main()
