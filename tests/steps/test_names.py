"""A name is a question asked again: which calls of the runtime take one, and why they may.

Whatever is asked below a directory's descriptor (dir_fd, openat2), and names that are constants,
are not in question. All others stand in MAY, with the reason.
"""
import ast
from pathlib import Path

import crabcan_steps

FOLDER = Path(crabcan_steps.__file__).parent
TAKE_NAMES = {
    "access", "chdir", "chmod", "chown", "execve", "exists", "getxattr", "isdir", "isfile", "islink",
    "lexists", "link", "listdir", "listxattr", "lstat", "makedirs", "mkdir", "mount_setattr", "open",
    "open_tree", "openat2", "pivot_root", "posix_spawn", "read", "readlink", "realpath", "remove",
    "rename", "replace", "rmdir", "scandir", "setxattr", "stat", "statvfs", "symlink", "truncate",
    "umount2", "unlink", "utime", "walk", "write"}
MODULES = ("linux", "os", "os.path", "io", "")

ONCE = "named by the user, and opened once: from then on it is a descriptor"
PROC = "the kernel's own, in the host's /proc, of a process that we hold"
HOST = "the host's own: only its root could exchange it"
BYTES = "no name: a descriptor, or bytes"
CGROUP = "the kernel's own tree of cgroups: no links, and nobody else's rights in what we make"
CACHE = "a directory of the user's own; what is read is checked by its owner and its whole content"
MAY = {
    ("layer", "powerless", "exists"): HOST,
    ("layer", "powerless", "read"): HOST,
    ("accounts", "lookup", "read"): "not linux.read: below a descriptor, see there",
    ("accounts", "content", "open"): "a descriptor of ours, opened again for reading",
    ("bpf", "compiled", "open"): BYTES,
    ("ch01_args", "parse", "read"): "not linux.read: the options",
    ("ch01_args", "run", "chdir"): "chapter 1: there is no root yet to get out of",
    ("start", "Start.child", "openat2"): "--workdir, in the root that is ours by then, without magic links",
    ("ch02_clone", "wait", "read"): BYTES,
    ("filled", "note", "open"): BYTES,
    ("filled", "note", "write"): BYTES,
    ("filled", "settled", "read"): PROC,
    ("furniture", "own_root", "readlink"): HOST,
    ("furniture", "kind_of", "lstat"): HOST,
    ("given", "given_root", "open"): ONCE,
    ("given", "given_root", "listdir"): BYTES,
    ("ranges", "entries", "read"): HOST,
    ("ch05_namespaces", "Users.parent", "write"): PROC,
    ("ch05_namespaces", "Users.shift", "open"): PROC,
    ("ranges", "newidmap", "posix_spawn"): HOST,
    ("accounts", "account", "open"): "only to read passwd and group, which say what they like",
    ("ch05_namespaces", "Network.child", "write"): "before the root changes, in a /proc of the host's",
    ("cache", "cached", "read"): ONCE,
    ("cache", "remembered", "open"): CACHE,
    ("cache", "remembered", "makedirs"): CACHE,
    ("cache", "remembered", "lexists"): CACHE,
    ("cache", "remembered", "unlink"): CACHE,
    ("inner", "inner", "open"): ONCE,
    ("inner", "inner", "readlink"): PROC,
    ("inner", "inner", "read"): PROC,
    ("interpreter", "shelter", "exists"): "our own /proc/self/exe, which nobody can exchange",
    ("interpreter", "shelter", "open"): "our own /proc/self/exe, which nobody can exchange",
    ("interpreter", "exposed", "stat"): "our own /proc/self/exe, which nobody can exchange",
    ("interpreter", "exposed", "access"): "our own /proc/self/exe, which nobody can exchange",
    ("sealed", "again", "execve"): BYTES,
    ("layer", "exists", "lstat"): "whoever calls it stands here",
    ("linux", "read", "open"): "whoever calls it stands here",
    ("linux", "write", "write"): BYTES,
    ("parts", "Bind.open", "open"): ONCE,
    ("paths", "directory", "exists"): "only for a hint in a message",
    ("profile", "resolved", "read"): BYTES,
    ("program", "Program.execute", "execve"): "the command, in the container, when nothing of ours is open",
    ("program", "head", "open"): "the same, after execve has failed",
    ("program", "obstacle", "stat"): "the same, after execve has failed",
    ("program", "obstacle", "statvfs"): "the same, after execve has failed",
    ("program", "head", "read"): BYTES,
    ("relay", "once_more", "open"): "a descriptor of ours, opened again",
    ("relay", "read_now", "read"): BYTES,
    ("relay", "write_now", "write"): BYTES,
    ("rules", "table", "read"): ONCE,
    ("rules", "told", "read"): BYTES,
    ("signals", "handles", "open"): PROC,
    ("signals", "family", "read"): PROC,
    ("signals", "listen", "read"): BYTES,
    ("signals", "send", "read"): PROC,
    ("signals", "writes", "open"): PROC,
    ("terminal", "Terminal.parent", "chmod"): BYTES,
    ("terminal", "is_pipe", "readlink"): PROC,
    ("trace", "record", "open"): ONCE,
    ("exploring", "finish", "open"): "a recording of ours in memory, or --trace's file that the user has named",
    ("exploring", "finish", "posix_spawn"): HOST,
    ("telling", "begin", "readlink"): PROC, ("telling", "begin", "lexists"): PROC,
    ("telling", "lines", "read"): PROC, ("telling", "descriptors", "readlink"): PROC,
}
MAY_ALL = {"ch08_cgroups": CGROUP, "quotas": CGROUP, "session": CGROUP, "sweep": CGROUP}

STATE = "below --root, where nobody else may write (place.mine), in the container's own directory"
BUNDLE = "the engine's: it has named the bundle and its root, and opens nothing of the container's"
LAST = "in the container's root, as its user, with nothing of ours open: what is found is the container's"
OF_BUNDLES = {
    "not linux.read or os.walk: a function of our own": "commandline.split read; ending.delete remove",
    BYTES: "copyup.copy_up listdir; copyup.copy_up chmod; foreground.Pipes.close read; foreground.Pipes.hear write; foreground.Pipes.show read; "
           "filter.compiled open; hooks.heard read; hooks.outcome read; ids.namespace_of read; seccomp.BundleFilter.parent write; interpreter.mapped read; "
           "log.Log.record write; stepping.clear listdir; stepping.sweep listdir",
    PROC: "ids.namespace_of open; ids.namespace_of write; namespaces.come_back open; process.Labels.prepare exists; "
          "process.Limits.adjust write; procfs.write write; state.born read; tree.Tree.parent open; "
          "devices.Node.give chmod; devices.Node.give chown; notify.listen chmod; state.State.busy open; "
          "stepping.from_file readlink",
    HOST: "devices.Node.found open; namespaces.Maps.prepare exists; seccomp.code read; writing.seccomp read; "
          "cgroupmounts.CgroupMount.tree_of open",
    ONCE: "mounts.Mount.hold open; reading.load open; commands/update.from_file open; "
          "tree.Tree.open open; log.Log.record open; stepping.from_file open",
    BUNDLE: "__main__.act realpath; tree.Tree.prepare realpath; commands/create.bundle_of isdir; commands/create.bundle_of realpath; "
            "hooks.confined execve; hooks.one posix_spawn; last.write_whole rename; last.write_whole unlink; "
            "last.write_whole write; printing.spec open; writing.furnish chmod; writing.furnish chown; "
            "writing.furnish isdir; writing.furnish makedirs; writing.furnish mkdir; writing.furnish open; "
            "writing.furnish symlink; writing.mounts realpath; writing.mounts statvfs; writing.write listdir; "
            "writing.write mkdir; writing.write open; writing.write realpath; writing.usable stat",
    STATE: "notify.listen lexists; notify.listen unlink; place.every scandir; place.make isdir; place.make mkdir; "
           "place.mine open; state.State.clear listdir; state.State.file open; state.State.remove listdir; "
           "state.State.status listdir; state.State.take rename; state.State.write open; state.State.write rename",
    LAST: "last.look_up access; last.look_up stat; last.stand openat2; process.WorkDir.child openat2",
    "our own /proc/self/exe, which nobody can exchange; and a guess that is looked at again":
        "interpreter.mapped open; interpreter.safe stat; interpreter.seal open; interpreter.writable access",
    "the mount that we have made there; without links": "tree.unmount open; tree.Tree.propagate mount_setattr; tree.Tree.where openat2; "
                                                         "tree.bare umount2; tree.unmount umount2",
}
OF_IMAGES = {
    "not os.open or the like: a function of our own": "commands.save write; container.clear remove; layers.claimed remove; "
        "prune.collect remove; prune.layers remove; running.brought write; tree.Tree.clear remove",
    BYTES: "commit.Changes.file open; commit.Changes.folder listdir; commit.Changes.info getxattr; commit.Changes.info listxattr; "
           "commit.written open; container.create chmod; container.every listdir; container.record open; copying.copy open; "
           "copying.like chmod; copying.like getxattr; copying.like listxattr; copying.like setxattr; copying.like utime; "
           "files.Folder.open open; flatten.names listdir; mapped.child open; mapped.Helper.result open; merged.Merged.read open; "
           "merged.xattr getxattr; prune.collect listdir; prune.layers listdir; remove.emptied scandir; remove.entered chmod; "
           "store.Store.__init__ chmod; store.Store.index open; store.Store.open open; store.Store.replace open; "
           "transfer.take open; tree.Tree.mark chmod; unpack.Unpack.attributes chmod; unpack.Unpack.attributes setxattr; "
           "unpack.Unpack.finish utime; unpack.Unpack.regular open; unpack.Unpack.regular utime; "
           "unpacking.Arrivals.tell write; unpacking.Arrivals.wait open",
    "one name in each of two directories that we hold": "commit.written rename; container.create rename; flatten.filled link; layers.unpack_missing rename; "
        "remove.remove rename; store.Store.replace rename; transfer.take rename; unpack.Unpack.link link",
    "the caller's lambda, below a descriptor: see there": "unpack.Unpack.own chown",
    "the store, which has to be ours alone; and what was opened again has to be the same": "place.again open; place.opened makedirs; "
        "place.opened open",
    "only to tell what is there instead": "place.opened islink; place.opened realpath",
    PROC: "overlay.namespace open; overlay.namespace write",
    ONCE: "auth.account open; files.Archive.__init__ open; files.Folder.__init__ open; files.Part.__init__ open; "
          "push.archive open; push.folder realpath; reference.located exists; bundle.write listdir; bundle.write makedirs; bundle.write open; "
          "bundle.write realpath; bundle.write rename"}
for room, reasons in ("oci", OF_BUNDLES), ("images", OF_IMAGES):
    for why, words in reasons.items():
        for where, name in (word.split() for word in words.split("; ")):
            MAY[f"{room}/{where.partition('.')[0]}", where.partition(".")[2], name] = why
RUN = "below /run/crabcan, which is the host's root's own (0700): no container sees more of it than its hosts file"
SETTING = "the kernel's own, in /proc/sys/net"
OF_NETWORKS = {
    BYTES: "netlink.netlink read; netlink.netlink write; pasta.Pasta.parent read; pasta.stay write; "
           "later.Watch.ready read; nft.Nft.__init__ write; nft.Nft.wait read",
    "not linux.read: a function of our own": "names.resolvers read",
    "only to tell what a root lacks: chapter 4 opens it": "names.lacking open",
    HOST: "firewall.look exists; names.read read; pasta.stay posix_spawn; nft.nft posix_spawn",
    PROC: "beside.mapped read; ch11_network.Cable.parent open; devices.Devices.parent open; joined.Joined.prepare open; pasta.has_way_out exists; pasta.has_way_out read; pasta.Pasta.parent exists; pasta.Pasta.parent open",
    CGROUP: "beside.above exists; beside.fork_into open",
    SETTING: "bridge.close_doors write; bridge.forward listdir; bridge.forward read; bridge.forward write; bridge.has_ipv6 exists; "
             "bridge.has_ipv6 read; bridge.take_down exists; bridge.take_down read; bridge.take_down write; ports.least exists; "
             "ports.least read",
    RUN: "leases.Leases.__enter__ exists; leases.Leases.__enter__ makedirs; leases.Leases.__enter__ open; "
         "leases.Leases.__enter__ stat; leases.Leases.__exit__ listdir; leases.Leases.__exit__ rmdir; leases.Leases.clear unlink; "
         "leases.Leases.held open; leases.Leases.in_use exists; leases.Leases.numbers listdir; leases.Leases.take open; leases.Leases.text exists; "
         "leases.Leases.text read; leases.Leases.write open; leases.note write",
}
for why, words in OF_NETWORKS.items():
    for where, name in (word.split() for word in words.split("; ")):
        MAY[where.partition(".")[0], where.partition(".")[2], name] = why
MAY |= {("ch10_bundle", "record", "realpath"): BUNDLE, ("ch10_bundle", "Join.hold", "open"): ONCE,
        ("cli", "execute", "write"): "not linux.write: a bundle"}


def calls(tree, where=""):
    """(function, call, its first argument that may be a name) of each call that takes one."""
    for node in ast.iter_child_nodes(tree):
        inner = where
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            inner = f"{where}.{node.name}".lstrip(".")
        if isinstance(node, ast.Call):
            function, arguments = ast.unparse(node.func), node.args
            if function == "named" and len(arguments) > 1:  # layer.named(option, call, argument, ...)
                function, arguments = ast.unparse(arguments[1]), arguments[2:]
            module, _, name = function.rpartition(".")
            below = any(word.arg == "dir_fd" for word in node.keywords)
            if name == "openat2" and arguments:
                below, arguments = ast.unparse(arguments[0]) != "linux.AT_FDCWD", arguments[1:]
            if name in TAKE_NAMES and module in MODULES and arguments and not below \
                    and not isinstance(arguments[0], ast.Constant):
                yield inner, name
        yield from calls(node, inner)


def place(path, folder):
    """A module's name; in the rooms of bundles and images with its folder, as some are called like others."""
    parts = path.relative_to(folder).with_suffix("").parts
    return "/".join(parts) if parts[0] in ("oci", "images") else parts[-1]


def taking_names(folder):
    """Those of all modules but MAY_ALL's, and oci/cgroups: all names there are of the kernel's own tree (CGROUP)."""
    return {(place(path, folder), *call) for path in folder.rglob("*.py") for call in calls(ast.parse(path.read_text()))
            if path.stem not in MAY_ALL and not place(path, folder).startswith("oci/cgroups/")}


def test_each_call_that_takes_a_name_has_a_reason():
    assert taking_names(FOLDER) - MAY.keys() == set(), "look once, below a descriptor; or say why not"


def test_no_reason_is_left_over():
    assert MAY.keys() - taking_names(FOLDER) == set()


def test_it_would_have_found_the_old_way(tmp_path):
    """What chapter 4 did before: looked by name, and used by name."""
    (tmp_path / "ch04_mounts.py").write_text(
        "def given_root(spec):\n    for entry in linux.scandir(folder):\n        linux.readlink(entry.path)\n"
        "class Bind:\n    def open(self):\n        linux.open_tree(self.source, 1)\n        linux.stat('/x')\n"
        "        linux.openat2(self.root, self.path, 0, 0)\n        linux.mkdir(name, dir_fd=folder)\n")
    assert taking_names(tmp_path) == {("ch04_mounts", "given_root", "scandir"), ("ch04_mounts", "given_root", "readlink"),
                                      ("ch04_mounts", "Bind.open", "open_tree")}
