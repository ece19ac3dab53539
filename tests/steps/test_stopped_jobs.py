"""Ctrl-Z and fg: what we stop is continued, and what the container's own shell had stopped stays so."""
import signal

import pytest

from conftest import wait_for
from crabcan_workshop.measure import observe

JOBS = "sleep 1000 & sleep 0.3; kill -STOP $!; sleep 1001 & sleep 1002 & echo ready; wait"


def states(running):
    """{command: state} of what sleeps in a container."""
    found = {}
    for line in open(f"/proc/{running.init}/task/{running.init}/children").read().split():
        try:
            with open(f"/proc/{line}/cmdline") as file:
                found[file.read().replace("\0", " ").strip()] = observe.stat_of(line)[0]
        except OSError:
            pass
    return found


def test_a_job_that_the_container_had_stopped_stays_stopped(who):
    with who.start("run", "--", "bash", "-c", JOBS) as running:
        running.ready()
        mixed = {"sleep 1000": "T", "sleep 1001": "S", "sleep 1002": "S"}
        assert wait_for(lambda: states(running) == mixed), states(running)
        for _ in range(2):
            running.process.send_signal(signal.SIGTSTP)
            assert wait_for(lambda: set(states(running).values()) == {"T"}), states(running)
            assert wait_for(lambda: observe.stat_of(running.runtime)[0] == "T")  # last of all
            running.process.send_signal(signal.SIGCONT)
            assert wait_for(lambda: observe.stat_of(running.init)[0] == "S")
            assert wait_for(lambda: states(running) == mixed), states(running)


@pytest.mark.parametrize("options", [[], ["--init"]])
def test_all_generations_stop_and_go_on(who, options):
    """With --init, too, into whose process 1 an ordinary user cannot look."""
    script = "sh -c 'sh -c \"while :; do :; done\" & echo ready; wait' & wait"
    with who.start("run", *options, "--", "sh", "-c", script) as running:
        running.ready()

        def family(pid):
            found = [observe.stat_of(pid)[0]]
            for child in open(f"/proc/{pid}/task/{pid}/children").read().split():
                found += family(child)
            return found
        assert wait_for(lambda: len(family(running.init)) == 3 + len(options))
        running.process.send_signal(signal.SIGTSTP)
        assert wait_for(lambda: set(family(running.init)) == {"T"}), family(running.init)
        assert wait_for(lambda: observe.stat_of(running.runtime)[0] == "T")
        running.process.send_signal(signal.SIGCONT)
        assert wait_for(lambda: "T" not in family(running.init)), family(running.init)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 143


def test_the_container_hears_that_it_goes_on(who):
    with who.start("run", "--", "sh", "-c", "trap 'exit 5' CONT; echo ready; while :; do sleep 0.1; done") as running:
        running.ready()
        running.process.send_signal(signal.SIGCONT)
        assert running.process.wait(20) == 5
