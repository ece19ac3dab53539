"""Chapter 4: a root of its own. What is not mounted into it does not exist for the container.

The root is a list of parts (mounts/): trees of the host's, new file systems, directories, links.
It lives in the container's own mount namespace and is gone with it: nothing is made on the host.
"""
import errno
import os

from . import linux
from .layer import Layer, Stage, named, powerless
from .mounts.furniture import furniture, own_root, places
from .mounts.given import given_root
from .mounts.parts import DEVICE, LOCKED, READ_ONLY, Bind, FileSystem


class Mounts(Layer):
    """A mount namespace (mount_namespaces(7)), and pivot_root(2) into a root of our choosing."""
    chapter, name, flags, stage = 4, "mounts", linux.CLONE_NEWNS, Stage.FILESYSTEM
    options = {"mount": "--mount", "add": "--add", "read_only": "--read-only", "tmpfs": "--tmpfs",
               "device": "--device"}
    held = True  # nothing is left for the child to open, unless prepare() says so
    cures = {
        ("open", errno.ENOENT): "this path must exist on the host",
        ("open", errno.ENOTDIR): "must be a directory",
        ("open", errno.EACCES): "you must be allowed to enter each directory on the way",
        ("openat2", errno.ENOENT): "the root has no such place, and we make none in your files: "
                                   "make it first (mkdir, or touch for a file)",
        ("openat2", errno.ENOTDIR): "a file stands where a directory belongs",
        ("place", errno.ENOENT): "a symbolic link stands there, and leads nowhere in this root: name "
                                 "the place that it should lead to, and make that first",
        ("openat2", errno.ELOOP): "a symbolic link stands where a mount belongs: not followed",
        ("openat2", errno.EACCES): "you must be allowed to enter this directory",
        ("move_mount", errno.EINVAL): "a file goes on a file only, a directory on a directory",
        ("place", errno.EBUSY): "/proc and /sys show the container, masked where they show more: "
                                "nothing may hide that",
        ("fsconfig", errno.EPERM): "the kernel wants a full /proc here before it gives another: are "
                                   "we in a container with parts of it masked?",
        ("pivot_root", errno.EINVAL): "the present root is no mount of its own (an initial ramdisk?)",
        ("open_tree", errno.EPERM): powerless,
        ("mount_setattr", errno.EPERM): powerless,
        ("open_tree", errno.ENOSYS): "the kernel is older than 5.2",
        ("mount_setattr", errno.ENOSYS): "the kernel is older than 5.12",
    }

    def prepare(self, spec, undo):
        self.spec = spec
        self.root, self.plan = own_root(spec) if spec.mount is None else (None, [])
        self.plan += [*furniture(), *places(spec), *spec.files]
        self.plan += [Bind(host, target, DEVICE, f"--device {host}") for host, target in spec.device]
        self.plan += [Bind(host, target, READ_ONLY if read_only else LOCKED, f"--add {host}:{target}")
                      for host, target, read_only in spec.add]
        self.read_only, self.held = spec.read_only, False
        spec.binds = []
        if os.geteuid() == 0:  # an ordinary user may not; then the child does it, as its own root
            self.hold(undo)

    def hold(self, undo=None):
        """Opens all that the host gives, each name once: what is found now is what will be there."""
        self.held = True
        if self.root is None:
            self.root, mirror = named(f"--mount {self.spec.mount}", given_root, self.spec)
            self.plan[:0] = mirror
            self.read_only |= isinstance(self.root, FileSystem)
        if undo and (self.spec.mount or self.spec.add):  # for chapter 5
            from .mounts.inner import separate
            self.plan = separate(self.root, self.plan)
        self.spec.binds += [part for part in (self.root, *self.plan) if isinstance(part, Bind)]
        for bind in self.spec.binds:
            if undo:
                undo.callback(bind.close)
            named(bind.option or bind.source, bind.open)

    def child(self):
        linux.umask(0)  # modes are as they are given
        linux.mount_setattr("/", linux.AT_RECURSIVE, propagation=linux.MS_PRIVATE)
        if not self.held:
            self.hold()
        root = self.root.open()
        linux.move_mount(root, linux.openat2(linux.AT_FDCWD, "/", os.O_PATH, 0))
        for part in self.plan:
            part.make(root)
        if self.read_only:
            linux.mount_setattr("", linux.AT_EMPTY_PATH, linux.MOUNT_ATTR_RDONLY, dir_fd=root)
        linux.fchdir(root)
        linux.pivot_root(".", ".")             # the old root is now mounted over the new one
        linux.umount2(".", linux.MNT_DETACH)   # and gone, with all that hung from it
        linux.chdir("/")
