"""Directories of a layer that have no entry of their own: path -> status in a lower layer, or None."""


class Implied:
    """A mapping in which all below a path can be forgotten at once, without looking at the others."""

    def __init__(self):
        self.found, self.below = {}, {}  # and for each directory the names on the way to what is found

    def __setitem__(self, path, status):
        self.found[path] = status
        while path and path[-1] not in self.below.setdefault(path[:-1], set()):
            self.below[path[:-1]].add(path[-1])
            path = path[:-1]

    def get(self, path):
        return self.found.get(path)

    def pop(self, path):
        """Forgets one."""
        self.found.pop(path, None)

    def clear(self, path):
        """Forgets one and all below it."""
        todo = [path]
        while todo:
            one = todo.pop()
            self.found.pop(one, None)
            todo += [(*one, name) for name in self.below.pop(one, ())]
        if path:
            self.below.get(path[:-1], set()).discard(path[-1])

    def times(self):
        """{path: nanoseconds} of those that are as in a lower layer."""
        return {path: status.st_mtime_ns for path, status in self.found.items() if status}
