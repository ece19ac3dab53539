"""What the tests of the machine share: its tools are here, and what they need."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TOOLS = CHECKOUT / "tools" / "vm"
sys.path.insert(0, str(TOOLS))


def need(*programs):
    """CI must have them; elsewhere what wants them is skipped."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"not here: {', '.join(missing)}")


def python(text, *args, prefix=(), **environment):
    """Runs a script that may import the modules of tools/vm."""
    text = f"import sys; sys.path.insert(0, {str(TOOLS)!r})\n" + text
    return subprocess.run([*prefix, sys.executable, "-c", text, *map(str, args)], text=True,
                          env=os.environ | environment, capture_output=True, timeout=100)
