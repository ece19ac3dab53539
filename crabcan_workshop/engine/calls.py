"""What an engine asks of its runtime: each call noted on its way, and told in a few words.

The runtime that the engine gets is a small script, which notes the words and then calls ours. An
engine starts `create` as its child and wants to see it end, nothing more: so a script may stand
between them, as long as it leaves the standard descriptors alone.
"""
import json
import shlex
from pathlib import Path

SCRIPT = """#!/bin/sh
# Notes each call of an engine's, and passes it on.
call={folder}/$(date +%s%N)-$$
printf '%s\\0' "$@" >"$call.words"
{runtime} "$@"
status=$?
echo $status $(date +%s%N) >"$call.ended"
exit $status
"""
TAKES_VALUE = ("--root", "--log", "--log-format", "--criu", "--rootless", "--cgroup-manager", "--bundle", "-b",
               "--pid-file", "--console-socket", "--preserve-fds", "--process", "-p", "--resources", "-r",
               "--format", "-f", "--interval", "--cgroup", "--user", "-u", "--cwd", "--env", "-e")
MEANINGS = {
    "--version": "which runtime is this, and of which version?",
    "features": "what can it do?",
    "create": "make the container of this bundle, all walls up; its program waits",
    "start": "let the program run",
    "state": "does it run? Which process is it?",
    "exec": "one more process, in the same namespaces and behind the same walls",
    "kill": "a signal",
    "delete": "remove what is left: state, cgroups, mounts",
    "pause": "let nothing in it run (freezer)", "resume": "let it run again",
    "update": "other limits", "ps": "which processes are in it?",
    "events": "what does it use?", "list": "which containers are there?"}


def script(path, runtime, folder):
    """Writes the runtime that notes its calls in a folder."""
    folder.mkdir(exist_ok=True)
    path.write_text(SCRIPT.format(folder=shlex.quote(str(folder)), runtime=shlex.quote(str(runtime))))
    path.chmod(0o755)
    return path


class Call:
    """One call: its words, its status, when it began and how many milliseconds it took."""

    def __init__(self, words, began, ended=None, status=None):
        self.words, self.began, self.status = words, began, status
        self.took = (ended - began) / 1e6 if ended else None

    @property
    def command(self):
        """The command among the options; --version counts as one."""
        words = iter(self.words)
        for word in words:
            if word in TAKES_VALUE:
                next(words, None)
            elif not word.startswith("-") or word == "--version":
                return word
        return ""

    @property
    def after(self):
        """The words behind the command that are no options."""
        rest, found = iter(self.words[self.words.index(self.command) + 1:] if self.command else ()), []
        for word in rest:
            if word in TAKES_VALUE:
                next(rest, None)
            elif not word.startswith("-"):
                found.append(word)
        return found

    def meaning(self):
        """What is asked for, in a few words."""
        text = MEANINGS.get(self.command, "")
        if self.command == "kill":
            number = self.after[1] if self.after[1:] else "TERM"
            text = f"signal {number}" + (" to each process in it" if {"--all", "-a"} & set(self.words) else
                                         " to its first process")
        elif self.command == "delete" and {"--force", "-f"} & set(self.words):
            text = "end it if it still runs, and " + text
        if self.status:
            text += f"  [exit status {self.status}]"
        return text

    def shown(self):
        """The words, with ids and directories cut short: each is said many times."""
        return " ".join(shlex.quote(short(word)) for word in self.words)

    def data(self):
        return {"words": self.words, "command": self.command, "meaning": self.meaning(),
                "status": self.status, "milliseconds": self.took}


def short(word):
    """A word of no more than 40 characters: of an id the beginning, of a path the end."""
    if len(word) == 64 and not word.strip("0123456789abcdef"):
        return word[:12]
    return word if len(word) <= 40 or not word.startswith("/") else f"...{word[-36:]}"


def read(folder):
    """The calls that are noted in a folder, in the order in which they began."""
    found = []
    for path in sorted(Path(folder).glob("*.words")):
        ended = path.with_suffix(".ended")
        status, when = ended.read_text().split() if ended.exists() else (None, None)
        words = path.read_bytes().decode(errors="replace").split("\0")[:-1]
        found.append(Call(words, int(path.name.partition("-")[0]), when and int(when),
                          None if status is None else int(status)))
    return found


def text(calls):
    """All as JSON."""
    return json.dumps([call.data() for call in calls], indent=1)
