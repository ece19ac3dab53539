"""Tells when a container has run out of memory: by eventfd on version 1, by inotify on version 2."""
import os
import select

from ... import linux
from ...layer import LayerError, exists
from .figures import table

IN_MODIFY, IN_NONBLOCK = 2, os.O_NONBLOCK  # <sys/inotify.h>


class Watch:
    """A descriptor to poll, and what it has told since it was asked last. Close it in the end."""

    def __init__(self, groups):
        self.second = groups["version"] == 2
        self.path = groups["paths"].get("" if self.second else "memory")
        if not self.path:
            raise LayerError("cgroups", "events", 0, "memory controller missing")
        self.others = []
        if self.second:
            self.fd = linux.inotify_init1(os.O_CLOEXEC | IN_NONBLOCK)
            for file in "memory.events", "cgroup.events":
                linux.inotify_add_watch(self.fd, f"{self.path}/{file}", IN_MODIFY)
            self.seen = self.kills()
        else:
            self.fd = linux.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self.others = [linux.open(f"{self.path}/memory.oom_control", os.O_RDONLY)]
            linux.write(f"{self.path}/cgroup.event_control", f"{self.fd} {self.others[0]}")

    def kills(self):
        return table(self.path, "memory.events").get("oom_kill", 0)

    def wait(self, seconds):
        """How often memory ran out while we waited; None when the container has gone."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        told = linux.poll(poll, max(0, int(seconds * 1000)))
        count = self.read() if told else 0
        if not exists(self.path):
            return None  # a cgroup that is removed tells that, too
        if self.second:
            before, self.seen = self.seen, self.kills()
            ended = table(self.path, "cgroup.events").get("populated") == 0
            return self.seen - before or (None if ended else 0)
        return count

    def read(self):
        data = os.read(self.fd, 4096)
        return int.from_bytes(data, "little") if len(data) == 8 else 0

    def close(self):
        for fd in [self.fd, *self.others]:
            linux.close(fd)
