"""Chapter 9's shelter, for bundles: who may be root of the machine inside finds no Python to write.

It is the first thing that create, run and exec do, before anything else is loaded, as it begins anew.
"""
import os

from ..runtime.sealed import EXE, again, copy, sealed

COMMANDS = ("create", "run", "exec")


def shelter(words):
    """Starts us again from a sealed copy, unless nobody can write our interpreter.

    Who cannot do it here cannot do it inside: whatever is in there has no more power than we."""
    if not any(word in COMMANDS for word in words) or not os.access(EXE, os.W_OK, effective_ids=True):
        return
    file = os.open(EXE, os.O_RDONLY | os.O_CLOEXEC)
    if not sealed(file):
        again(copy(file))
    os.close(file)
