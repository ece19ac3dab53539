"""What engines read: one line on standard error, and with --log a record in a file."""
import os
import sys

from ..layer import printable
from .state import now

LOWER = {"No such": "no such", "Permission": "permission", "Operation": "operation", "Not a": "not a",
         "Is a": "is a", "Invalid": "invalid", "File exists": "file exists"}


class Log:
    """Where to tell it: a path or None, and whether in JSON."""

    def __init__(self, path=None, style="text", debug=False):
        self.path, self.style, self.debugging = path, style, debug

    def error(self, text):
        text = printable(as_engines_know_it(str(text)))
        print(f"crabcan-oci: {text}", file=sys.stderr)
        self.record("error", text)

    def warn(self, text):
        text = printable(str(text))
        print(f"crabcan-oci: warning: {text}", file=sys.stderr)
        self.record("warning", text)

    def debug(self, text):
        if self.debugging and self.path:
            self.record("debug", printable(str(text)))
        elif self.debugging:
            print(self.line("debug", printable(str(text))), file=sys.stderr)

    def line(self, level, text):
        if self.style == "json":
            import json
            return json.dumps({"level": level, "msg": text, "time": now()}, separators=(",", ":"))
        return f'time="{now()}" level={level} msg="{text}"'.replace("\n", " ")

    def record(self, level, text):
        """Adds a record to the file. One write each: engines read while others write."""
        if not self.path:
            return
        line = self.line(level, text)
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
            try:
                os.write(fd, line.encode(errors="replace") + b"\n")
            finally:
                os.close(fd)
        except OSError:
            pass  # standard error has it


def as_engines_know_it(text):
    """The C library's words begin with a capital; engines compare with Go's, which do not."""
    for word, small in LOWER.items():
        text = text.replace(f": {word}", f": {small}")
    return text
