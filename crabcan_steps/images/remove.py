"""Removes a tree of any depth, below a descriptor, with two directories open at a time.

What is deeper than a few names is first moved up (rename(2)), or paths would be too long, and
recursion too deep: an image's tree is as deep as whoever made it likes.
"""
import os
import stat

from .. import linux
from .merged import OPEN


def remove(folder, name):
    """Removes what stands there, and all that is in it."""
    try:
        status = linux.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(name, dir_fd=folder)
        return
    top = entered(folder, name)
    try:
        count = 0
        while inner := emptied(top):
            for one in inner:
                fd = entered(top, one)
                try:
                    for deeper in emptied(fd):
                        count += 1
                        os.rename(deeper, f".gone-{count}", src_dir_fd=fd, dst_dir_fd=top)
                finally:
                    linux.close(fd)
                linux.rmdir(one, dir_fd=top)
    finally:
        linux.close(top)
    linux.rmdir(name, dir_fd=folder)


def entered(folder, name):
    """Opens a directory, also one that its owner has closed to himself."""
    try:
        fd = linux.open(name, OPEN, dir_fd=folder)
        if linux.fstat(fd).st_mode & 0o700 != 0o700:
            linux.chmod(fd, 0o700)
        return fd
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=folder)
        return linux.open(name, OPEN, dir_fd=folder)


def emptied(fd):
    """Unlinks all files in a directory; returns the names of the directories in it."""
    folders = []
    with linux.scandir(fd) as listing:
        for one in listing:
            if one.is_dir(follow_symlinks=False):
                folders.append(one.name)
            else:
                os.unlink(one.name, dir_fd=fd)
    return folders
