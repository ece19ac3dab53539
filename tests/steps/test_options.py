"""What fingers type that know Docker: it works, or the one line that comes says what does."""
import os
import re
import subprocess

import pytest

from conftest import CHECKOUT
from crabcan_steps import ch01_args
from crabcan_steps.args import actions, options, values


def parse(*words):
    return ch01_args.parse([*words, "--", "true"])


def refusal(capsys, *words):
    """The line that refuses these words."""
    with pytest.raises(SystemExit) as end:
        parse(*words)
    assert end.value.code == 2
    text = capsys.readouterr().err
    assert len(text.splitlines()) == 1, text
    return text


# ---------------------------------------------------------------- values

@pytest.mark.parametrize("text, value", [
    ("1M", 1 << 20), ("64m", 64 << 20), ("2G", 2 << 30), ("1T", 1 << 40), ("3000K", 3000 << 10),
    ("2097152", 1 << 21), ("512mb", 512 << 20), ("512MiB", 512 << 20), ("1.5g", 3 << 29),
    (".5G", 1 << 29), ("2097152b", 1 << 21), ("4kib", 4096)])
def test_sizes(text, value):
    assert values.size(text) == value


@pytest.mark.parametrize("text, word", [
    ("", "such as"), ("M", "such as"), ("1.2.3M", "such as"), ("1e6", "such as"), ("-5", "such as"),
    ("²", "such as"), ("10ib", "such as"), ("64 M", "such as"), ("inf", "such as"), (".", "such as"),
    ("4095", "at least"), ("99999999999999G", "more than"), ("9" * 400, "more than")])
def test_sizes_that_are_none_say_why(capsys, text, word):
    assert word in refusal(capsys, "--memory", text)


def test_no_limit_has_several_names():
    for word in "max", "-1", "unlimited":
        assert parse("--pids-limit", word).pids is None and parse("--memory", word).memory is None


@pytest.mark.parametrize("words, expected", [
    (["-v", "/a:/b"], ("/a", "/b", False)), (["-v", "/a:/b:ro"], ("/a", "/b", True)),
    (["--volume=/a:/b:rw"], ("/a", "/b", False)), (["-v", "./a:/b:ro,z"], ("./a", "/b", True)),
    (["--mount", "type=bind,source=/a:b,target=/c"], ("/a:b", "/c", False)),
    (["--mount", "type=bind,src=/a,dst=/c,readonly"], ("/a", "/c", True)),
    (["--mount", "type=bind,src=/a,destination=/c,ro=true"], ("/a", "/c", True)),
    (["--mount", "type=bind,src=/a,target=/c,readonly=false"], ("/a", "/c", False))])
def test_a_path_of_the_host_s_in_each_tongue(words, expected):
    assert parse(*words).add == [expected]


def test_docker_s_mount_of_a_tmpfs_and_ours_of_the_root():
    spec = parse("--mount", "type=tmpfs,target=/x,tmpfs-size=5m,tmpfs-mode=700", "--mount", "/tmp")
    assert parse("--mount", "./a=b").mount == "./a=b" and parse("-m", "/r,x=y").mount == "/r,x=y"
    assert spec.tmpfs == [("/x", 0, {"size": str(5 << 20), "mode": "700"})] and spec.mount == "/tmp"


def test_letters_of_short_options_may_stand_together():
    assert parse("-it", "--rm", "-de", "A=1", "-u1000", "-w=/tmp").env == [("A", "1")]
    assert parse("-itd").debug


def test_h_alone_is_help_and_with_a_word_a_name(capsys):
    assert parse("-h", "box").hostname == "box"
    with pytest.raises(SystemExit) as end:
        ch01_args.parse(["-h"])
    assert end.value.code == 0 and "usage: crabcan run" in capsys.readouterr().out


def test_a_variable_by_name_alone_is_the_caller_s(monkeypatch):
    monkeypatch.setenv("MINE", "x=y")
    monkeypatch.delenv("NOBODY_S", raising=False)
    assert parse("-e", "MINE", "-e", "NOBODY_S", "-e", "A=").env == [("MINE", "x=y"), ("A", "")]


# ---------------------------------------------------------------- refusals

@pytest.mark.parametrize("words, cure", [
    (["--privileged"], "--layers all,-NAME"), (["--net", "hosts"], "container:NAME"),
    (["--network=container:"], "bridge"), (["-p", "80"], "8080:80"), (["-P"], "-p HOST:INSIDE"),
    (["--pid", "host"], "chapter 2"), (["--uts=host"], "--layers all,-hostname"),
    (["--detach"], "&"), (["--shm-size", "1g"], "--tmpfs /dev/shm:size="),
    (["-v", "data:/x"], "./data"), (["-v", "/data"], "--tmpfs /data"),
    (["--mount", "type=volume,source=a,target=/b"], "no volumes"), (["-m", "512m"], "--memory 512m"),
    (["-v", "/a:/b:nocopy"], "nocopy"), (["--mount", "type=bind,source=/a,target=/b,bind-nonrecursive"],
                                         "bind-nonrecursive"),
    (["--device", "/dev/null:/dev/x:r"], "mode"), (["--device", "/etc/passwd"], "/dev/NAME"),
    (["--security-opt", "no-new-privileges=false"], "no-new-privileges"),
    (["--caps", "podman"], "docker"), (["--ulimit", "files=3"], "nofile"), (["--ulimit", "core=9:3"], "above"),
    (["--cpus", "0.001"], "0.01"), (["-a", "/x:/proc"], "/proc"), (["-v", "/x:/proc/self"], "/proc"),
    (["--tmpfs", "/sys/fs/cgroup"], "/sys"), (["-a", "/x:/./proc//1"], "/proc"),
    (["--mount", "type=bind,source=/a,target=/proc/x"], "/proc"), (["--rm=yes"], "no value"),
    (["-u", "4294967295"], "4294967294"), (["-u", "a:b:c"], "USER:GROUP"), (["-u", ":5"], "USER:GROUP"),
    (["-h="], "letters"), (["-m=", "/tmp"], "empty"), (["-u", "٣"], "whole number"), (["-u", "a/b"], "name"), (["-u", "-5"], "from 0")])
def test_what_we_cannot_do_says_what_to_do(capsys, words, cure):
    assert cure in refusal(capsys, *words)


def test_an_option_without_its_value(capsys):
    with pytest.raises(SystemExit):
        ch01_args.parse(["--memory"])
    assert "--memory: wants SIZE" in capsys.readouterr().err


@pytest.mark.parametrize("word, near", [
    ("--memroy", "--memory"), ("--hostnme", "--hostname"), ("--mem", "--memory"), ("--usr", "--user"),
    ("--volumes", "--volume"), ("--readonly", "--read-only"), ("-memory", "--memory"), ("-rm", "--rm"),
    ("--read-onlyy=1", None), ("--entry", "--entrypoint"), ("--foo", None), ("--us", None), ("-x", None),
    ("--verbose", None), ("--isolation", None), ("--quiet", None), ("--no-healthcheck", None)])
def test_a_suggestion_only_if_it_is_close_and_of_the_same_kind(capsys, word, near):
    text = refusal(capsys, word)
    assert re.findall(r"did you mean (\S+)\?", text) == ([near] if near else []), text
    assert f"unknown option {word.split('=')[0]}" in text


# ---------------------------------------------------------------- the table

def test_every_name_is_there_once_and_help_tells_it_in_lines_of_100(capsys):
    names = [name for row in options.ROWS for name in row.names]
    assert len(names) == len(set(names)) == len(options.NAMED)
    told = options.told("crabcan run")
    assert max(map(len, told.splitlines())) <= 100
    for row in options.ROWS:
        assert bool(row.text) == (f"  {', '.join(row.names)} " in told), row.names
    spec = ch01_args.Spec()
    for field in ("tmpfs", "device", "init", "caps", "ulimit"):
        assert hasattr(spec, field)


def test_options_load_no_module_but_the_table(tmp_path):
    """argparse took 8 ms. What options cost, benchmarks/bench.py measures."""
    for name in ("proc", "sys", "dev"):
        (tmp_path / name).mkdir()
    words = ["-m", tmp_path, "--memory", "64M", "-e", "A=1", "-v", "/bin:/bin:ro", "--", "/bin/true"]
    result = subprocess.run(["/usr/bin/python3", "-I", "-S", "-X", "importtime", CHECKOUT / "crabcan_steps/runtime/launcher.py",
                             "step", "1", "--memory", "64M", "-e", "A=1", "--", "/bin/true"], text=True,
                            capture_output=True)
    assert "no effect" in result.stderr  # for --memory: read, and refused by the assembly
    loaded = set(re.findall(r"\| +(\S+)$", result.stderr, re.M))
    assert {"crabcan_steps.args.table", "crabcan_steps.args.options"} <= loaded and words
    assert not loaded & {"argparse", "re", "enum", "gettext", "functools", "collections", "difflib", "shlex"}


# ---------------------------------------------------------------- they do what they say

def test_a_path_with_a_colon_arrives(who, folder):
    (folder / "a:b").mkdir()
    (folder / "a:b/f").write_text("yes\n")
    words = f"type=bind,source={folder}/a:b,target=/mnt/x,readonly"
    assert who.run("sh", "-c", "cat /mnt/x/f; touch /mnt/x/g || echo no", options=["--mount", words]) == "yes\nno\n"


def test_an_empty_place_in_memory(who):
    script = "touch /x/f && grep ' /x ' /proc/mounts && stat -c %a /x"
    line, mode = who.run("sh", "-c", script, options=["--tmpfs", "/x:size=5m,mode=700"]).splitlines()
    assert "noexec" in line and "size=5120k" in line and "nodev" in line and mode == "700"
    line = who.run("sh", "-c", "grep ' /x ' /proc/mounts", options=["--tmpfs", "/x:exec"])
    assert "noexec" not in line
    shm = who.run("grep", " /dev/shm ", "/proc/mounts", options=["--tmpfs", "/dev/shm:size=9m"])
    assert "size=9216k" in shm.splitlines()[-1]


def test_a_word_said_twice_is_said_once(who):
    """Their numbers were added: nosuid, nodev and noexec were gone."""
    result = who.crabcan("run", "--tmpfs", "/x:ro,ro", "--", "grep", " /x ", "/proc/self/mounts")
    assert "ro,nosuid,nodev,noexec" in result.stdout, result
    assert who.crabcan("run", "--tmpfs", "/x:exec,exec", "--", "true").returncode == 0


def test_a_device_more(root):
    script = "echo x >/dev/a/null2 && stat -c %F /dev/a/null2"
    words = ["--device", "/dev/null:/dev/a/null2:rwm", "--device", "/dev/null"]
    result = root.crabcan("run", *words, "--", "sh", "-c", script)
    assert (result.stdout, result.stderr) == ("character special file\n", "")  # everybody may use it: nothing to tell
    result = root.crabcan("run", "--device", "/dev/shm", "--", "true")
    assert result.returncode == 125 and "is no device" in result.stderr
    result = root.crabcan("run", "--device", "/dev/nope", "--", "true")
    assert result.returncode == 125 and "--device /dev/nope" in result.stderr


def test_a_device_that_its_mode_keeps_from_everybody_inside_is_told(root):
    private = next(f"/dev/{name}" for name in sorted(os.listdir("/dev"))
                   if os.stat(f"/dev/{name}").st_mode & 0o170666 == 0o020600)
    result = root.crabcan("run", "--device", private, "--", "true")
    assert result.returncode == 0 and private in result.stderr and "--layers all,-namespaces" in result.stderr
    assert root.crabcan("run", "--layers", "all,-namespaces", "--device", private, "--", "true").stderr == ""


def test_entrypoint_is_the_first_word_and_says_so(who):
    result = who.crabcan("run", "--entrypoint", "echo", "--", "-n", "x")
    assert result.stdout == "x" and "--command" in result.stderr


def test_limits_soft_and_hard(who):
    out = who.run("sh", "-c", "grep -E 'core|open' /proc/self/limits; ulimit -S -n 60",
                  options=["--ulimit", "core=4096:8192", "--ulimit", "nofile=50:60"])
    assert re.findall(r"(\d+) +(\d+)", out) == [("4096", "8192"), ("50", "60")]
    result = who.crabcan("run", "--ulimit", "nofile=100:999999999", "--", "true")
    assert result.returncode == 125 and "hard limit" in result.stderr


@pytest.mark.parametrize("both, alone", [("96M", 32 << 20), ("64M", 0), ("max", 1 << 59)])
def test_memory_and_swap_together(who, both, alone):
    """Version 1 counts them together, version 2 apart."""
    who.need_cgroups()
    with who.start("run", "--memory", "64M", "--memory-swap", both, "--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        for line in open(f"/proc/{running.init}/cgroup"):
            _, controllers, path = line.rstrip().split(":", 2)
            for top, file, memory in ((f"/sys/fs/cgroup/{controllers}", "memory.memsw.limit_in_bytes", 64 << 20),
                                      ("/sys/fs/cgroup", "memory.swap.max", 0)):
                if controllers in ("", "memory") and os.path.exists(f"{top}{path}/{file}"):
                    limit = int(open(f"{top}{path}/{file}").read())
                    assert limit == memory + alone or limit > alone == 1 << 59
                    return
    pytest.skip("this kernel does not count swap")


@pytest.mark.parametrize("options", [["--memory", "64M", "--memory-swap", "10M"], ["--memory-swap", "10M"]])
def test_swap_without_room_for_memory(root, options):
    result = root.crabcan("run", *options, "--", "true")
    assert result.returncode == 125 and "--memory-swap" in result.stderr
    assert "at least" in result.stderr and ("(64M)" in result.stderr or "(1024M)" in result.stderr), result.stderr


def test_no_limit_on_processes(root):
    with root.start("run", "--pids", "max", "--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        path = next(line.rstrip().split(":", 2)[2] for line in open(f"/proc/{running.init}/cgroup")
                    if ":pids:" in line or line.startswith("0::"))
        for top in "/sys/fs/cgroup/pids", "/sys/fs/cgroup":
            if os.path.exists(f"{top}{path}/pids.max"):
                assert open(f"{top}{path}/pids.max").read() == "max\n"


def test_what_needs_a_layer_that_is_left_out_is_refused(root):
    for words, chapter, name in (
            ("--init", 2, "clone"), ("--hostname h", 3, "hostname"), ("--mount /srv", 4, "mounts"), ("--add /srv:/x", 4, "mounts"),
            ("--read-only", 4, "mounts"), ("--tmpfs /x", 4, "mounts"), ("--device /dev/full", 4, "mounts"),
            ("--uid 7", 5, "namespaces"), ("--user x", 5, "namespaces"), ("--caps docker", 6, "caps"),
            ("--cap-add CHOWN", 6, "caps"), ("--cap-drop CHOWN", 6, "caps"), ("--seccomp unconfined", 7, "seccomp"),
            ("--memory 64M", 8, "cgroups"), ("--memory-swap 64M", 8, "cgroups"), ("--pids 9", 8, "cgroups"),
            ("--cpus 1", 8, "cgroups"), ("--io-weight 9", 8, "cgroups"), ("--nofile 9", 8, "cgroups"),
            ("--ulimit core=0", 8, "cgroups")):
        result = root.crabcan("step", str(chapter - 1), *words.split(), "--", "true")
        said = f"{words.split()[0]} has no effect without chapter {chapter} ({name})"
        assert result.returncode == 2 and said in result.stderr, (words, result)
    assert root.crabcan("step", "1", "-u", "0", "--", "/bin/true").returncode == 0  # the original's


def test_low_ports_and_ping_need_no_power(who):
    script = ("import socket; s = socket.socket(); s.bind(('127.0.0.1', 80)); "
              "p = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); "
              "p.settimeout(5); p.sendto(b'\\x08' + bytes(15), ('127.0.0.1', 0)); print(p.recv(99)[0])")
    before = open("/proc/sys/net/ipv4/ip_unprivileged_port_start").read()
    assert who.run("/usr/bin/python3", "-c", script) == "0\n"  # an echo reply
    assert open("/proc/sys/net/ipv4/ip_unprivileged_port_start").read() == before


def test_useless_words_are_told_and_harmless(who):
    result = who.crabcan("run", "--name", "x", "-v", "/usr:/mnt:ro,z", "--label", "a=b", "--", "echo", "ran")
    assert result.stdout == "ran\n"
    assert [word for word in ("--name", "'z'", "--label") if word in result.stderr] == ["--name", "'z'", "--label"]
    assert actions.HELD[0] == "no-new-privileges"
    assert who.crabcan("run", "--security-opt", "no-new-privileges", "--net", "none", "--pid=private", "-i", "-t",
                       "--", "true").returncode == 0
