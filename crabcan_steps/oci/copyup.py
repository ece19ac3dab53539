"""tmpcopyup: what a directory holds, copied into the tmpfs that will hide it."""
import errno
import os
import stat

from .. import linux

CHUNK = 1 << 20


def copy_up(place, mount, own_mode=False):
    """Copies all below one descriptor to below another: directories, files, links; owners and modes.

    own_mode: the tmpfs has been given a mode of its own, and keeps it."""
    mode = os.fstat(mount).st_mode
    source = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place)
    target = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount)
    ahead = [(source, target)]
    while ahead:
        source, target = ahead.pop()
        for name in linux.listdir(source):
            deeper = entry(source, target, name)
            if deeper:
                ahead.append(deeper)
        finish(source, target)
    if own_mode:
        os.chmod(f"/proc/self/fd/{mount}", stat.S_IMODE(mode))


def finish(source, target):
    """Owner and mode of a directory, when all is in it."""
    status = os.fstat(source)
    os.fchown(target, status.st_uid, status.st_gid)
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    linux.close(source)
    linux.close(target)


def entry(source, target, name):
    """Copies one entry; of a directory returns both descriptors: what is in it is still to be done."""
    status = os.stat(name, dir_fd=source, follow_symlinks=False)
    kind, mode = stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode)
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    if kind == stat.S_IFDIR:
        os.mkdir(name, 0o700, dir_fd=target)
        return (os.open(name, flags | os.O_RDONLY | os.O_DIRECTORY, dir_fd=source),
                os.open(name, flags | os.O_RDONLY | os.O_DIRECTORY, dir_fd=target))
    if kind == stat.S_IFLNK:
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    elif kind == stat.S_IFREG:
        old = os.open(name, flags | os.O_RDONLY | os.O_NONBLOCK, dir_fd=source)
        if not os.path.samestat(os.fstat(old), status):  # a FIFO now, to which nobody writes?
            raise OSError(errno.EAGAIN, "was exchanged while it was copied", name)
        new = os.open(name, flags | os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, dir_fd=target)
        while os.sendfile(new, old, None, CHUNK):
            pass
        os.fchown(new, status.st_uid, status.st_gid)
        os.fchmod(new, mode)
        linux.close(old)
        linux.close(new)
        return None
    else:
        os.mknod(name, kind | mode, status.st_rdev, dir_fd=target)
    os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
    return None
