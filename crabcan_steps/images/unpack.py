"""A layer's members become files, below one descriptor. The archive is a stranger's.

No member is made by its path: unpack walks to its directory (tree.py), and there it is a single name
that did not exist a moment ago. So whatever a link says, it leads nowhere for us.
"""
import os
import stat

from .. import linux
from ..ch12_images import Whiteouts
from . import tar
from .errors import ImageError
from .implied import uncopy
from .merged import OPEN
from .tree import clean

SPARE, INODES = 8 << 20, 500  # bytes and files that are left to others
IDS = 65536  # how many a container has, as a rule
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
KEPT = ("user.", "system.posix_acl_", "security.capability")  # of extended attributes
NODES = {tar.CHAR: stat.S_IFCHR, tar.BLOCK_DEVICE: stat.S_IFBLK, tar.FIFO: stat.S_IFIFO}


class Unpack:
    """One layer on its way from tar to a directory."""

    def __init__(self, tree, prefix, most, rich=True, squash=False):
        self.tree, self.most = tree, most  # how many files
        self.rich = rich      # the host's root: devices, and file capabilities, are his to make
        self.squash = squash  # owners that our map lacks become root
        self.whiteouts = Whiteouts(tree, prefix)
        self.times, self.links, self.count = {}, [], 0
        self.squashed = self.left_out = 0
        self.beyond = None  # the first file whose owner has no id in a usual map

    def all(self, stream):
        """Unpacks a whole layer."""
        for entry in tar.entries(stream):
            self.count += 1
            if self.count > self.most:
                raise ImageError(f"a layer has more than {self.most} files: a bomb? If not: --max-files")
            if self.count % 250 == 1 or entry.stored > SPARE:
                self.room(entry.stored)
            parts = clean(entry.name)
            if parts and self.whiteouts.note(parts):
                continue
            try:
                self.one(stream, entry, parts)
            except OSError as error:
                raise ImageError(f"/{'/'.join(parts)}: {error.strerror}") from error
        try:
            self.finish()
        except OSError as error:
            raise ImageError(f"a layer's links or whiteouts contradict each other: {error}") from error

    def room(self, size):
        """Refuses before the disk is full: others need some of it, too. Raises ImageError."""
        free = os.fstatvfs(self.tree.root)
        if free.f_blocks and free.f_bavail * free.f_frsize < size + SPARE:
            raise ImageError("the disk of the store is nearly full (df): `crabcan prune`, or CRABCAN_STORE=DIR on a larger one")
        if free.f_files and free.f_favail < INODES:
            raise ImageError(f"the file system of the store has only {free.f_favail} inodes left (df -i), however much room: "
                             "CRABCAN_STORE=DIR on another")

    def one(self, stream, entry, parts):
        """Makes one member."""
        if not parts:
            if entry.kind == tar.FOLDER:
                self.attributes(self.tree.root, entry)
                self.times[()] = entry.mtime
            return
        folder, name = self.tree.folder(parts[:-1]), parts[-1]
        path = (*self.tree.at, name)
        if entry.kind == tar.FOLDER:
            self.directory(folder, name, entry)
            self.times[path] = entry.mtime
            self.tree.implied.pop(path)
            return
        if entry.kind == tar.LINK:
            if not self.link(folder, name, path, entry):
                self.links.append((path, entry))  # to what comes later
            return
        if entry.kind == tar.REGULAR:
            self.regular(stream, folder, name, entry)
            return
        self.tree.clear(folder, name)
        if entry.kind == tar.SYMLINK:
            linux.symlink(os.fsdecode(entry.link), name, dir_fd=folder)
            self.named_attributes(folder, name, entry)
        elif entry.kind in NODES:
            self.node(folder, name, entry)
        else:
            raise ImageError(f"/{'/'.join(parts)}: a tar member of kind {entry.kind!r}, which no layer has")

    def regular(self, stream, folder, name, entry):
        """A file with its data, and the holes in it. Most names are new: room is made for those that are not."""
        try:
            fd = linux.open(name, NEW, entry.mode & 0o777, dir_fd=folder)
        except FileExistsError:
            self.tree.clear(folder, name)
            fd = linux.open(name, NEW, entry.mode & 0o777, dir_fd=folder)
        with open(fd, "wb", 0) as file:
            if entry.sparse is None:
                for piece in tar.data(stream, entry):
                    while piece:
                        piece = piece[file.write(piece):]
            else:
                stream.count += entry.size - entry.stored  # a hole, too, is something to read
                self.holes(stream, file, entry)
            self.attributes(fd, entry)
            os.utime(fd, ns=(entry.mtime, entry.mtime))

    def holes(self, stream, file, entry):
        """The pieces of a sparse file, each to its place."""
        stream.limit()
        file.truncate(entry.size)
        rest, pieces = memoryview(b""), tar.data(stream, entry)
        for offset, length in entry.sparse:
            file.seek(offset)
            while length:
                rest = rest or next(pieces)
                done = file.write(rest[:length])
                rest, length = rest[done:], length - done

    def directory(self, folder, name, entry):
        """A directory; one that is there already stays, with what is in it."""
        status = self.tree.status(folder, name)
        if status is None or not stat.S_ISDIR(status.st_mode):
            self.tree.clear(folder, name)
            linux.mkdir(name, 0o700, dir_fd=folder)
        fd = linux.open(name, OPEN, dir_fd=folder)
        try:
            self.attributes(fd, entry)
        finally:
            linux.close(fd)

    def node(self, folder, name, entry):
        """A device or a FIFO. An ordinary user may make no device: an empty file keeps its place."""
        device = os.makedev(entry.major & 0xFFF, entry.minor & 0xFFFFF) if entry.kind != tar.FIFO else 0
        if entry.kind != tar.FIFO and (not self.rich or device == 0):  # 0/0 would be a whiteout
            self.left_out += 1
            linux.close(linux.open(name, NEW, 0o600, dir_fd=folder))
        else:
            linux.mknod(name, NODES[entry.kind] | 0o600, device, dir_fd=folder)
        self.named_attributes(folder, name, entry)
        os.chmod(name, entry.mode, dir_fd=folder)

    def link(self, folder, name, path, entry):
        """A hard link, to a file of this layer or of one below. Tells whether there is one to link to."""
        target = clean(entry.link)
        if not target:
            raise ImageError(f"/{'/'.join(path)}: a hard link to the root")
        source = os.dup(self.tree.folder(target[:-1]))
        real = (*self.tree.at, target[-1])
        try:
            status = self.tree.status(source, target[-1])
            if status is None and self.tree.copy_up(real):
                status = self.tree.status(source, target[-1])
            if status is None or real == path:
                return real == path and status is not None
            if stat.S_ISDIR(status.st_mode):
                raise ImageError(f"/{'/'.join(path)}: a hard link to a directory")
            folder = self.tree.folder(path[:-1])
            self.tree.clear(folder, name)
            os.link(target[-1], name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
        finally:
            linux.close(source)
        return True

    def attributes(self, fd, entry):
        """Owner, extended attributes, mode: in this order, as a change of owner clears set-user-ID."""
        now = os.fstat(fd)
        if (now.st_uid, now.st_gid) != (entry.uid, entry.gid):  # each change is one more for the disk
            self.own(lambda uid, gid: linux.fchown(fd, uid, gid), entry)
        for key, value in entry.xattrs:
            if key.startswith(KEPT) and ".overlay." not in key and (self.rich or not key.startswith("security.")):
                try:
                    os.setxattr(fd, key, value)
                except OSError:
                    self.left_out += 1  # the file system has none, or not of this kind
        if os.fstat(fd).st_mode & 0o7777 != entry.mode:
            linux.chmod(fd, entry.mode)

    def named_attributes(self, folder, name, entry):
        """Owner and times of what is not opened: a link, a device."""
        self.own(lambda uid, gid: os.chown(name, uid, gid, dir_fd=folder, follow_symlinks=False), entry)
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=folder, follow_symlinks=False)

    def own(self, chown, entry):
        """Gives a file its owner, if our map has him."""
        if max(entry.uid, entry.gid) >= IDS and not self.beyond:
            self.beyond = f"{os.fsdecode(entry.name)} belongs to {entry.uid}:{entry.gid}"
        try:
            chown(entry.uid, entry.gid)
        except (OSError, OverflowError) as error:
            if self.squash:
                self.squashed += 1
                return
            raise ImageError(
                f"{os.fsdecode(entry.name)}: belongs to {entry.uid}:{entry.gid}, and your ids do not go so far: "
                "a larger range in /etc/subuid and /etc/subgid, or --squash: such files become root's") from error

    def finish(self):
        """What had to wait: links to later files, whiteouts, and times of directories, which all else changes."""
        for path, entry in self.links:
            if not self.link(self.tree.folder(path[:-1]), path[-1], path, entry):
                raise ImageError(f"/{'/'.join(path)}: a hard link to {os.fsdecode(entry.link)!r}, which is not there")
        uncopy(self.tree, self.whiteouts.gone, self.whiteouts.opaque)
        self.whiteouts.apply()
        for path, mtime in sorted((self.tree.implied.times() | self.times).items()):
            folder = self.tree.folder(path[:-1]) if path else self.tree.root
            if path and stat.S_ISDIR(getattr(self.tree.status(folder, path[-1]), "st_mode", 0)):
                os.utime(path[-1], ns=(mtime, mtime), dir_fd=folder, follow_symlinks=False)
            elif not path:
                os.utime(folder, ns=(mtime, mtime))
