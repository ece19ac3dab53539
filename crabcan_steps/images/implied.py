"""What stands in a layer only because others need it: directories on the way, and copies to be linked to."""
import os

from .. import linux


class Implied:
    """Directories without an entry of their own: path -> status in a lower layer, or None. All below a path can be
    forgotten at once, without looking at the others."""

    def __init__(self):
        self.found, self.below = {}, {}  # and for each directory the names on the way to what is found

    def __setitem__(self, path, status):
        self.found[path] = status
        while path and path[-1] not in self.below.setdefault(path[:-1], set()):
            self.below[path[:-1]].add(path[-1])
            path = path[:-1]

    def __contains__(self, path):
        return path in self.found

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


def uncopy(tree, gone, opaque):
    """Takes away what was copied up for a hard link, if the layer hides it where it was; and what was made for it."""
    for path in tree.copied:
        if not any(path[:n] in gone for n in range(1, len(path) + 1)) and not any(path[:n] in opaque for n in range(len(path))):
            continue
        os.unlink(path[-1], dir_fd=tree.folder(path[:-1]))
        while (path := path[:-1]) in tree.implied:
            folder = tree.folder(path[:-1])
            try:
                linux.rmdir(path[-1], dir_fd=folder)
            except OSError:
                break  # something else needs it, too
            tree.implied.clear(path)
