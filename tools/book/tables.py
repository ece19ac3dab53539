"""The matrix, the comparison and the fields of config.json as tables: parsed of the text that a run has printed.

The Markdown keeps that text, since a tool fills it and a terminal shows it; a page shows a table.
"""
import re
from html import escape

SIGNS = {"●": "closed", "·": "open", "◐": "closed early", "–": "could not be tried",
         "✗": "not as it should be"}
SHOWN = {"·": "○"}  # on a page it may be as large as the full one
COMMANDS = ("cgroups", "console", "hooks", "state")  # of chapter 10's room, those with the commands
# How the probe tries each property (crabcan_workshop/measure/probe.py), and who else is asked.
TRIED = {
    "environ": "looks for a variable of its caller's",
    "pid": "asks for its own number, and sends signal 0 to a process of the host's",
    "name": "asks for its host name; from outside, /proc/PID/ns/uts is compared with the host's",
    "files": "opens a file of the host's by its path",
    "mounts": "from outside, the first line of its mountinfo and its namespace are compared",
    "proc": "reads /proc/interrupts",
    "users": "from outside, its uid is read in /proc/PID/status",
    "ipc": "asks for a System V message queue of the host's",
    "keys": "searches its session keyring for a key of its caller's",
    "network": "connects to a port of the host's 127.0.0.1; in chapter 11 by each address of the host's",
    "cgroup": "reads /proc/self/cgroup",
    "time": "from outside, /proc/PID/ns/time is compared with the host's",
    "caps": "calls chroot; from outside, the five sets are read in /proc/PID/status",
    "no_new": "from outside, NoNewPrivs is read in /proc/PID/status",
    "filter": "from outside, Seccomp is read in /proc/PID/status",
    "calls": "calls keyctl, and unshare with CLONE_NEWUSER",
    "memory": "touches 128 MB",
    "pids": "starts 40 processes",
    "cpu": "takes 0.2 s of a processor; from outside, nr_throttled is read in cpu.stat",
    "nofile": "opens 100 files",
    "session": "asks whether it leads its session",
}


def matrix(text, pages):
    """The matrix as HTML; pages: a chapter's number -> the address of its page."""
    lines = text.split("\n")
    first = next(n for n, line in enumerate(lines) if is_row(line))
    end = next((n for n in range(first, len(lines)) if not is_row(lines[n])), len(lines))
    rows, places = lines[first:end], [at for at, c in enumerate(lines[first]) if c in SIGNS]
    heads = ["".join(line[at:at + 1] for line in lines[:first]).strip() for at in places]
    meanings = re.findall(r"^  (\S+) +from chapter (\d+): (.+)$", text, re.M)
    said = {name: meaning for name, _, meaning in meanings}
    yield '<table class="matrix">'
    yield "<caption>Checkpoints down, properties across: which are closed in which</caption>"
    columns = "".join(f'<th scope="col" title="{escape(said.get(name, ""), True)}">'
                      f"<span>{escape(name)}</span></th>" for name in heads)
    yield f"<thead><tr><td></td>{columns}</tr></thead><tbody>"
    for row in rows:
        label = row[:places[0]].strip()
        cells = "".join(cell(row[at], f"{name} in {label}", f" (the probe {TRIED[name]})"
                             if name in TRIED else "") for name, at in zip(heads, places))
        yield f'<tr><th scope="row">{linked(label, pages)}</th>{cells}</tr>'
    yield "</tbody></table>"
    yield key("".join(rows))
    if meanings:
        yield '<table class="legend"><thead><tr><th>property</th><th>closed from</th>' \
              "<th>what holds, and how it is tried</th></tr></thead><tbody>"
        for name, chapter, meaning in meanings:
            yield f'<tr><th scope="row">{escape(name)}</th><td>{linked(chapter, pages)}</td>' \
                  f"<td>{escape(meaning)}{tried(name)}</td></tr>"
        yield "</tbody></table>"


def is_row(line):
    return any(f" {sign} " in f"{line[15:]} " for sign in SIGNS) and "closed  " not in line


def tried(name):
    """How, as a sentence below what holds."""
    how = TRIED.get(name)
    return f"<small>{escape(how[0].upper() + how[1:])}.</small>" if how else ""


def linked(label, pages):
    """A chapter's number, with its name or without, as a link to it."""
    number = re.match(r"\d+", label)
    if not number or int(number[0]) not in pages:
        return escape(label)
    return f'<a href="{pages[int(number[0])]}">{escape(label)}</a>'


def cell(sign, where, how=""):
    word = SIGNS[sign]
    return f'<td class="{word.split()[0]}" title="{escape(f"{where}: {word}{how}", True)}">' \
           f'<i>{SHOWN.get(sign, sign)}</i><span class="heard">{word}</span></td>'


def key(text):
    used = [f'<i class="{word.split()[0]}">{SHOWN.get(sign, sign)}</i> {word}'
            for sign, word in SIGNS.items() if sign in text]
    return f'<p class="key">{" &emsp; ".join(used)}</p>'


def comparison(text, _=None):
    """Everybody's defaults as HTML: a property a row, what it means below its name."""
    head, *rows = [re.split(r"  +", line.strip()) for line in text.split("\n") if line.strip()]
    yield '<table class="matrix compared">'
    yield "<caption>Properties down, runtimes across: which are closed by default</caption>"
    columns = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in head)
    yield f"<thead><tr><td></td>{columns}</tr></thead><tbody>"
    for name, *signs, meaning in rows:
        cells = "".join(cell(sign, f"{name}, {who}") for sign, who in zip(signs, head))
        yield f'<tr><th scope="row">{escape(name)}<small>{escape(meaning)}</small></th>{cells}</tr>'
    yield "</tbody></table>"
    yield key(text)


def fields(text, pages):
    """The fields of config.json as HTML: what each is for, and the page on which who does it stands."""
    head, *rows = [re.split(r"  +", line.strip(), maxsplit=3) for line in text.split("\n") if line.strip()]
    yield '<table class="legend">'
    yield "<caption>The fields of config.json, as workshop fields prints them</caption>"
    yield f"<thead><tr>{''.join(f'<th>{escape(word)}</th>' for word in head)}</tr></thead><tbody>"
    for path, kind, by, does in rows:
        page = pages.get(88 if by in COMMANDS else 87)
        who = f'<a href="{page}">{escape(by)}</a>' if page and by != "nobody" else escape(by)
        place = escape(path).replace(".", ".<wbr>")  # where a phone may break it
        yield f'<tr><th scope="row"><code>{place}</code></th><td>{escape(kind)}</td><td>{who}</td>' \
              f"<td>{escape(does)}</td></tr>"
    yield "</tbody></table>"
