"""Starts a program to which the kernel refuses a call: python -P -m crabcan_workshop.room.refusing
CALL[:INDEX=VALUE[,INDEX=VALUE]] PROGRAM [ARG ...]. What goes wrong elsewhere one day goes wrong here now (seccomp(2)).
With "!" before the call, whoever makes it is killed: so one sees whether it is made at all.
"""
import errno
import os
import sys

import pyseccomp


def main(what, *words):
    name, _, test = what.lstrip("!").partition(":")
    deed = pyseccomp.KILL_PROCESS if what.startswith("!") else pyseccomp.ERRNO(errno.EPERM)
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    args = []
    for one in filter(None, test.split(",")):
        index, value = one.split("=")
        op = pyseccomp.NE if value.startswith("!") else pyseccomp.EQ
        args.append(pyseccomp.Arg(int(index), op, int(value.lstrip("!"), 0)))
    rules.add_rule(deed, number, *args)
    rules.set_attr(pyseccomp.Attr.CTL_NNP, 0)  # we are root in the room, and the container is not to
    rules.load()                               # have no_new_privs of us
    os.execvp(words[0], words)


if __name__ == "__main__":
    main(*sys.argv[1:])
