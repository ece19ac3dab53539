"""linux.seccomp: chapter 7's filter as a bundle wants it, and somebody outside who decides (NOTIFY).

Whoever that is listens at listenerPath. The child sends the descriptor that seccomp(2) gives it, by
itself: from then on a call that the filter leaves open waits for an answer.
"""
import ctypes
import errno
import os
import struct

from .. import linux
from ..layer import Layer, LayerError, Stage
from . import calling
from . import quickjson as json

SET_MODE_FILTER = 1  # <linux/seccomp.h>
FLAGS = {"SECCOMP_FILTER_FLAG_LOG": 2, "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
         "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 32,
         "SECCOMP_FILTER_FLAG_TSYNC": 0}  # for all threads: there is one
NEW_LISTENER, WAIT_KILLABLE_RECV = 8, 32
MSG_NOSIGNAL = 0x4000
FAILED = "failed to connect with seccomp agent: linux.seccomp.listenerPath"  # as runc says it
MAKERS = "bpf.py", "chain.py", "profile.py", "../oci/filter.py"  # what a compiled filter depends on
FILTER = "filter.bpf"
SLOTS = 64  # in the cache; whoever finds another filter in his compiles, and takes it over


class Program(ctypes.Structure):
    """struct sock_fprog, as in chapter 7, which would load more than `exec` needs."""
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


class BundleFilter(Layer):
    """System calls that the container's program may make, and who is asked about the rest."""
    chapter, name, stage = 10, "seccomp", Stage.SECCOMP
    cures = calling.CURES | {
             ("seccomp", errno.EACCES): "without noNewPrivileges it takes CAP_SYS_ADMIN to load one",
             ("seccomp", errno.EBUSY): "there is a filter already whose calls somebody else decides",
             ("sendmsg", None): "the filter must allow sendmsg: we tell by it who is to answer"}

    def prepare(self, spec, undo):
        words = spec.linux.get("seccomp") or {}
        self.code, self.socket, self.memo, self.bits = b"", None, -1, 0
        if not words.get("defaultAction"):
            return  # no filter asked for, as runc sees it
        self.code = code_for(spec, words)
        self.program = Program(len(self.code) // 8, self.code)
        asks = any(rule["action"] == "SCMP_ACT_NOTIFY" for rule in words.get("syscalls") or ())
        self.bits = flags(words.get("flags"), asks)
        if asks:
            self.connect(spec, words, undo)
            self.stage = Stage.CAPABILITIES  # while we have the socket
        else:
            spec.confine = self.load  # for hooks that run before it

    def connect(self, spec, words, undo):
        """Calls whoever decides. What it is told stands in a file of memory, as our pid is not known."""
        self.socket = calling.call(words["listenerPath"], FAILED, undo)
        self.memo = linux.memfd_create("state")
        undo.callback(linux.close, self.memo)
        state = {"ociVersion": spec.config["ociVersion"], "id": spec.id, "status": "creating",
                 "bundle": spec.bundle, "annotations": spec.config.get("annotations") or {}}
        self.told = {"ociVersion": spec.config["ociVersion"], "fds": ["seccompFd"],
                     "metadata": words.get("listenerMetadata") or "", "state": state}

    def parent(self, pid, undo):
        if self.socket:
            state = {**self.told["state"], "pid": pid}
            os.write(self.memo, json.dumps({**self.told, "pid": pid, "state": state}).encode())
            self.socket.close()  # the child has its own: whoever decides waits for the end

    def load(self):
        """Loads it, for whoever calls."""
        return linux.seccomp(SET_MODE_FILTER, self.bits, ctypes.addressof(self.program))

    def child(self):
        if not self.code:
            return
        if not self.socket:
            self.load()
            return
        text = os.pread(self.memo, os.fstat(self.memo).st_size, 0)
        fd = self.load()
        send(self.socket, text, fd)
        linux.close(fd)
        self.socket.close()


@linux.system_call
def sendmsg(socket, text, fd):
    """Sends a descriptor along with text, as far as it goes in one piece; returns how far."""
    rights = (linux.SOL_SOCKET, linux.SCM_RIGHTS, struct.pack("i", fd))
    return socket.sendmsg([text], [rights], MSG_NOSIGNAL)


def send(socket, text, fd):
    """Sends it all; the descriptor goes with the first piece."""
    sent = sendmsg(socket, text, fd)
    if sent < len(text):  # else whoever has read it all may have closed it
        socket.sendall(text[sent:], MSG_NOSIGNAL)


def code_for(spec, words):
    """The compiled filter. It is kept with the container: `exec` loads the same, whatever has changed since."""
    if spec.settings.get("exec"):
        try:
            with spec.folder.file(FILTER) as file:
                return file.read()
        except FileNotFoundError:
            return code(words)  # an older crabcan has made the container
    made = code(words)
    spec.folder.write(FILTER, made)
    return made


def code(words):
    """The compiled filter, from the cache if it was made of just this, here."""
    import zlib
    from ..seccomp.cache import HERE, remembered
    told = {key: words[key] for key in ("defaultAction", "defaultErrnoRet", "architectures", "syscalls")
            if words.get(key) is not None}
    system = linux.uname()
    key = f"{system.machine} {system.release} {linux.NUMBERS} {told}\n".encode()
    key += b"".join(linux.read(os.path.join(HERE, name), False) for name in MAKERS)

    def make():
        from .filter import compiled  # libseccomp takes 40 ms
        return compiled(told)
    try:
        return remembered(f"bundle-{zlib.crc32(key) % SLOTS}", key, make)
    except ValueError as error:
        raise LayerError("seccomp", "linux.seccomp", 0, str(error)) from error
    except OSError as error:  # libseccomp's own
        raise LayerError("seccomp", "linux.seccomp", error.errno or 0, "libseccomp refuses it") from error


def flags(names, asks):
    """The flags of seccomp(2) for these names. One that this kernel does not know is refused."""
    if names is None:  # not even an empty list: as runc
        names = [name for name in ("SECCOMP_FILTER_FLAG_SPEC_ALLOW",) if supported(name)]
    bits = NEW_LISTENER if asks else 0
    for name in names:
        if not supported(name):
            raise LayerError("seccomp", f"linux.seccomp.flags: {name}", errno.EINVAL,
                             "this kernel does not know it: it is older")
        bits |= FLAGS[name]
    return bits if asks else bits & ~WAIT_KILLABLE_RECV  # nobody is asked, so nobody waits


def supported(name):
    """Tells whether the kernel knows a flag: then it goes on to look at the filter, at address 0."""
    bits = FLAGS[name] | (NEW_LISTENER if FLAGS[name] == WAIT_KILLABLE_RECV else 0)
    try:
        linux.seccomp(SET_MODE_FILTER, bits, 0)
    except OSError as error:
        return error.errno == errno.EFAULT
    return True
