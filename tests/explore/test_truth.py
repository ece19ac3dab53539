"""The folded state is what the kernel says: looked at after each event, of a process that stands still."""
import copy
import sys

import pytest
from conftest import CHECKOUT
from crabcan_workshop.explore import image, truth
from crabcan_workshop.explore.filters import enriched
from crabcan_workshop.explore.reducer import states

sys.path.insert(0, str(CHECKOUT / "tests" / "net"))
from world import HOST, HOST6, ROUTER, ROUTER6, world  # noqa: E402, F401


def stepped(who, folder, *words, before=()):
    """[(event, {side: what /proc says})] of a run that is stopped at each event."""
    file = folder / "events"
    command = who.command(*words[:2], "--trace", file, *words[2:], "--", "sleep", "100")
    return truth.stepped(file, command, before, env=who.environment, timeout=60)


@pytest.mark.parametrize("step", range(2, 10))
def test_each_state_is_what_the_kernel_says(who, folder, step):
    true(stepped(who, folder, "step", str(step)))


def test_of_a_bundle_too(who, folder):
    true(stepped(who, folder, "step", "10"))


def test_of_a_network_of_its_own_with_addresses_and_routes(world, folder_of_root):
    run = stepped(world.root, folder_of_root, "step", "11", "--net", "bridge", "-p", "8080:80")
    true(run)
    last = network(run)
    assert len(last["links"]["eth0"]["addresses"]) == 2 and len(last["routes"]) == 2


def test_of_another_s_network(world, folder_of_root):
    """Nobody has recorded how that one was made: it is known to be another one, and no more."""
    with world.background("--name", "web", "--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        run = stepped(world.root, folder_of_root, "step", "11", "--net", "container:web")
    true(run)
    child = list(states([event for event, _ in run]))[-1]["processes"]["child"]
    assert child["namespaces"]["net"] == {"id": "net:1", "how": "joined"}


@pytest.mark.parametrize("who", ["user"], indirect=True)
def test_of_a_network_that_pasta_fills(world, who, folder):
    """Its own requests are not recorded: what has come of them is asked of the kernel."""
    run = stepped(world.user(who), folder, "step", "11", "--net", "pasta", "-p", "8081:80")
    true(run)
    last = network(run)
    assert last["links"]["eth0"] == {"up": True, "addresses": sorted([f"{HOST6}/64", f"{HOST}/24"])}
    assert {*last["routes"]} >= {f"default via {ROUTER}", f"default via {ROUTER6}", f"unreachable {HOST}/32"}


def network(run):
    """What the kernel has said of the child's network in the end."""
    return [seen["child"]["network"] for _, seen in run if "child" in seen][-1]


def test_of_an_image_whose_root_comes_through_a_socket(who, folder):
    who = copy.copy(who)
    who.environment = {**who.environment, "CRABCAN_STORE": str(folder / "store")}
    folder.chmod(0o777)
    run = stepped(who, folder, "step", "12", "--image", image.write(folder / "image", "sleep"))
    true(run, program="/bin/sleep")
    assert any(event["call"] == "recvmsg" for event, _ in run) or who.uid


def true(run, program="/usr/bin/sleep"):
    wrong = [f"{index} {run[index][0]['side']} {run[index][0]['call']}{run[index][0]['args']}: {side}: {what}: "
             f"{ours!r} is {theirs!r}"[:900] for index, side, what, ours, theirs in truth.differences(run)]
    assert not wrong, "\n".join(wrong[:12])
    told = list(states([enriched(event) for event, _ in run]))
    odd = [run[n][0] for n in range(len(run)) if told[n + 1]["unknown"] > told[n]["unknown"]]
    assert not odd, odd
    state = told[-1]
    assert sum(len(seen) for _, seen in run) > 20
    assert state["processes"]["child"]["program"] == program


@pytest.mark.parametrize("options", [
    "--caps docker", "--uid 7 --cap-add NET_RAW", "--tmpfs /tmp/y --read-only", "--layers all,-mounts"])
def test_and_with_options(who, folder, options):
    true(stepped(who, folder, "step", "9", "--hostname", "x", *options.split()))


@pytest.mark.parametrize("options", ["--layers all,-namespaces", "--layers all,-caps,-seccomp --user 7:8"])
def test_and_with_the_options_of_root(root, folder_of_root, options):
    true(stepped(root, folder_of_root, "step", "9", *options.split()))


SHARED = """mount --make-rshared / && mount -t tmpfs -o nosuid outer "$0" && mkdir "$0/in" &&
mount -t tmpfs -o ro inner "$0/in" && exec "$@" """


@pytest.mark.parametrize("step", ["3", "4", "9"])
def test_where_mounts_are_shared_and_others_hang_from_what_is_added(root, folder_of_root, step):
    """As systemd leaves them: a container's copy follows the host's, until it is made private."""
    place = folder_of_root / "files"
    place.mkdir()
    before = ["unshare", "--mount", "--propagation", "private", "sh", "-c", SHARED, str(place)]
    options = [] if step == "3" else ["--add", f"{place}:/files"]
    run = stepped(root, folder_of_root, "step", step, *options, before=before)
    assert any(" shared:" in line for line in run[0][1]["parent"]["mountinfo"])
    true(run)


@pytest.fixture
def folder_of_root(root, tmp_path_factory):
    return tmp_path_factory.mktemp("steps")
