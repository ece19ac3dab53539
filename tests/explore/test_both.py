"""The page's reducer and ours say the same, state by state; and the page is what its sources make."""
import json
import subprocess
import sys

import pytest
from fuzzing import cases  # noqa: F401
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from conftest import CHECKOUT
from crabcan_workshop.explore import record, strace
from crabcan_workshop.explore.reducer import CALLS, states
from pages import Page
from test_strace import BWRAP, need

pytestmark = pytest.mark.slow

TOOL = CHECKOUT / "tools" / "explorer.py"
# All states of a recording, in the page's own script: of each the slices that are not the last one's.
FOLD = """(events => {
    let last = {}, next = explorer.initial
    const told = []
    for (const event of [...events, null]) {
        told.push(Object.fromEntries(Object.entries(next).filter(([name, slice]) => slice !== last[name])))
        last = next
        if (event) next = explorer.isolation(last, { type: "call", payload: event })
    }
    return JSON.stringify(told)
})(%s)"""


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    return Page(browser, tmp_path_factory.mktemp("page")).open({})


def difference(one, other, path=""):
    """Where two states differ, in words; None if nowhere."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *other]:
            if key not in one or key not in other:
                return f"{path}/{key}: only in one"
            if found := difference(one[key], other[key], f"{path}/{key}"):
                return found
        return None
    return None if one == other else f"{path}: {one!r:.200} in Python, {other!r:.200} in the page"


def compare(page, events):
    ours, told, before, theirs = list(states(events)), json.loads(page.script(FOLD % json.dumps(events))), {}, {}
    assert len(ours) == len(told)
    for step, state in enumerate(ours):
        theirs |= told[step]
        assert state.keys() == theirs.keys()
        for name in state:
            if name in told[step] or state[name] is not before.get(name):
                one = json.loads(json.dumps(state[name]))
                assert not (found := difference(one, theirs[name], name)), f"step {step}, {events[step - 1]}: {found}"
        before = state


@pytest.mark.parametrize("step", record.STEPS)
def test_each_state_of_a_chapter_is_the_same(page, step):
    compare(page, record.record(step))


@pytest.mark.parametrize("left", [5])
def test_also_if_calls_are_left_out(page, left):
    events = record.record(9)
    compare(page, [{**event, "skipped": True} if n % left == left - 1 else event for n, event in enumerate(events)])


@pytest.mark.parametrize("command", [BWRAP, ["unshare", "--mount", "--net", "--cgroup"]])
def test_also_of_another_runtime_s_container(page, command):
    need("strace", command[0])
    events, status = strace.record([*command, "sh", "-c", "mount -t cgroup2 x /mnt; true"])
    assert status == 0 and len(events) > 100
    compare(page, events)


def test_also_where_somebody_joins_what_no_recording_knows(page):
    real, options = record.record(5)[:1], {"result": 9, "errno": 0, "side": "parent", "layer": "", "options": {}}
    made = [("open", ["/proc/7/ns/net", 0]), ("setns", [9, 0]), ("open", ["/run/netns/x", 0]), ("setns", [9, 0x40000000]), ("setns", [9, 0]),
            ("setns", [9, 0x44000000]), ("open", ["/proc/7/ns/user", 0]), ("setns", [9, 0]), ("open", ["/proc/self/ns/uts", 0]), ("setns", [9, 0]),
            ("pasta", ["ip tuntap add name eth0 mode tap\nip address add 1.2.3.4/5 dev eth0\n\nnonsense"]), ("pasta", [7]),
            ("open", ["/proc/7/ns/net", 0]), ("setns", [9, 0x40000000])]
    compare(page, [*real, *({**options, "call": call, "args": args} for call, args in made)])


word = st.sampled_from(["ip link add name a up type veth peer name b netns x", "ip address add 1/2 dev b", "ip link set b up", "ip -6 route add d via 1",
                        "/", ".", "..", "", "/proc/1/uid_map", "/proc/self/uid_map", "/proc/self/ns/mnt", "/etc", "tmpfs", "/proc/self/fd/4/x",
                        "0 0 1\n", "0 1 2 3", "0", "parent", "child", "constructor", "source", "/sys/fs/cgroup/memory/x/tasks"])
whole = st.one_of(st.integers(-3, 40), st.sampled_from([0x7E020000, 1 << 17, 1 << 18, 1 << 19, 1 << 20, 0x8000, 0x1000, 0x200000000]))
value = st.one_of(st.none(), st.booleans(), whole, word, st.lists(whole, max_size=4))
event = st.fixed_dictionaries({
    "side": st.sampled_from(["parent", "child", "else"]), "chapter": whole, "layer": word,
    "call": st.sampled_from([*(CALLS.keys() - {"begin"}), "nosuch", "constructor"]), "args": st.lists(value, max_size=5),
    "options": st.dictionaries(st.sampled_from(["dir_fd", "propagation", "attr_set", "cloexec", "pid", "from", "to", "mount", "attributes"]), value, max_size=3),
    "result": value, "errno": st.sampled_from([0, 0, 0, 1]), "microseconds": whole,
}, optional={"makes": word, "leads": value})
# Those with many ways to go wrong, with arguments that mean something.
path = st.lists(st.sampled_from(["/", "usr/", "proc/", "../", "./", "tmp/x/", "dev/shm/"]), max_size=5).map("".join)
kind = st.sampled_from([1 << 17, 1 << 18, 1 << 19, 1 << 20])
sharp = st.one_of(*[st.fixed_dictionaries({
    "side": st.sampled_from(["parent", "child"]), "layer": st.just("mounts"), "call": st.just(call), "args": st.tuples(*args).map(list),
    "options": st.just({}), "result": st.integers(3, 12), "errno": st.just(0)}) for call, args in {
        "mount_setattr": (path, st.sampled_from([0, 0x8000]), st.integers(0, 15), kind), "chdir": (path,), "chroot": (path,),
        "open": (path, st.just(0)), "open_tree": (path, st.sampled_from([0, 1, 0x8001])), "umount2": (path, st.sampled_from([0, 2, 8])),
        "move_mount": (st.integers(3, 12), st.integers(3, 12)), "pivot_root": (path, path), "unshare": (whole,), "fsopen": (st.just("tmpfs"),),
        "mount": (path, path, st.just("tmpfs"), st.sampled_from([0, 1, 32, 4096, 8192, 20480]) | kind), "dup2": (whole, whole),
        "close_range": (whole, whole, st.sampled_from([0, 4])), "clone3": (st.just(0x7E020000),), "fsmount": (whole, whole)}.items()])


def test_also_of_events_that_make_little_sense(page, cases):  # noqa: F811
    real = record.record(5)
    birth = next(event for event in real if event["call"] == "clone3")
    some = st.sampled_from(real[1:])
    odd = st.builds(lambda event, key, value: {**event, key: value}, some, st.sampled_from(["result", "side", "errno", "options"]), value)

    @settings(cases(80), phases=[Phase.generate])  # to make a case smaller takes minutes here
    @given(st.lists(st.one_of(event, some, odd, sharp, sharp), min_size=10, max_size=60))
    def check(events):
        compare(page, [*real[:1], birth, *events])
    check()


def test_the_page_is_what_its_sources_make():
    if not (CHECKOUT / "build/explorer/done").exists():
        pytest.skip("the page's libraries are not here: tools/explorer.py --fetch, for who changes the page")
    done = subprocess.run([sys.executable, "-I", TOOL, "--check"], text=True, capture_output=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert "resolved" not in (CHECKOUT / "crabcan_workshop/explore/page/package-lock.json").read_text()
