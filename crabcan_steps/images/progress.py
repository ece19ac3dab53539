"""How far a pull is: a line that changes, on a terminal; else a line for each layer."""
import sys
import threading
import time

from ..layer import warn

WIDTH = 24


class Progress:
    """Told by several threads at once."""

    def __init__(self, quiet=False):
        self.live = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self.quiet, self.guard = quiet, threading.Lock()
        self.sizes, self.total, self.came, self.ready = {}, 0, 0, 0
        self.begun = self.drawn = time.monotonic()

    def begin(self, descriptors):
        self.sizes = {one["digest"]: one.get("size", 0) for one in descriptors}
        self.total, self.begun = sum(self.sizes.values()), time.monotonic()

    def add(self, digest, count):
        with self.guard:
            self.came += count
            if self.live and time.monotonic() - self.drawn > 0.1:
                self.drawn = time.monotonic()
                self.draw()

    def done(self, digest):
        with self.guard:
            self.ready += 1
            if not self.live and not self.quiet:
                warn(f"{digest[7:19]}: {megabytes(self.sizes[digest])}, {self.ready} of {len(self.sizes)}")

    def draw(self):
        """One line: a bar, what came of what will, and how fast."""
        part = min(1, self.came / self.total) if self.total else 1
        bar = "=" * int(part * WIDTH)
        rate = self.came / max(0.001, time.monotonic() - self.begun)
        sys.stderr.write(f"\r\x1b[K[{bar:{WIDTH}}] {self.ready} of {len(self.sizes)}, "
                         f"{megabytes(self.came)} of {megabytes(self.total)}, {megabytes(rate)}/s")
        sys.stderr.flush()

    def end(self):
        if self.live and self.sizes:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def megabytes(count):
    """A size for people: 12 kB, 3.4 MB."""
    if count < 1_000_000:
        return f"{count / 1000:.0f} kB" if count >= 1000 else f"{count:.0f} B"
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"
