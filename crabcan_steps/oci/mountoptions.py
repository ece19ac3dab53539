"""The words of `mounts[].options`: one table, for those who mount and for `features`.

What is not in it is the file system's own, and is passed on to that (fsconfig(2)).
"""
RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8  # MOUNT_ATTR_*, <linux/mount.h>
NOATIME, STRICTATIME, ATIME, NODIRATIME, NOSYMFOLLOW = 0x10, 0x20, 0x70, 0x80, 0x200000

ATTRIBUTES = {  # word -> (bits to set, bits to clear); with an r in front, below it, too
    "ro": (RDONLY, 0), "rw": (0, RDONLY), "nosuid": (NOSUID, 0), "suid": (0, NOSUID),
    "nodev": (NODEV, 0), "dev": (0, NODEV), "noexec": (NOEXEC, 0), "exec": (0, NOEXEC),
    "noatime": (NOATIME, ATIME), "atime": (0, ATIME), "relatime": (0, ATIME),
    "norelatime": (STRICTATIME, ATIME), "strictatime": (STRICTATIME, ATIME),
    "nostrictatime": (0, ATIME), "nodiratime": (NODIRATIME, 0), "diratime": (0, NODIRATIME),
    "nosymfollow": (NOSYMFOLLOW, 0), "symfollow": (0, NOSYMFOLLOW)}
PROPAGATION = {"shared": 1 << 20, "slave": 1 << 19, "private": 1 << 18, "unbindable": 1 << 17}
OF_SUPERBLOCK = ("sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand")
NOTHING = ("defaults", "loud", "silent", "iversion", "noiversion", "rbind", "bind", "remount",
           "tmpcopyup", "idmap", "ridmap")  # done elsewhere, or nothing to do
NEGATED = {"async": "sync", "nolazytime": "lazytime", "nomand": "mand"}


class Options:
    """What a list of options says."""

    def __init__(self, words):
        self.set = self.clear = 0                # of this mount
        self.below_set = self.below_clear = 0    # of all that hangs below it
        self.propagation = []                    # (MS_*, whether recursive), in the order given
        self.superblock, self.data = [], []
        self.recursive = "rbind" in words
        self.bind = "bind" in words or self.recursive
        self.remount, self.copy_up = "remount" in words, "tmpcopyup" in words
        self.idmap = None                        # True: with all below; False: this mount only
        for word in words:
            self.add(word)

    def add(self, word):
        recursive = word[:1] == "r" and word[1:] or ""
        if word in ("idmap", "ridmap"):
            self.idmap = word == "ridmap"
        elif word in ATTRIBUTES:
            bits, clear = ATTRIBUTES[word]
            self.set, self.clear = self.set & ~clear | bits, self.clear & ~bits | clear
        elif recursive in ATTRIBUTES:
            bits, clear = ATTRIBUTES[recursive]
            self.below_set = self.below_set & ~clear | bits
            self.below_clear = self.below_clear & ~bits | clear
        elif word in PROPAGATION or recursive in PROPAGATION:
            self.propagation.append((PROPAGATION.get(word) or PROPAGATION[recursive], word not in PROPAGATION))
        elif word in OF_SUPERBLOCK:
            if word not in NEGATED:
                self.superblock.append(word)
        elif word not in NOTHING:
            self.data.append(word)


def known():
    """All words, for `features`."""
    words = {*ATTRIBUTES, *("r" + word for word in ATTRIBUTES), *OF_SUPERBLOCK, *NOTHING}
    return sorted(words | {*PROPAGATION, *("r" + word for word in PROPAGATION)})
