"""Users and groups as text, for chapters 4 and 5: passwd(5) and group(5) of the container's own."""
from ..layer import LayerError

def found(passwd, group_file, user, group=None):
    """(uid, gid, groups, home) of a user, by name or number, in the texts of the two files.

    A number may be unknown: then its group is itself, and home None. Raises LayerError for a name
    that is not there."""
    name, uid, gid, home = user, user, user, None
    for words in lines(passwd, 7):
        if user in (words[0], words[2]):
            name, uid, gid, home = words[0], words[2], words[3], words[5] or "/"
            break
    if not uid.isdigit():
        known = ", ".join(words[0] for words in lines(passwd, 7)) or "nobody"
        raise LayerError("namespaces", f"--user {user}", 0,
                         f"the container's /etc/passwd knows {known:.200}; give one of them, or a number")
    members = {words[2]: words for words in lines(group_file, 4)}
    if group is None:
        more = {int(n) for n, words in members.items() if name in words[3].split(",")}
        return int(uid), int(gid), sorted(more - {int(gid)}), home
    gid = next((n for n, words in members.items() if group in (words[0], n)), group)
    if not gid.isdigit():
        raise LayerError("namespaces", f"--user {user}:{group}", 0,
                         "the container's /etc/group has no such name; give one of it, or a number")
    return int(uid), int(gid), [], home


def introduced(files, user):
    """passwd and group with a line for a number that they lack: programs that ask who they are
    (ssh, initdb, whoami) give up without one."""
    uid, gid, _, home = found(files["passwd"], files["group"], *user)
    if home is not None:
        return files
    more = f"user:x:{gid}:\n" if f":{gid}:" not in files["group"] else ""
    return files | {"passwd": files["passwd"] + f"user:x:{uid}:{gid}:user:/:/bin/sh\n",
                    "group": files["group"] + more}


def lines(text, size):
    """The lines that are as the manual page has them; any other is nobody's account."""
    for line in text.splitlines():
        words = line.split(":")
        numbers = words[2:4] if size == 7 else words[2:3]
        good = all(n.isascii() and n.isdigit() and len(n) <= 10 for n in numbers)
        if good and len(words) == size and words[0] and "\0" not in line:
            yield words
