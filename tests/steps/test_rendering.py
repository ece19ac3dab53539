"""--debug: an event as a line to read."""
import pytest

from crabcan_steps import linux
from crabcan_steps.rendering import Rendering


def event(call, *args, result=None, side="child", errno=0, **options):
    return {"side": side, "chapter": 4, "layer": "mounts", "call": call, "args": list(args), "options": options,
            "result": result, "errno": errno}


def told(*events):
    """What the last of some events is shown as, without where it was."""
    rendering = Rendering()
    return [rendering.line(one) for one in events][-1].partition("child   ")[2]


@pytest.mark.parametrize("one, text", [
    (event("mount_setattr", "/", linux.AT_RECURSIVE, 0, linux.MS_PRIVATE), "mount_setattr('/', AT_RECURSIVE, 0, MS_PRIVATE)"),
    (event("mount_setattr", "/", linux.AT_RECURSIVE, propagation=linux.MS_PRIVATE),
     "mount_setattr('/', AT_RECURSIVE, propagation=MS_PRIVATE)"),
    (event("clone3", linux.CLONE_NEWPID | linux.CLONE_NEWUTS), "clone3(CLONE_NEWUTS|CLONE_NEWPID)"),
    (event("prctl", linux.PR_SET_PDEATHSIG, 9), "prctl(PR_SET_PDEATHSIG, SIGKILL)"),
    (event("mkdir", "x", 0o755), "mkdir('x', 0o755)"), (event("umask", 0), "umask(0o0)"),
    (event("pivot_root", ".", ".", errno=22), "pivot_root('.', '.'): Invalid argument"),
    (event("write", "/x", "y" * 100), f"write('/x', '{'y' * 59}...)")])
def test_flags_and_numbers_have_their_names(one, text):
    assert told(one) == text


@pytest.mark.parametrize("opened, what", [
    (event("open", "/usr", 0, result=7), "/usr"), (event("openat2", 5, "etc", 0, 0, result=7), "etc"),
    (event("open_tree", "/usr", 0, result=7), "/usr"), (event("fsopen", "tmpfs", result=7), "tmpfs")])
def test_a_descriptor_says_what_it_was_opened_for(opened, what):
    assert told(opened, event("fchdir", 7)) == f"fchdir(7<{what}>)"


def test_a_mount_says_where_it_was_hung():
    hung = [event("open_tree", "/usr", 0, result=7), event("open", "/mnt", 0, result=8), event("move_mount", 7, 8)]
    assert told(*hung, event("fchdir", 7)) == "fchdir(7</mnt>)"


@pytest.mark.parametrize("call", ["openat2", "stat", "begin", "close", "dup2", "recv", "send"])
def test_who_only_looks_is_not_told_of(call):
    assert Rendering().line(event(call, 3)) is None
