"""The powers of the teacher's page: it may read what learners wrote, and write nothing but its board.

Root starts it, for a home is closed to all others. What it answers to is a browser, and what it reads is
strangers' files: so it gives up all of root but one capability, CAP_DAC_READ_SEARCH, before it does either.
"""
import os
import pwd
import stat

from crabcan_steps import ch06_caps, linux

ACCOUNT, NUMBER = "crabcan-teacher", 64911  # a uid that Debian gives to nobody, unless there is such an account
READ = 1 << ch06_caps.number("DAC_READ_SEARCH")


def account():
    """The uid and gid that it runs with."""
    try:
        found = pwd.getpwnam(ACCOUNT)
        return found.pw_uid, found.pw_gid
    except KeyError:
        return NUMBER, NUMBER


def narrow(own):
    """Becomes that account, with the power to read; `own` is a directory that it may write to.

    Before any thread is started: powers are a thread's. Raises OSError."""
    if os.geteuid():
        return
    uid, gid = account()
    keep(own, uid, gid)
    last = int(linux.read("/proc/sys/kernel/cap_last_cap"))
    for capability in range(last + 1):
        if 1 << capability != READ:
            ch06_caps.capbset_drop(capability)
    linux.prctl(linux.PR_SET_KEEPCAPS, 1)  # or the change of user takes all of them
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    linux.capset(READ, READ, 0)
    ch06_caps.set_no_new_privs()


def keep(own, uid, gid):
    """Makes the directory that it may write to. One that somebody else has is not taken from them."""
    try:
        os.mkdir(own, 0o755)
        os.chown(own, uid, gid)
    except FileExistsError:
        about = os.stat(own, follow_symlinks=False)
        if about.st_uid != uid or not stat.S_ISDIR(about.st_mode):
            raise OSError(f"{own} is there already, and not this page's own: --board wants a new directory, "
                          "such as /run/my-class/board.json") from None
