"""config.json: what is understood, what is refused, and with which words. Real engines' ones, too."""
import copy
import json
import os
import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crabcan_steps import ch06_caps
from crabcan_steps.oci import config, fields, fields_linux, form, sysctl
from crabcan_steps.oci.commands.exec import check as check_process

SPACES = [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network")]
PLAIN = {"ociVersion": "1.2.0", "root": {"path": "rootfs"}, "process": {"cwd": "/", "args": ["sh"]},
         "linux": {"namespaces": SPACES}}


def put(words, path, value):
    """Sets what a path such as linux.namespaces[2].type leads to, making what is not there."""
    parts = path.replace("[", ".[").split(".")
    for part, after in zip(parts, parts[1:]):
        empty = [] if after.startswith("[") else {}
        if part.startswith("["):
            index = int(part[1:-1])
            words.extend({} for _ in range(index + 1 - len(words)))
            words = words[index]
        else:
            words = words.setdefault(part, empty)
    if parts[-1].startswith("["):
        words.insert(int(parts[-1][1:-1]), value)
    else:
        words[parts[-1]] = value


def with_(**changes):
    words = copy.deepcopy(PLAIN)
    for path, value in changes.items():
        put(words, path, value)
    return words


def refused(words):
    """What is said about a configuration that is refused: one line."""
    with pytest.raises(config.Invalid) as error:
        config.check(words)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("path, value, words", [
    ("linux.namespaces[2].type", "netwrok", "'netwrok' is none of cgroup, ipc, mount, network, pid, "),
    ("ociVersion", "2.0.0", "only versions 1.x"), ("ociVersion", "1.0", "no version"),
    ("ociVersion", None, "is missing"), ("ociVersion", 1, "must be a string, not 1"),
    ("root", None, "is missing"), ("root.path", "", "is empty"), ("root.readonly", "yes", "true or false"),
    ("process", None, "is missing"), ("process.cwd", "tmp", "must be an absolute path, not 'tmp'"),
    ("process.cwd", None, "is missing"), ("process.args", [], "with the program first"),
    ("process.args", "sh", "must be a list, not 'sh'"), ("process.args[1]", 3, "must be a string, not 3"),
    ("process.args[1]", "a\0b", "NUL"), ("process.args[1]", "\ud800", "UTF-8"),
    ("process.args[0]", "", "is empty"), ("process.env[0]", "A", "NAME=VALUE"),
    ("process.env[0]", "=A", "NAME=VALUE"), ("process.user.uid", -1, "from 0 to 4294967294, not -1"),
    ("process.user.uid", True, "a whole number"), ("process.user.uid", 1.0, "a whole number"),
    ("process.user.additionalGids[0]", 2**32, "from 0 to"), ("process.user.umask", 0o1000, "from 0 to 511"),
    ("process.oomScoreAdj", 1001, "from -1000 to 1000"),
    ("process.capabilities.bounding[0]", 1, "must be a string"),
    ("process.rlimits[0]", {"soft": 1, "hard": 1}, "type: is missing"),
    ("process.consoleSize", {"height": 1}, "width: is missing"),
    ("process.scheduler", {"policy": "SCHED_X"}, "policy: 'SCHED_X' is none of SCHED_OTHER"),
    ("process.scheduler", {"policy": "SCHED_OTHER", "nice": 20}, "nice: must be from -20"),
    ("process.scheduler", {"policy": "SCHED_OTHER", "priority": 2}, "priority: means nothing"),
    ("process.scheduler", {"policy": "SCHED_FIFO", "period": 2}, "period: means nothing"),
    ("process.scheduler", {"policy": "SCHED_DEADLINE", "deadline": 2000}, "SCHED_DEADLINE wants 1024 <= runtime"),
    ("process.scheduler", {"policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 3000, "period": 2500}, "<= period"),
    ("process.scheduler", {"policy": "SCHED_RR", "flags": ["X"]}, "flags[0]: 'X' is none of"),
    ("process.ioPriority", {"class": "RT"}, "class: 'RT' is none of IOPRIO_CLASS_RT"),
    ("process.ioPriority", {"class": "IOPRIO_CLASS_RT", "priority": 8}, "priority: must be"),
    ("process.execCPUAffinity.final", "0-x", "no list such as"),
    ("process.execCPUAffinity.final", "0-99999", "no range from 0"),
    ("process.execCPUAffinity.initial", "3-1", "3-1 is no range"),
    ("mounts[0].destination", "", "is empty"), ("mounts[0]", {"type": "proc"}, "destination: is missing"),
    ("mounts[0]", {"destination": "/x", "options": ["idmap"]}, "idmap by which map"),
    ("mounts[0]", {"destination": "/x", "uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]},
     "gidMappings: is missing"),
    ("hooks.prestart[0].path", "x", "absolute path"),
    ("hooks.poststop[0]", {"path": "/x", "timeout": 0}, "timeout: must be above 0"),
    ("hooks.poststop[0]", {"path": "/x", "args": [1]}, "args[0]: must be a string"),
    ("annotations", {"a": 1}, "annotations.a: must be a string"),
    ("hostname", "a\0", "NUL"), ("linux.namespaces[5].type", "pid", "pid is there twice"),
    ("linux.namespaces[0].path", "x", "absolute path"),
    ("linux.uidMappings", [{"containerID": 0, "hostID": 0, "size": 1}], "needs a user namespace"),
    ("linux", {"namespaces": [{"type": "user"}]}, "uidMappings: is missing: a new user namespace"),
    ("linux.timeOffsets", {"monotonic": {"secs": 1}}, "needs a time namespace"),
    ("linux.timeOffsets", {"realtime": {}}, "is none of boottime, monotonic"),
    ("linux.timeOffsets.monotonic.nanosecs", 10**9, "from 0 to 999999999"),
    ("linux.devices[0]", {"type": "d", "path": "/dev/x"}, "type: 'd' is none of b, c, p, u"),
    ("linux.devices[0]", {"type": "c", "path": "/dev/x"}, "major: is missing"),
    ("linux.devices[0]", {"type": "c", "path": "x", "major": 1, "minor": 1}, "path: must be an absolute"),
    ("linux.devices[0]", {"type": "c", "path": "/x", "major": 4096, "minor": 1}, "from 0 to 4095"),
    ("linux.netDevices", {"a/b": {}}, "no name of a network device"),
    ("linux.netDevices", {"eth0": {"name": "x" * 16}}, "no name of a network device"),
    ("linux.rootfsPropagation", "public", "'public' is none of private, rprivate"),
    ("linux.maskedPaths[0]", "proc", "absolute path"),
    ("linux.personality", {"domain": "BSD"}, "none of LINUX, LINUX32"),
    ("linux.personality", {"domain": "LINUX", "flags": ["X"]}, "flags[0]: 'X' is not known: there is none"),
    ("linux.memoryPolicy", {"mode": "MPOL_BIND"}, "nodes: is missing"),
    ("linux.memoryPolicy", {"mode": "MPOL_LOCAL", "nodes": "0"}, "nodes: means nothing"),
    ("linux.intelRdt.closID", "../x", "no name of a directory"),
    ("linux.intelRdt.schemata[0]", "L3:\nx", "one line"),
    ("linux.resources.devices[0]", {"access": "r"}, "allow: is missing"),
    ("linux.resources.devices[0]", {"allow": True, "access": "rx"}, "is not made of r, w, m"),
    ("linux.resources.memory.limit", 2**63, "from -9223372036854775808"),
    ("linux.resources.memory.limit", "1G", "must be a whole number"),
    ("linux.resources.hugepageLimits[0]", {"pageSize": "../2MB", "limit": 1}, "no size such as"),
    ("linux.resources.unified", {"../x.y": "1"}, "no name of a cgroup's file"),
    ("linux.resources.rdma", {"mlx": {}}, "needs hcaHandles"),
    ("linux.resources.blockIO.weightDevice[0]", {"major": 8, "minor": 0}, "needs weight"),
    ("linux.resources.blockIO.throttleReadBpsDevice[0]", {"major": 8, "minor": 0}, "rate: is missing"),
    ("linux.resources.cpu.cpus", "0;1", "no list"),
    ("linux.resources.network.priorities[0]", {"name": "eth0"}, "priority: is missing")])
def test_what_is_wrong_is_refused_by_its_place(path, value, words):
    said = refused(with_(**{path: value}))
    assert said.startswith(path) and words in said, said


RULE = {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}
NOTIFY = {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}


@pytest.mark.parametrize("seccomp, words", [
    ({"syscalls": [RULE]}, "defaultAction: is missing"),
    ({"defaultAction": "X"}, "defaultAction: 'X' is none of SCMP_ACT_ALLOW"),
    ({"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/x"}, "defaultAction: SCMP_ACT_NOTIFY cannot"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}, "SCMP_ACT_ALLOW returns no errno"),
    ({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4095}, "from 0 to 4094"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [RULE | {"names": []}]}, "at least one"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [NOTIFY]}, "listenerPath: is missing"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/x", "syscalls": [NOTIFY | {"names": ["write"]}]},
     "SCMP_ACT_NOTIFY cannot be used for the write syscall"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}, "nothing without listenerPath"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["X"]}, "flags[0]: 'X' is none of SECCOMP_FILTER"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["amd64"]}, "architectures[0]: 'amd64' is none"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [RULE | {"args": [{"index": 6}]}]},
     "syscalls[0].args[0].index: must be a whole number from 0 to 5, not 6"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [RULE | {"args": [
        {"index": 0, "value": 1, "op": "=="}]}]}, "op: '==' is none of SCMP_CMP_EQ")])
def test_filters_that_cannot_be(seccomp, words):
    assert words in refused(with_(**{"linux.seccomp": seccomp}))


def extent(inside, outside, size):
    return {"containerID": inside, "hostID": outside, "size": size}


@pytest.mark.parametrize("extents, words", [
    ([extent(0, 0, 0)], "uidMappings[0].size: must be above 0"),
    ([extent(0, 1000, 10), extent(5, 5000, 10)], "uidMappings[1].containerID: overlaps with linux.uid"),
    ([extent(0, 1000, 10), extent(10, 1005, 10)], "uidMappings[1].hostID: overlaps"),
    ([extent(0, 2**32 - 5, 10)], "uidMappings[0].size: 10 are too many"),
    ([extent(i, i, 1) for i in range(341)], "341 extents, and the kernel takes 340")])
def test_id_maps_that_the_kernel_would_not_take(extents, words):
    words_ = with_(**{"linux.namespaces[5].type": "user", "linux.gidMappings": [extent(0, 0, 1)],
                      "linux.uidMappings": extents})
    assert words in refused(words_)
    words_["linux"]["uidMappings"] = [extent(0, 1000, 10), extent(10, 5000, 10)]
    assert config.check(words_) == []


@pytest.mark.parametrize("name, space", [
    ("net.ipv4.ip_forward", "network"), ("net/ipv4/conf/eno2.100/rp_filter", "network"),
    ("kernel.shmmax", "ipc"), ("kernel.msgmax", "ipc"), ("kernel.sem", "ipc"),
    ("fs.mqueue.msg_max", "ipc"), ("kernel.domainname", "uts"), ("user.max_user_namespaces", "user"),
    ("kernel.panic", None), ("vm.swappiness", None), ("net.ipv4/../../kernel/panic", ""),
    ("net/../kernel/panic", ""), ("fs.mqueue./../x", ""), ("kernel", "")])
def test_only_parameters_of_namespaces_that_it_has(name, space):
    words = with_(**{"linux.sysctl": {name: "1"}})
    words["linux"]["namespaces"] = []
    said = refused(words)
    assert said.startswith(f"linux.sysctl.{name}: ")
    words["linux"]["namespaces"] = [{"type": kind} for kind in fields_linux.NAMESPACES]
    put(words, "linux.uidMappings", [extent(0, 0, 1)])
    put(words, "linux.gidMappings", [extent(0, 0, 1)])
    if space:
        assert f"needs a {space} namespace" in said
        config.check(words)
        words["linux"]["namespaces"] = [x for x in words["linux"]["namespaces"] if x["type"] != space]
    assert refused(words)
    assert space != "" or sysctl.path_of(name) is None


def test_a_parameter_of_the_host_s_network_by_a_path():
    words = with_(**{"linux.sysctl": {"net.ipv4.ip_forward": "1"}})
    words["linux"]["namespaces"][4]["path"] = "/proc/self/ns/net"
    assert "whose network namespace is joined" in refused(words)


def test_a_dot_in_the_name_of_a_device():
    assert sysctl.path_of("net.ipv4.conf.eno2/100.rp_filter") == "net/ipv4/conf/eno2.100/rp_filter"
    assert sysctl.path_of("net/ipv4/conf/eno2.100/rp_filter") == "net/ipv4/conf/eno2.100/rp_filter"


def test_rlimits():
    limit = {"type": "RLIMIT_CORE", "soft": 1, "hard": 2}
    assert "rlimits[1].type: RLIMIT_CORE is there twice" in refused(with_(**{"process.rlimits": [limit] * 2}))
    assert "soft: 3 is above hard" in refused(with_(**{"process.rlimits": [limit | {"soft": 3}]}))
    config.check(with_(**{"process.rlimits": [limit | {"hard": 2**64 - 1}]}))


@pytest.mark.parametrize("path, kind, value", [
    ("hostname", "uts", "box"), ("domainname", "uts", "box"), ("linux.maskedPaths", "mount", ["/proc/kcore"]),
    ("linux.readonlyPaths", "mount", ["/proc/sys"]), ("linux.netDevices", "network", {"eth7": {}})])
def test_what_needs_a_namespace(path, kind, value):
    words = with_(**{path: value})
    if path not in config.NOBODYS:
        assert config.check(words) == []
    words["linux"]["namespaces"] = [space for space in SPACES if space["type"] != kind]
    assert refused(words) == f"{path}: needs a {kind} namespace in linux.namespaces, or it would be the host's"


def test_null_and_unknown_words_are_as_if_not_said(tmp_path):
    words = copy.deepcopy(PLAIN) | {"hooks": None, "vendor": {"process": 7}}
    words["process"]["user"], words["linux"]["resources"] = None, {"memory": {"limit": None}}
    assert config.check(words) == []
    read = config.parse(json.dumps(words).encode())
    assert "hooks" not in read and read["linux"]["resources"] == {"memory": {}}
    words["root"]["path"] = None
    assert refused(words) == "root.path: is missing"


def test_a_relative_destination_is_a_warning():
    (warning,) = config.check(with_(**{"mounts[0].destination": "proc"}))
    assert warning.startswith("mounts[0].destination: 'proc'")


def test_parts_for_exec_and_update():
    check_process(PLAIN["process"])
    config.check_resources({"memory": {"limit": -1}})
    for call, words, said in ((check_process, {"args": ["x"]}, "process.cwd: is missing"),
                              (check_process, [], "process: must be an object, not []"),
                              (config.check_resources, {"pids": 3}, "linux.resources.pids: must be an object")):
        with pytest.raises(config.Invalid, match=said.replace("[]", r"\[\]")):
            call(words)


# ---------------------------------------------------------------- the file

@pytest.mark.parametrize("data, words", [
    (b"", "line 1 column 1"), (b"{", "line 1 column 2"), (b"[]", "must be an object, not []"),
    (b"null", "must be an object"), (b'{"a": 1, "a": 2}', "'a' is said twice"),
    (b'{"a": NaN}', "NaN is no number"), (b'{"a": \xff}', "byte 6 is not UTF-8"),
    ("{}".encode("utf-16"), "byte 0 is not UTF-8"), (b'{"a": ' + b"1" * 5000 + b"}", "thousands of digits"),
    (b'{"a":' * 90 + b"[" * 5000, "nested too deep"),
    (b'{"a":' + b"[" * 600 + b"]" * 600 + b"}", "nested too deep"), (b'{"a": 1} x', "Extra data")])
def test_files_that_cannot_be(tmp_path, data, words):
    path = tmp_path / "config.json"
    path.write_bytes(data)
    with pytest.raises(config.Invalid) as error:
        config.load(str(path))
    assert words in str(error.value) and str(error.value).startswith(str(path))


def test_no_file_is_waited_for(tmp_path):
    path = str(tmp_path / "config.json")
    os.mkfifo(path)
    with pytest.raises(config.Invalid, match="no regular file"):
        config.load(path)
    with pytest.raises(config.Invalid, match="no regular file"):
        config.load("/dev/zero")
    with pytest.raises(config.Invalid, match="no regular file"):
        config.load(str(tmp_path))
    with pytest.raises(FileNotFoundError) as error:
        config.load(str(tmp_path / "none"))
    assert error.value.filename == str(tmp_path / "none") and error.value.call == "open"
    with open(tmp_path / "large", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(config.Invalid, match="more than 16 MiB"):
        config.load(str(tmp_path / "large"))


def test_a_pipe_that_somebody_names_is_read():
    inner, outer = os.pipe()
    os.write(outer, b'{"cwd": "/", ')
    timer = threading.Timer(0.2, lambda: (os.write(outer, b'"args": ["sh"]}'), os.close(outer)))
    timer.start()
    assert config.load(f"/dev/fd/{inner}", streams=True) == PLAIN["process"]
    timer.join()
    os.close(inner)
    with pytest.raises(config.Invalid, match="more than 16 MiB"):
        config.load("/dev/zero", streams=True)
    with pytest.raises(config.Invalid, match="no regular file"):
        config.load("/", streams=True)


# ---------------------------------------------------------------- the table

def test_the_table_is_whole():
    """Each row has a sentence and a type that is checked; what it is part of is there, too."""
    paths = [row[0] for row in config.TABLE]
    assert len(paths) == len(set(paths)) > 200
    for path, kind, allowed, by, does in config.TABLE:
        above = path.rpartition(".")[0].removesuffix(".*").removesuffix("[]")
        assert above in (*paths, ""), path
        assert kind.rstrip("!").rpartition(" of ")[2] in form.NOUNS, path
        assert by and does and not does.endswith("."), path


def test_what_nobody_acts_on_is_refused():
    for path, value in (("linux.intelRdt", {"closID": "x"}), ("linux.netDevices", {"eth7": {}}),
                        ("linux.memoryPolicy", {"mode": "MPOL_LOCAL"})):
        if path in config.NOBODYS:
            assert refused(with_(**{path: value})) == f"{path}: is known, but nothing here acts on it"


def test_capabilities_are_those_of_chapter_6():
    assert {name.removeprefix("CAP_"): i for i, name in enumerate(fields.CAPABILITIES)} == ch06_caps.KNOWN


# ---------------------------------------------------------------- anything

HINTS = [st.none(), st.booleans(), st.integers(-2, 2**64), st.floats(), st.text(max_size=5),
         st.sampled_from(["/", "a=b", "1.2.0", "/proc", *fields_linux.NAMESPACES, *fields_linux.ACTIONS])]
JSON = st.recursive(st.one_of(HINTS), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.text(max_size=5), inner, max_size=3), max_leaves=6)


def concrete(path):
    return path.replace("[]", "[0]").replace("*", "key")


@settings(max_examples=1500, deadline=None)
@example({"linux.resources.rdma": {"\n": None}})
@given(st.dictionaries(st.sampled_from([concrete(row[0]) for row in config.TABLE]), JSON, max_size=6))
def test_never_a_traceback(changes):
    """Anything at any place: it is understood or refused in one line."""
    words = copy.deepcopy(PLAIN)
    for path, value in changes.items():
        try:
            put(words, path, value)
        except (AttributeError, TypeError, KeyError):
            pass  # below something of another type
    linux = words["linux"] if type(words["linux"]) is dict else {}
    for check, part in ((config.check, words), (check_process, words["process"]),
                        (config.check_resources, linux.get("resources"))):
        try:
            check(part)
        except config.Invalid as error:
            assert "\n" not in str(error)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40) | JSON.map(lambda words: json.dumps(words).encode()))
def test_any_bytes(data):
    try:
        assert type(config.parse(data)) is dict
    except config.Invalid as error:
        assert str(error).startswith("config.json: ")
