"""Views of what the layers do: the matrix, one checkpoint from both sides, the calls of a run."""
import io
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from crabcan_steps.rendering import COLUMNS, Rendering

from ..chapters import WHOLE
from ..measure.matrix import ALL, MEANINGS, PROPERTIES, SIGNS, draw, title
from .containers import PYTHON, run
from .running import StartError
from .show import CELL, HIDDEN, Progress, Table, box, escape, scroll, table

# property: (what the probe inside reports, what /proc outside shows)
EVIDENCE = {
    "environ": (["variable of the host seen"], []),
    "pid": (["pid", "host process seen"], ["namespace pid"]),
    "name": (["hostname"], ["namespace uts"]),
    "files": (["host file read"], []),
    "mounts": ([], ["root", "namespace mnt"]),
    "proc": (["host's interrupts read"], []),
    "users": ([], ["uid", "namespace user"]),
    "ipc": (["host message queue found"], ["namespace ipc"]),
    "keys": (["host's key found"], []),
    "network": (["host port reached"], ["namespace net"]),
    "cgroup": (["cgroup is the root"], ["namespace cgroup"]),
    "time": ([], ["namespace time"]),
    "caps": (["chroot"], ["capabilities"]),
    "no_new": ([], ["no_new_privs"]),
    "filter": ([], ["seccomp"]),
    "calls": (["keyctl", "new user namespace"], []),
    "memory": (["128 MB"], []), "pids": (["40 processes"], []), "cpu": ([], ["throttled"]),
    "nofile": (["100 open files"], []), "session": (["own session"], [])}
PLACE = len(COLUMNS.format(place="", side="", text=""))


def fresh(*words):
    """Runs fresh.py; yields what it prints, a value a line."""
    command = [*PYTHON, "-m", "crabcan_workshop.lab.fresh", *map(str, words)]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        for line in process.stdout:
            yield json.loads(line)
        error = process.stderr.read().strip()
    if process.returncode:
        raise StartError(error.splitlines()[-1] if error else "the checkpoint ended without a word")


# ---------------------------------------------------------------- the matrix

def matrix(steps=None):
    """Runs checkpoints and shows what each isolates: all, those up to a number, or a list."""
    steps = ALL if steps is None else range(steps + 1) if isinstance(steps, int) else steps
    rows, steps, begin = [], list(steps), time.monotonic()
    progress = Progress("the first checkpoint is starting")
    for row in fresh("rows", *steps):
        rows.append(row)
        progress.say(f"{len(rows)} of {len(steps)} checkpoints tried")
    progress.end(f"{len(rows)} checkpoints tried in {time.monotonic() - begin:.1f} s")
    return Matrix(rows)


class Matrix:
    """Chapters down, properties across. matrix[3]["name"] is a cell."""

    def __init__(self, rows):
        self.rows = rows

    def __getitem__(self, step):
        return next(cells for number, cells, _ in self.rows if number == step)

    def closed(self, step):
        """The properties that a checkpoint closes."""
        return {name for name, cell in self[step].items() if cell == "closed"}

    def is_a_triangle(self):
        """Whether no cell is other than it should be."""
        return all(cell != "wrong" for _, cells, _ in self.rows for cell in cells.values())

    def __repr__(self):
        from rich.console import Console
        console = Console(file=io.StringIO(), width=100, color_system=None, highlight=False,
                          force_jupyter=False)
        draw(self.rows, console)
        return console.file.getvalue().rstrip()

    def _repr_html_(self):
        head = "".join(f'<th scope="col" title="{escape(text)}" style="{CELL};writing-mode:'
                       f'vertical-rl">{name}</th>' for name, (_, text, _) in PROPERTIES.items())
        first, body = f'<th scope="col" style="{CELL}">chapter</th>', ""
        for step, cells, _ in self.rows:
            body += f'<tr><th scope="row" style="{CELL}">{title(step)}</th>'
            body += "".join(self.cell(cells[name]) for name in PROPERTIES) + "</tr>"
        used = {cell for _, cells, _ in self.rows for cell in cells.values()}
        legend = "&emsp;".join(f"{SIGNS[c][0]} {MEANINGS[c]}" for c in MEANINGS if c in used)
        words = "".join(f"<li>{name}, from chapter {chapter}: {escape(text)}</li>"
                        for name, (chapter, text, _) in PROPERTIES.items())
        notes = "".join(box(note, "#888", "Note:")
                        for note in dict.fromkeys(note for _, _, note in self.rows if note))
        return scroll(f"{table('What each checkpoint isolates')}<thead><tr>{first}{head}</tr>"
                      f"</thead><tbody>{body}</tbody></table><p>{legend}</p>{notes}<details>"
                      f"<summary>What the columns mean</summary><ul>{words}</ul></details>",
                      "the isolation matrix")

    def cell(self, cell):
        look = "background:#1b5e20;color:#fff;" if cell == "closed" else ""
        return (f'<td style="{CELL};text-align:center;{look}"><span aria-hidden="true">'
                f'{SIGNS[cell][0]}</span><span style="{HIDDEN}">{MEANINGS[cell]}</span></td>')


# ---------------------------------------------------------------- one checkpoint from both sides

def observe(step):
    """What the probe in a checkpoint could do (0: on the host), beside what /proc says of it."""
    inside, outside, host, note = next(fresh("observe", step))
    return Observation(step, inside, outside, host, note)


class Observation(Table):
    """One checkpoint: `inside` is what the probe reports, `outside` and `host` what /proc shows."""

    def __init__(self, step, inside, outside, host, note):
        self.inside, self.outside, self.host = inside, outside, host
        rows = [(name, self.join(self.said, probe), self.join(self.seen, proc))
                for name, (probe, proc) in EVIDENCE.items()]
        caption = f"step {title(step)}" + (f" ({note})" if note else "")
        columns = ["property", "inside: the probe tried", "outside: /proc says"]
        super().__init__(caption, columns, rows)

    def join(self, tell, keys):
        return "; ".join(map(tell, keys)) or "-"

    def said(self, key):
        value = self.inside[key]
        return f"{key}: {'yes' if value is True else 'no' if value is False else value}"

    def seen(self, key):
        if key.startswith("namespace "):
            name = key.split()[1]
            its, ours = self.outside["namespaces"].get(name), self.host["namespaces"].get(name)
            return f"{name} namespace: {'shared' if its == ours else 'its own'}"
        if key == "capabilities":
            sets = self.outside[key]
            return ", ".join(f"{name[3:]} {bits.bit_count()}" for name, bits in sets.items())
        return f"{key}: {self.outside[key]}"


# ---------------------------------------------------------------- the calls of a run

def trace(step=WHOLE, command="true", **options):
    """Runs a command in a checkpoint and returns every call that crabcan made to the kernel."""
    with tempfile.TemporaryDirectory(prefix=f"crabcan-lab-{os.getpid()}-") as folder:
        file = Path(folder, "trace")
        result = run(command, step, trace=file, **options)
        if result.error or not file.exists():
            raise StartError(result.error or result.stderr.strip())
        events = [json.loads(line) for line in file.read_text().splitlines()]
    import prctl  # noqa: F401  the rendering takes the capabilities' names from it
    rendering = Rendering()
    pairs = [(event, (rendering.line(event) or "")[PLACE:]) for event in events]
    return Trace(pairs, f"step {step}")


class Trace(Table):
    """Calls to the kernel, in order. layer("mounts"), side("child"), call("clone3") pick some."""

    def __init__(self, pairs, caption):
        self.pairs = pairs
        self.events = [event for event, _ in pairs]
        rows = [(event["layer"] or "-", event["side"], text) for event, text in pairs if text]
        looks = len(pairs) - len(rows)
        more = f", and {looks} that only look, close or talk" if looks else ""
        super().__init__(f"{caption}: {len(rows)} calls{more}", ["layer", "side", "call"], rows)

    def __len__(self):
        return len(self.events)

    def __iter__(self):
        return iter(self.events)

    def where(self, caption, test):
        kept = [pair for pair in self.pairs if test(pair[0])]
        return Trace(kept, f"{self.caption.partition(':')[0]}, {caption}")

    def layer(self, name):
        return self.where(name, lambda event: event["layer"] == name)

    def side(self, name):
        return self.where(name, lambda event: event["side"] == name)

    def call(self, name):
        return self.where(name, lambda event: event["call"] == name)
