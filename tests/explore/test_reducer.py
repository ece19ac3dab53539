"""The reducer: pure, total, deterministic; and what skipping and comparing make of recordings."""
import copy
import json

import pytest
from crabcan_workshop.explore import record
from crabcan_workshop.explore.reducer import CALLS, fold, initial, reduce, states
from crabcan_workshop.measure.matrix import PROPERTIES
from fuzzing import cases  # noqa: F401
from hypothesis import given
from hypothesis import strategies as st

word = st.one_of(st.text(max_size=8), st.sampled_from([
    "/", ".", "..", "/proc/1/uid_map", "/proc/self/ns/mnt", "/etc", "tmpfs", "0 0 1\n", "0", "parent", "child"]))
whole = st.one_of(st.integers(-3, 40), st.sampled_from([0x7E020000, 1 << 18, 0x8000, 0x1000, 2 ** 63, 10 ** 40]))
plain = st.one_of(st.none(), st.booleans(), whole, word, st.floats(allow_nan=False))
json_like = st.recursive(plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(word, inner, max_size=4),
                         max_leaves=12)
event = st.fixed_dictionaries({
    "side": st.sampled_from(["parent", "child", "else"]), "chapter": whole, "layer": word,
    "call": st.sampled_from([*CALLS, "nosuch"]), "args": st.lists(json_like, max_size=5),
    "options": st.dictionaries(st.sampled_from(["dir_fd", "propagation", "attr_set", "cloexec", "pid"]),
                               json_like, max_size=3),
    "result": json_like, "errno": st.sampled_from([0, 0, 0, 1]), "microseconds": whole,
}, optional={"data": word, "filter": json_like, "makes": json_like})


@pytest.fixture(scope="module")
def recording():
    """A real one, of all layers."""
    return record.record(9)


@pytest.fixture(scope="module")
def halves(recording):
    """States from which to go on: none, half-way, the last."""
    every = list(states(recording))
    return [every[0], every[len(every) // 2], every[-1]]


def test_an_unknown_event_changes_nothing_and_is_counted(halves, cases):  # noqa: F811
    @cases(300)
    @given(json_like)
    def check(value):
        for state in halves:
            made = reduce(state, value)
            assert {**made, "events": 0, "unknown": 0} == {**state, "events": 0, "unknown": 0}
            skipped = isinstance(value, dict) and value.get("skipped")
            assert made["events"] == state["events"] + 1
            assert made["unknown"] == state["unknown"] + (not skipped)
    check()


def test_any_event_is_survived_and_changes_neither_state_nor_event(halves, cases):  # noqa: F811
    before = copy.deepcopy(halves)

    @cases(600)
    @given(st.lists(event, min_size=1, max_size=6))
    def check(events):
        given_ = copy.deepcopy(events)
        for state, old in zip(halves, before):
            made = fold(events, state)
            assert made["events"] == state["events"] + len(events)
            assert json.loads(json.dumps(made)) == made == fold(events, state)
            assert state == old
        assert events == given_
    check()


def test_the_properties_are_the_matrix_s():
    assert list(reduce(initial(), {})["properties"] or fold([{"call": "stat"}])["properties"]) in ([], list(PROPERTIES))
    assert list(fold(record.record(2))["properties"]) == list(PROPERTIES)


def test_what_is_the_same_is_shared(recording):
    """A step costs what it changes: redux tools that copied all have frozen."""
    before, after = None, initial()
    for now in recording:
        before, after = after, reduce(after, now)
        if now["call"] == "capbset_drop":
            assert after["mounts"] is before["mounts"]
            assert after["processes"]["parent"] is before["processes"]["parent"]


@pytest.mark.parametrize("step", range(2, 10))
def test_what_closes_is_what_the_chapters_promise(who, matrix, step, folder):
    """The selectors say of a recording what the probe found, property by property."""
    who_ran = who.crabcan("step", str(step), "--trace", folder / "events", *(
        ["--memory", "64M", "--pids", "20", "--cpus", "0.2"] if step >= 8 and who.has_cgroups() else []), "--", "true")
    assert who_ran.returncode == 0, who_ran.stderr
    state = fold(record.read(folder / "events"))
    told = {name: found["closed"] for name, found in state["properties"].items()}
    seen = {name: cell for name, cell in matrix[step].items() if cell != "absent"}
    assert {name: told[name] for name in seen} == {name: cell in ("closed", "borrowed") for name, cell in seen.items()}
    assert all((found["by"] is not None) == found["closed"] for found in state["properties"].values())
