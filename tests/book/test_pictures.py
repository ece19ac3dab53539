"""The pictures of the book: drawn of their sources, fit for a phone, true where they have values."""
import os
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import pyseccomp
import pytest

from boxes import Engine, ended, subreaper
from conftest import UNIFIED, wait_for
from crabcan_steps import ch08_cgroups
from crabcan_steps import ch09_runtime  # noqa: F401: loads all layers
from crabcan_steps.layer import Layer, Stage
from crabcan_steps.mounts import furniture
from crabcan_steps.namespaces import ranges
from crabcan_steps.seccomp import bpf
from crabcan_workshop.measure import observe

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "tools"))

import diagrams  # noqa: E402

FOLDER = CHECKOUT / "chapters" / "diagrams"
SOURCES = sorted(FOLDER.glob("*.txt"))
PHONE = 52  # columns that can be read at 360 pixels: letters of 10
PICTURE = re.compile(r"!\[([^\n]*?)\]\((?:chapters/)?diagrams/([\w-]+)\.svg\)")


def drawing(name):
    return (FOLDER / f"{name}.txt").read_text()


def waiting(who, step, *options, say="ready"):
    """A container of a checkpoint that has printed something and waits."""
    return who.start("step", step, *options, "--", "sh", "-c", f"echo {say}; read x")


# ---------------------------------------------------------------- all of them

@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_diagram_is_what_its_source_says(source):
    assert source.with_suffix(".svg").read_text() == diagrams.svg(source.read_text()), \
        "run tools/diagrams.py"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_diagram_fits_a_phone_or_has_a_twin_that_does(source):
    twin = source.with_name(f"{source.stem}-narrow.txt")
    text = (twin if twin.exists() else source).read_text()
    assert max(map(len, text.split("\n"))) <= PHONE
    words = [sorted(re.findall(r"[\w/.!?:,]+", path.read_text())) for path in (source, twin)
             if path.exists()]
    assert all(set(one) == set(words[0]) for one in words), "the twin says something else"


def test_each_layer_has_a_picture_and_each_picture_its_words():
    shown = {}
    for page in (*(CHECKOUT / "chapters").glob("*.md"), CHECKOUT / "CONTRIBUTING.md"):
        for words, name in PICTURE.findall(page.read_text()):
            shown[name] = page.stem
            assert len(words) > 80, f"{name}: what does it show?"
    assert {f"{number:02}" for number in range(2, 10)} <= {page[:2] for page in shown.values()}
    assert set(shown) == {path.stem for path in SOURCES if not path.stem.endswith("-narrow")}


def test_the_narrow_timeline_has_the_same_bars_half_as_long():
    wide, narrow = ([(len(line[at:]) - len(line[at:].lstrip()), line.count("━"))
                     for line in drawing(name).split("\n") if "━" in line]
                    for name, at in (("timeline", 24), ("timeline-narrow", 16)))
    ends = [((begin + 1) // 2, (begin + length + 1) // 2) for begin, length in wide]
    assert narrow == [(begin, max(1, end - begin)) for begin, end in ends]


def test_lines_that_cross_are_two():
    svg = diagrams.svg("─╂─\n ┃\n")
    assert 'class="dg-new"' in svg and 'class="dg-host"' in svg and "<text" not in svg


# ---------------------------------------------------------------- of the code

def test_the_stages_diagram_is_the_stages_of_the_code():
    drawn = re.findall(r"│ +(\d+)  (\w+) +│ +(\d)", drawing("stages"))
    stages = [(number, name) for name, number in vars(Stage).items() if name.isupper()]
    assert [(int(number), name) for number, name, _ in drawn] == stages
    layers = [layer for layer in Layer.__subclasses__() if layer.__module__.startswith("crabcan_")]
    layers.sort(key=lambda layer: -layer.chapter)  # several in a stage: the chapter that made it
    homes = {layer.stage: layer.chapter for layer in layers}
    assert {int(number): int(chapter) for number, _, chapter in drawn} == homes


def test_the_root_diagram_shows_every_cover_and_device():
    steering = {path.rsplit("/", 1)[1] for path in furniture.STEERING}
    for name in {*steering, *furniture.DEVICES, *furniture.DEV_LINKS, *furniture.ETC}:
        assert re.search(rf"\b{name}\b", drawing("root")), name


# ---------------------------------------------------------------- of a run

def test_the_name_of_the_host_and_of_the_container(root):
    first, second = re.findall(r"uts:\[(\d+)\]", drawing("uts"))
    assert int(first) == 0xEFFFFFFE != int(second)  # PROC_UTS_INIT_INO of <linux/proc_ns.h>
    with waiting(root, 3, "--hostname", "small", say="$(hostname)") as running:
        assert re.findall(r"host name +(\w+)", drawing("uts"))[1] == running.ready()
        ours, theirs = (os.readlink(f"/proc/{pid}/ns/uts") for pid in ("self", running.init))
        assert ours != theirs


def stack(pid):
    """The mounts on a process's /: (number, number of the one below, type), the lowest first."""
    lines = [line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
    rows = [(words[0], words[1], words[words.index("-") + 1]) for words in lines if words[4] == "/"]
    return sorted(rows, key=lambda row: row[1] in [number for number, *_ in rows])


def test_the_four_trees_are_those_of_a_run(root, tmp_path):
    """A run that strace holds for a while before and after its pivot_root, and after umount2."""
    seen = [[kind for *_, kind in stack("self")]]
    holds = ["-e", "inject=pivot_root:delay_enter=400000:delay_exit=400000",
             "-e", "inject=umount2:delay_exit=400000"]
    process = subprocess.Popen(
        ["strace", "-f", "-o", tmp_path / "log", "-e", "trace=pivot_root,umount2", *holds,
         *root.command("step", 4, "--", "true")], env=root.environment)
    while process.poll() is None:
        pid = process.pid
        try:
            for _ in range(2):  # strace's child is crabcan, and its child the container
                pid = observe.child_of(pid)
            now = [kind for *_, kind in stack(pid)]
            seen += [now] if now not in seen[-1:] else []
        except (OSError, observe.ObserveError):
            pass
        time.sleep(0.02)
    assert process.returncode == 0
    machine = seen[0][0]
    assert seen == [[machine], [machine, "tmpfs"], ["tmpfs", machine], ["tmpfs"]]
    upper, lower = drawing("pivot").split("\n\n")
    drawn = [re.findall(r"[╭┏][─━] / [─━] (tmpfs|the machine's)", "\n".join(
        line[part] for line in half.split("\n")))[::-1]
        for half in (upper, lower) for part in (slice(0, 25), slice(25, None))]
    assert drawn == [["the machine's" if kind == machine else kind for kind in one] for one in seen]


def test_the_id_map_is_that_of_a_run(root):
    text = drawing("idmap")
    first, count = ranges.subordinate("uid") or ranges.ROOT_RANGE
    with waiting(root, 5, say="$(stat -c %u /usr)") as running:
        assert running.ready() == re.search(r"(\d+)  nobody +┃◀", text)[1]
        real = Path(f"/proc/{running.init}/uid_map").read_text().split()
    assert real == ["0", str(first), str(count)]
    if (first, count) == ranges.ROOT_RANGE:
        assert f"uid_map:  {' '.join(real)}\n" in text
    arrows = re.findall(r"(\d+) [^┃]*┃─+▶│ +(\d+)", text)
    begin, size = ranges.ROOT_RANGE
    assert len(arrows) == 5 and arrows[-1][0] == str(size - 1)
    assert all(int(outside) == begin + int(inside) for inside, outside in arrows)


def test_the_rooms_are_those_of_a_run(root):
    text = drawing("rooms")
    drawn = set(re.findall(r"┏━ (\w+) ━", text))
    with waiting(root, 5, say="$(ls /sys/class/net) $(cut -d: -f3 /proc/self/cgroup | sort -u)") as running:
        assert running.ready() == "lo /" and "lo, no more" in text and "/ is ours" in text
        apart = {name for name in observe.NAMESPACES if
                 os.readlink(f"/proc/{running.init}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}")}
        offsets = Path(f"/proc/{running.init}/timens_offsets").read_text().split()
    assert drawn == apart - {"user"} and "user" in apart
    assert set(offsets) == {"monotonic", "boottime", "0"} and "offsets: 0" in text
    assert f"0 is {ranges.ROOT_RANGE[0]} outside" in text


EXECVE = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
if sys.argv[1] == "all":
    for number in range(int(open("/proc/sys/kernel/cap_last_cap").read()) + 1):
        assert libc.prctl(24, number, 0, 0, 0) == 0  # PR_CAPBSET_DROP
assert libc.capset(struct.pack("Ii", 0x20080522, 0), bytes(24)) == 0
show = ["grep", "-h", "Cap", "/proc/self/status"]
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")), flush=True)
os.execvp("grep", show)
"""


def test_the_five_sets_over_an_execve_are_those_of_a_run():
    drawn = re.findall(r"^(\w+) +(\w+) [^\n]*▶ (\w+)$|^(\w+) +(\w+) [^\n]*▶ (\w+)$",
                       drawing("execve"), re.M)
    rows = [[word for word in row if word] for row in drawn]
    names = ["inheritable", "permitted", "effective", "bounding", "ambient"]
    assert [row[0] for row in rows] == 2 * names
    for half, emptied in ((rows[:5], "two"), (rows[5:], "all")):
        run = subprocess.run(["unshare", "--user", "--map-root-user", "/usr/bin/python3", "-c", EXECVE,
                              emptied], text=True, capture_output=True, check=True).stdout
        before, *after = run.splitlines()
        assert [int(row[1], 16) for row in half] == [int(word, 16) for word in before.split()]
        assert [int(row[2], 16) for row in half] == [int(line.split()[1], 16) for line in after]


def way(profile, number, *arguments):
    """What a filter of ours asks about a call, an instruction a row; and of how many there are."""
    code = bpf.compiled((CHECKOUT / f"crabcan_steps/seccomp/profiles/{profile}.json").read_bytes())
    architecture, = struct.unpack_from("I", code, 12)
    words = [word & (1 << 64) - 1 for word in (*arguments, *[0] * 6)[:6]]
    data = struct.pack("iIQ6Q", number, architecture, 0, *words)
    value = at = 0
    rows = []
    while True:
        operation, yes, no, k = struct.unpack_from("HBBI", code, 8 * at)
        at += 1
        if operation & 7 == 5:  # a jump
            holds = {0x05: True, 0x15: value == k, 0x25: value > k, 0x35: value >= k}[operation]
            at += k if operation == 5 else yes if holds else no
            rows.append(("above" if operation == 0x25 else "is it" if operation == 0x15 else "", k, holds))
        elif operation == 0x06:
            return [*rows, ("answer", k, True)], len(code) // 8, architecture
        else:
            value = struct.unpack_from("I", data, k)[0] if operation == 0x20 else value & k
            rows.append(("load", k, None))


X86 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="drawn for x86-64")


@X86
def test_the_card_and_the_two_filters_are_those_of_a_call():
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, "openat")
    text = drawing("card")
    for profile in "allow-list", "deny-list":
        rows, size, architecture = way(profile, number, -100, 0x7F0000001000, os.O_RDONLY)
        assert f"{len(rows)} of {size} instructions" in text
        assert rows[-1][1] == 0x7FFF0000  # SECCOMP_RET_ALLOW
    assert re.search(rf"number +{number} ", text) and re.search(rf"architecture +{architecture:x} ", text)


@X86
def test_the_way_through_the_filter_is_that_of_the_call():
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, "openat")
    rows, *_ = way("allow-list", number)
    text = drawing("filter")
    lines = re.findall(r"^ ?(\d+) (.+)$", text, re.M)
    assert [int(count) for count, _ in lines] == [*range(1, len(rows) + 1)]
    drawn = re.findall(r"(above|is it) (\d+)\? (yes|no)", text)
    asked = [(kind, str(k), "yes" if holds else "no") for kind, k, holds in rows[5:-1]]
    assert drawn == asked and f"openat, {number}" in text
    low, high = 0, 400
    for kind, k, answer in drawn[:-1]:
        low, high = (int(k) + 1, high) if answer == "yes" else (low, int(k))
        bar = re.search(rf"{kind} {k}\? {answer} *(━+)", text)
        column = bar.start(1) - text.rfind("\n", 0, bar.start()) - 20  # the axis begins at the 19th
        assert (column, len(bar[1])) == (int(low / 12.5), int(high / 12.5) + 1 - int(low / 12.5))


def test_the_limits_are_those_of_a_run(root):
    first, second = drawing("cgroups").split("version 2:")
    options = {"memory": 64 << 20, "pids": 20, "cpus": 0.5}
    for text, version in ((second, 0), (first, 1)):
        for option, value in options.items():
            for file, words in ch08_cgroups.LIMITS[option][version][1].items():
                said = words.format(value=value, microseconds=int(value * 100_000))
                assert re.search(rf"{re.escape(file)} +{said}\n", text), file
    with waiting(root, 8, "--memory", "64M", "--pids", "20", "--cpus", "0.5") as running:
        running.ready()
        for controllers, path in observe.cgroups(running.init).items():
            for folder in {f"/sys/fs/cgroup/{controllers}{path}", f"/sys/fs/cgroup{path}"}:
                for file, said in re.findall(r"^[│ ]+([a-z]+\.\S+) +([\d ]+)$", second if UNIFIED else first,
                                             re.M):
                    if "crabcan" in path and os.path.exists(f"{folder}/{file}"):
                        options.setdefault(file, Path(folder, file).read_text().strip() == said.strip())
    held = {file: same for file, same in options.items() if "." in file}
    assert len(held) >= 4 and all(held.values()), held


def test_the_ring_counts_as_rlimits_do(root):
    each = int(re.match(r".*?(\d+) files", drawing("ring"), re.S)[1])
    result = root.crabcan("step", 8, "--", "sh", "-c", "ulimit -n")
    assert int(result.stdout) == each
    processes, files = map(int, re.search(r"(\d+) of them: (\d+) files", drawing("ring")).groups())
    assert processes * each == files and f"pids.max {processes} " in drawing("ring")


def said(name):
    """The words on the arrows of a picture, from above."""
    return re.findall(r'[─╌] ("?[a-z][\w:" ]*?) ?(?=[─╌╂]|$)', drawing(name), re.M)


def test_the_two_processes_that_create_and_start_are_those_of_a_run(root, tmp_path):
    """strace follows the child of `create` into the time of `start`."""
    engine, log = Engine(root, tmp_path), tmp_path / "log"
    config = engine.bundle("true")
    engine.write(config | {"hooks": {"createRuntime": [{"path": "/usr/bin/true"}]}})
    calls = "trace=clone3,write,read,rename,renameat,renameat2,accept,accept4,execve"
    tracer = subprocess.Popen(["strace", "-f", "-s", "99", "-o", log, "-e", calls, *engine.words, "create",
                               "--bundle", str(engine.box), "one"], env=root.environment, stdin=subprocess.DEVNULL)
    assert wait_for(lambda: (engine.root / "one/state.json").exists(), 30)
    assert wait_for(lambda: "exited with 0" in log.read_text() and "accept" in log.read_text(), 30)
    engine.does("start", "one")
    tracer.wait(60)
    text = log.read_text()
    engine.does("delete", "--force", "one")
    words = said("create")
    assert words == ["clone3", '"go"', '"hooks"', '"go on"', '"ready"', '"start"', "the socket closes"]
    at, creator = 0, re.match(r"\d+", text)[0]
    steps = [r"clone3\([^\n]*CLONE_NEWPID", r'write\(\d+, "go"', r'write\(\d+, "hooks"', r'write\(\d+, "go on"',
             r'write\(\d+, "ready"', r'rename\w*\([^\n]*"state\.json"', rf"{creator} +\+\+\+ exited with 0",
             r'read\(\d+, "start"|"start", \d', r'execve\("/usr/bin/true", \["true"\]']
    assert all(word in "".join(steps) for word in words[:-1])
    for step in steps:
        found = re.compile(step).search(text, at)
        assert found, f"{step}\nnot in\n{text[at:]}"
        at = found.end()


def test_who_waits_for_whom_is_so_in_a_run(root, tmp_path):
    """We are conmon, and do what is on the arrows, one after another."""
    engine = Engine(root, tmp_path)
    engine.bundle("sh", "-c", "exit 7")
    with subreaper():
        engine.create("one", "--pid-file", tmp_path / "pid")  # create, clone3, ends: 0
        pid = int((tmp_path / "pid").read_text())             # pid
        status = Path(f"/proc/{pid}/status").read_text()
        assert f"PPid:\t{os.getpid()}\n" in status            # its child now
        engine.does("start", "one")                           # start, "start", ends: 0
        assert ended(pid) == 7                                # exit status
        engine.does("delete", "one")                          # delete, ends: 0; status
    assert said("shim") == ["starts", "create", "clone3", "ends: 0", "pid", "its child now", "start", '"start"',
                            "ends: 0", "exit status", "delete", "ends: 0", "status"]
