"""The folded state is what the kernel says: looked at after each event, of a process that stands still."""
import copy

import pytest
from crabcan_workshop.explore import image, truth
from crabcan_workshop.explore.filters import enriched
from crabcan_workshop.explore.reducer import states


def stepped(who, folder, *words, before=()):
    """[(event, {side: what /proc says})] of a run that is stopped at each event."""
    file = folder / "events"
    command = who.command(*words[:2], "--trace", file, *words[2:], "--", "sleep", "100")
    return truth.stepped(file, command, before, env=who.environment, timeout=60)


@pytest.mark.parametrize("step", range(2, 10))
def test_each_state_is_what_the_kernel_says(who, folder, step):
    true(stepped(who, folder, "step", str(step)))


def test_of_a_bundle_too(who, folder):
    true(stepped(who, folder, "step", "10"), but=("descriptors",))


def test_of_a_network_of_its_own_with_addresses_and_routes(root, folder_of_root):
    run = stepped(root, folder_of_root, "step", "11", "--net", "bridge")
    true(run, but=("descriptors", "net namespace"), unknown=2)  # the parent is there for the time of a setns
    last = [seen["child"]["network"] for _, seen in run if "child" in seen][-1]
    assert len(last["links"]["eth0"]["addresses"]) == 2 and len(last["routes"]) == 2


def test_of_an_image_whose_root_comes_through_a_socket(who, folder):
    who = copy.copy(who)
    who.environment = {**who.environment, "CRABCAN_STORE": str(folder / "store")}
    folder.chmod(0o777)
    run = stepped(who, folder, "step", "12", "--image", image.write(folder / "image", "sleep"))
    true(run, but=("descriptors",), program="/bin/sleep")
    assert any(event["call"] == "recvmsg" for event, _ in run) or who.uid


def true(run, but=(), program="/usr/bin/sleep", unknown=0):
    """but: of whose own descriptors not all is told (a store's lock, a bundle's folder)."""
    wrong = [f"{index} {run[index][0]['side']} {run[index][0]['call']}{run[index][0]['args']}: {side}: {what}: "
             f"{ours!r} is {theirs!r}"[:900] for index, side, what, ours, theirs in truth.differences(run) if what not in but]
    assert not wrong, "\n".join(wrong[:12])
    told = list(states([enriched(event) for event, _ in run]))
    odd = [run[n][0] for n in range(len(run)) if told[n + 1]["unknown"] > told[n]["unknown"]]
    assert len(odd) <= unknown, odd
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
