"""What the tests of a learner's directory share: one to work in, and the commands run on it."""
import os
import subprocess
import sys

import pytest

from conftest import CHECKOUT
from crabcan_workshop import exercises
from crabcan_workshop.desk import workspace


OURS = exercises.chapter(3).text
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHECKOUT)}


def run(*words, folder, **options):
    return subprocess.run([sys.executable, "-P", "-m", "crabcan_workshop", *map(str, words),
                           "--dir", folder],
                          text=True, capture_output=True, env=ENVIRONMENT, timeout=60,
                          **{"cwd": "/", "stdin": subprocess.DEVNULL} | options)


@pytest.fixture
def place(tmp_path):
    place = workspace.Workspace(tmp_path / "mine")
    place.start()
    return place
