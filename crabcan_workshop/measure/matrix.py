"""The isolation matrix: which property is closed in which checkpoint. It should be a triangle.

Below it stands chapter 11's container: it has a way out, and nothing else may be open for that.
"""
import json
import os
import subprocess
import sys

from .. import chapters
from . import evidence
from .observe import LIMITS, Canaries, ObserveError, look, networked, observe

CHAPTERS = ("no container", *map(chapters.NAMES.get, chapters.LAYERED))
TRIANGLE = range(chapters.WHOLE + 1)
ALL = (*TRIANGLE, chapters.NETWORK)


def own(name):
    """Closed if the process is in another namespace than we are."""
    def test(inside, outside, host):
        if name not in host["namespaces"]:
            return None
        return outside["namespaces"][name] != host["namespaces"][name]
    return test


# property: (chapter that closes it, what it means, how to tell from inside, outside and the host)
PROPERTIES = {
    "environ": (1, "the caller's variables stay outside",
                lambda i, o, h: not i["variable of the host seen"]),
    "pid": (2, "it is PID 1, and sees no process of the host",
            lambda i, o, h: i["pid"] == 1 and not i["host process seen"] and own("pid")(i, o, h)),
    "name": (3, "a hostname of its own",
             lambda i, o, h: i["hostname"] != h["hostname"] and own("uts")(i, o, h)),
    "files": (4, "the host's files are out of reach",
              lambda i, o, h: not i["host file read"]),
    "mounts": (4, "a root of its own, none of the host's mounts",
               lambda i, o, h: o["root"] != h["root"] and own("mnt")(i, o, h)),
    "proc": (4, "what /proc tells of the whole machine is hidden",
             lambda i, o, h: not i["host's interrupts read"]),
    "users": (5, "root inside is not root outside",
              lambda i, o, h: o["uid"] != 0 and own("user")(i, o, h)),
    "ipc": (5, "no message queue of the host's",
            lambda i, o, h: not i["host message queue found"] and own("ipc")(i, o, h)),
    "keys": (5, "no key of the caller's",
             lambda i, o, h: not i["host's key found"]),
    "network": (5, "a network of its own: only its own loopback",
                lambda i, o, h: not i["host port reached"] and own("net")(i, o, h)),
    "cgroup": (5, "its cgroup looks like the root",
               lambda i, o, h: own("cgroup")(i, o, h) and i["cgroup is the root"]),
    "time": (5, "offsets of its own, for the clocks that count since boot", own("time")),
    "caps": (6, "no capability in any of the five sets",
             lambda i, o, h: not any(o["capabilities"].values()) and not i["chroot"]),
    "no_new": (6, "no_new_privs: execve gives no privileges",
               lambda i, o, h: o["no_new_privs"]),
    "filter": (7, "a system call filter is active",
               lambda i, o, h: o["seccomp"] == "2"),
    "calls": (7, "keyctl and new user namespaces are refused",
              lambda i, o, h: not i["keyctl"] and not i["new user namespace"]),
    "memory": (8, "128 MB do not fit in 64 MB", lambda i, o, h: not i["128 MB"]),
    "pids": (8, "40 processes do not fit in 20", lambda i, o, h: not i["40 processes"]),
    "cpu": (8, "more than a fifth of a processor has to wait", lambda i, o, h: o["throttled"] > 0),
    "nofile": (8, "100 open files do not fit in 64", lambda i, o, h: not i["100 open files"]),
    "session": (9, "a session, and so a terminal, of its own", lambda i, o, h: i["own session"]),
}
BY_CGROUP = ("memory", "pids", "cpu")


def title(step):
    """What a checkpoint is called."""
    return f"{step} {chapters.NAMES[step]}" if step else CHAPTERS[0]


def rows(progress=lambda step: None, steps=ALL, seen=None):
    """Runs checkpoints; yields (step, {property: cell}, note) of each. Cells: see cell().

    seen: gets, for each step, {property: what its verdict is made of}."""
    seen = {} if seen is None else seen
    host = {**look("self"), "hostname": os.uname().nodename}
    with Canaries() as canaries:
        for step in steps:
            progress(step)
            try:
                inside, outside, errors, note = visit(step, canaries)
            except ObserveError as error:
                if step in TRIANGLE:
                    raise
                seen[step] = dict.fromkeys(PROPERTIES, {})
                yield step, dict.fromkeys(PROPERTIES, "absent"), str(error).splitlines()[-1]
                continue
            borrowed = ("users",) if "borrows" in errors else ()
            absent = BY_CGROUP if note else ()
            verdicts = {name: evidence.test(tried, inside, outside, host)
                        for name, (_, _, tried) in PROPERTIES.items()}
            seen[step] = {name: found for name, (_, found) in verdicts.items()}
            yield step, {name: cell(step, name, closed, borrowed, absent)
                         for name, (closed, _) in verdicts.items()}, note


def visit(step, canaries):
    """observe(), with limits from chapter 8 on; a note says why, if they cannot be had here."""
    if step == chapters.NETWORK and "host" not in canaries:
        with networked(canaries) as more:
            found = visit(step, more)
        if not found[0]["way out"]:
            raise ObserveError("it has no way out: no default route in there")
        return found
    try:
        return *observe(step, canaries, LIMITS if step >= 8 else []), ""
    except ObserveError as error:
        if step < 8 or "cgroups" not in str(error):
            raise
        return *observe(step, canaries), str(error).splitlines()[-1]


def cell(step, name, closed, borrowed, absent):
    """closed, open, borrowed (closed early, and said so), absent (not to be had here), or wrong."""
    if closed is None or name in absent and not closed:
        return "absent"
    if bool(closed) == (step >= PROPERTIES[name][0]):
        return "closed" if closed else "open"
    return "borrowed" if name in borrowed else "wrong"


SIGNS = {"closed": ("●", "#", "green"), "open": ("·", ".", "red"), "borrowed": ("◐", "b", "yellow"),
         "absent": ("–", "-", "yellow"), "wrong": ("✗", "!", "bold white on red")}
MEANINGS = {"closed": "closed", "open": "open", "borrowed": "closed early: borrowed from chapter 5",
            "absent": "not to be had here", "wrong": "NOT AS IT SHOULD BE"}


def draw(table, console):
    """Chapters down, properties across, as text; the heading of each column reads downwards."""
    from rich.text import Text
    plain = "utf" not in (console.encoding or "").lower()
    height = max(map(len, PROPERTIES))
    for line in range(height):
        letters = "  ".join(name.rjust(height)[line] for name in PROPERTIES)
        console.print((" " * 17 + letters).rstrip(), style="dim")
    for step, cells, _ in table:
        label = title(step) if step else "  " + CHAPTERS[0]
        line = Text(f"{label:15}")
        for name in PROPERTIES:
            sign, letter, style = SIGNS[cells[name]]
            line.append("  ").append(letter if plain else sign, style)
        console.print(line)
    console.print()
    for name, (chapter, text, _) in PROPERTIES.items():
        console.print(f"  {name:8} from chapter {chapter}: {text}")
    console.print()
    used = {value for _, cells, _ in table for value in cells.values()}
    legend = [f"{SIGNS[v][1 if plain else 0]} {text}" for v, text in MEANINGS.items() if v in used]
    console.print("  " + "    ".join(legend))
    for note in dict.fromkeys(note for _, _, note in table if note):
        console.print(f"  – because: {note}", soft_wrap=True)


def wrong(table, seen):
    """A line for each cell that is not as it should be: what was seen, and how to see it oneself."""
    for step, cells, _ in table:
        for name, value in cells.items():
            if value == "wrong":
                chapter, meaning, _ = PROPERTIES[name]
                yield evidence.tell(name, chapter, CHAPTERS[chapter], meaning, step,
                                    value, seen[step][name])


def main(options):
    """The command; 0 if the matrix is the triangle that it should be."""
    from rich.console import Console
    console, notes = Console(highlight=False), Console(stderr=True)
    table, seen = [], {}
    try:
        with notes.status("starting") as status:
            for row in rows(lambda step: status.update(f"checkpoint {title(step)}"), seen=seen):
                table.append(row)
    except ObserveError as error:
        notes.print(f"workshop: checkpoint {ALL[len(table)]} did not come up: {error}", markup=False)
        return 1
    clean = all(value != "wrong" for _, cells, _ in table for value in cells.values())
    if options.json:
        print(json.dumps([{"step": step, "chapter": title(step).split(" ", 1)[-1] if step else CHAPTERS[0], "cells": cells, "note": note,
                           "seen": seen[step]} for step, cells, note in table], indent=1))
    else:
        draw(table, console)
        for line in wrong(table, seen):
            notes.print(f"  ✗ {line}", markup=False, soft_wrap=True)
    return 0 if clean else 1
