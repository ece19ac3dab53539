"""A plain copy of the layers as one tree: where overlayfs cannot be had. It takes the time and room of a copy."""
import os
import stat

from .. import linux
from .copying import copy, like
from .mapped import inside, prefix
from .merged import OPEN, Merged
from .place import FOLDER


def flatten(store, chains, name, users):
    """Fills containers/NAME/rootfs; chains: the topmost layer first. Its owners are those of the
    container on the host, so nothing has to be shifted."""
    first = [users.maps[kind][0][1] if users.root else 0 for kind in ("uid", "gid")]
    inside(filled, store, chains, name, first)


def filled(store, chains, name, first):
    """In a process that may give files their owners."""
    roots = [linux.open(f"layers/{chain[7:]}/fs", FOLDER, dir_fd=store.root) for chain in chains]
    merged, links = Merged(roots, prefix()), {}
    linux.mkdir(f"containers/{name}/rootfs", 0o755, dir_fd=store.root)
    top = linux.open(f"containers/{name}/rootfs", FOLDER, dir_fd=store.root)
    like(top, roots[0], *first)
    todo, made = [()], []
    while todo:
        path = todo.pop()
        folder = reached(top, path)
        for entry in names(merged, path):
            found = merged.find((*path, entry))
            if not found:
                continue
            status = found[2]
            if stat.S_ISDIR(status.st_mode):
                linux.mkdir(entry, 0o700, dir_fd=folder)
                todo.append((*path, entry))
                made.append((*path, entry))
            elif seen := links.get((status.st_dev, status.st_ino)):
                source = reached(top, seen[:-1])
                os.link(seen[-1], entry, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
                linux.close(source)
            else:
                copy(found, folder, *first)
                if status.st_nlink > 1:
                    links[status.st_dev, status.st_ino] = (*path, entry)
        linux.close(folder)
    for path in reversed(made):  # the innermost first: what is made in one changes its times
        folder, below = reached(top, path), merged.folders(path)
        like(folder, below[0], *first)
        linux.close(folder)
    merged.close()
    for fd in (*roots, top):
        linux.close(fd)


def names(merged, path):
    """What any of the layers has in a directory."""
    return sorted({name for fd in merged.folders(path) for name in linux.listdir(fd)})


def reached(top, path):
    """The descriptor of a directory in our copy, a name at a time."""
    fd = os.dup(top)
    for name in path:
        deeper = linux.open(name, OPEN, dir_fd=fd)
        linux.close(fd)
        fd = deeper
    return fd
