"""Reads what a run prints, with a bound, an end, and an eye on the memory that it takes."""
import os
import select
import time

from ..exercises.facts import Wrong
from .answer import MOST
from .harm import TOO_MUCH, Harm

OFTEN = 0.1  # seconds between two looks at the memory


class Reading:
    """The two pipes of a run, and the news of its end."""

    def __init__(self, machine, visit, *pipes):
        self.machine, self.visit = machine, visit
        self.text = {fd: bytearray() for fd in pipes}
        self.open, self.status = {visit.news, *pipes}, None
        self.begin = time.monotonic()
        self.end = self.begin + machine.seconds

    @property
    def done(self):
        return self.visit.news not in self.open

    def until(self, enough):
        """Reads until it is enough, or all is said. Raises Harm or Wrong if it does not end."""
        while self.open and not enough():
            left = self.end - time.monotonic()
            if left <= 0:
                raise Harm(self.machine.endless(self.visit))
            for fd in select.select(list(self.open), [], [], min(left, OFTEN))[0]:
                self.read(fd)
            if self.machine.watch and self.machine.watch.too_much(self.visit.waiter):
                raise Harm(self.machine.endless(self.visit, TOO_MUCH))

    def read(self, fd):
        if fd == self.visit.news:
            self.status = self.visit.status()
            self.open.discard(fd)
            return
        part = os.read(fd, 1 << 16)
        if not part:
            self.open.discard(fd)
        self.text[fd] += part
        if len(self.text[fd]) > MOST:
            self.machine.end_all(self.visit.waiter)
            raise Wrong(f"more than {MOST >> 20} MB of output", "it prints without end: a loop with a "
                        "print() in it?")
