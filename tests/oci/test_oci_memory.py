"""linux.memoryPolicy: what the kernel says of the container's memory."""
import json

import pytest

RUN = """
import json, sys
from crabcan_steps import ch02_clone
from crabcan_steps.ch01_args import Spec
from crabcan_steps.layer import LayerError
from crabcan_steps.oci.memory import MemoryPolicy
spec = Spec()
spec.command, spec.linux = ("cat", "/proc/self/numa_maps"), {"memoryPolicy": json.loads(sys.argv[1])}
layers = [ch02_clone.Clone(), MemoryPolicy()]
try:
    sys.exit(ch02_clone.run(spec, layers))
except LayerError as error:
    sys.exit(error.explain(layers))
"""


@pytest.mark.parametrize("words, said", [
    (None, "default"), ({"mode": "MPOL_DEFAULT"}, "default"), ({"mode": "MPOL_LOCAL"}, "local"),
    ({"mode": "MPOL_BIND", "nodes": "0"}, "bind:0"),
    ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}, "bind=static:0"),
    ({"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"] * 2},
     "interleave=relative:0"), ({"mode": "MPOL_PREFERRED", "nodes": "0"}, "prefer:0"),
    ({"mode": "MPOL_PREFERRED_MANY", "nodes": "0"}, "prefer (many):0")])
def test_the_kernel_has_it(root, words, said):
    result = root.script(RUN, json.dumps(words))
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0].split(" ", 1)[1].startswith(said)


def test_nodes_that_are_not_there(root):
    result = root.script(RUN, json.dumps({"mode": "MPOL_BIND", "nodes": "70"}))
    assert result.returncode == 1 and "set_mempolicy: Invalid argument" in result.stderr
    assert "are these nodes of this machine" in result.stderr
