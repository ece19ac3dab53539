"""Prints, as JSON, what is in a tree: kind, mode, owner, times, content and attributes of each file."""
import hashlib
import json
import os
import stat
import subprocess
import sys


def scan(root):
    found, links = {}, {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        for name in [b"", *files] + [one for one in folders if os.path.islink(os.path.join(folder, one))]:
            path = os.path.join(folder, name) if name else folder
            status = os.lstat(path)
            one = {"kind": stat.S_IFMT(status.st_mode), "mode": stat.S_IMODE(status.st_mode), "owner": [status.st_uid, status.st_gid]}
            one["mtime"] = status.st_mtime_ns
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    one["content"] = hashlib.sha256(file.read()).hexdigest()
                one["size"] = status.st_size
            elif stat.S_ISLNK(status.st_mode):
                one["content"] = os.fsdecode(os.readlink(path))
            elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                one["content"] = status.st_rdev
            one["xattrs"] = {key: os.getxattr(path, key, follow_symlinks=False).hex()
                             for key in os.listxattr(path, follow_symlinks=False) if ".overlay." not in key}
            short = os.fsdecode(os.path.relpath(path, os.fsencode(root)))
            if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                one["same as"] = links.setdefault(status.st_ino, short)
            found[short] = one
    return found


def shown(folder, chains):
    """Each image's layers, mounted the one upon the other, read-only, in a mount namespace of our own."""
    with open("/proc/self/uid_map") as file:
        ordinary = file.read().split()[2:] != ["4294967295"]
    os.makedirs(f"{folder}/seen", exist_ok=True)
    os.makedirs(f"{folder}/empty", exist_ok=True)
    os.chdir(f"{folder}/store/layers")
    for layers in chains.values():
        lower = ":".join([*(f"{chain[7:]}/fs" for chain in reversed(layers)), f"{folder}/empty"])
        subprocess.run(["mount", "-t", "overlay", "-o", f"{'userxattr,' if ordinary else ''}lowerdir={lower}", "overlay",
                        f"{folder}/seen"], check=True)
        yield scan(f"{folder}/seen")
        subprocess.run(["umount", f"{folder}/seen"], check=True)


if __name__ == "__main__":
    json.dump(list(shown(sys.argv[1], json.loads(sys.argv[2]))), sys.stdout)
