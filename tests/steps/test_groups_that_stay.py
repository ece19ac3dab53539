"""A user without subordinate ids keeps the caller's groups inside: the kernel's rule, and said so."""
import copy

import pytest

NOBODYS = 4_123_456  # a user without a name, and so without a line in /etc/subuid


@pytest.fixture
def stranger(user, root):
    """An ordinary user with two more groups, and nothing in /etc/subuid."""
    who = copy.copy(user)
    who.prefix = ["setpriv", f"--reuid={NOBODYS}", f"--regid={NOBODYS}", "--groups=4,27", "--"]
    who.python = [*who.prefix, *user.python[len(user.prefix):]]
    who.environment = {**user.environment, "HOME": "/"}
    return who


def test_groups_stay_where_no_helper_may_take_them_away(stranger, user):
    """A group can take rights away, so whoever could leave one would gain some (user_namespaces(7))."""
    words = ("grep", "Groups", "/proc/self/status")
    assert stranger.run(*words).split() == ["Groups:", "65534", "65534"]
    assert user.run(*words).split() == ["Groups:"]


def test_the_doctor_says_so(stranger):
    out = stranger.script("from crabcan_workshop import doctor; print(doctor.check_ids())").stdout
    assert "keeps your other groups" in out and "one user only" in out
