"""Learners are kept apart by namespaces and rules: tried from both sides, and each guard once without."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import CHECKOUT

pytestmark = pytest.mark.slow
ROOMS = Path(__file__).with_name("rooms_of_class.py")
MAY = {"a second time nothing is made anew", "the Hub reaches a server", "the proxy reaches a server",
       "a learner reaches her own loopback", "she finds her abstract socket", "a learner reaches the gate",
       "for a certificate the machine has its own address, not the class's", "all is as before"}
GUARDS = {  # what is taken out of the rules: what then can be done, too
    ("oifname \"cl-*\" counter drop", "oifname \"cl-*\" counter accept"): "another reaches her server",
    ("counter drop\n  }}\n  chain f", "counter accept\n  }}\n  chain f"): "a learner reaches the machine's ssh",
    ("counter reject", "counter accept"): "a stranger on the machine reaches a server"}


def tried(*change):
    """What could be done, in namespaces where packets would be forwarded if nothing forbade it."""
    script = ("mount -t tmpfs tmpfs /run && ip link set lo up && echo 1 >/proc/sys/net/ipv4/ip_forward && "
              'exec "$@"')
    result = subprocess.run(["unshare", "--mount", "--net", "sh", "-c", script, "sh", sys.executable, "-P", ROOMS,
                             *change], text=True, capture_output=True, timeout=60,
                            env={**os.environ, "PYTHONPATH": str(CHECKOUT)})
    assert result.returncode == 0, result.stderr
    return {what for what, could in json.loads(result.stdout).items() if could}


def test_nobody_reaches_another(root):
    assert tried() == MAY


@pytest.mark.parametrize("change", GUARDS, ids=GUARDS.values())
def test_each_rule_is_needed(root, change):
    assert tried(*change) == MAY | {GUARDS[change]}
