"""One line on stderr that names option, value and what is wrong; 2 for usage, else 125."""
import pytest


@pytest.mark.parametrize("options, status, words", [
    (["-a", "x"], 2, ["--add", "'x'"]), (["-a", "/etc:x"], 2, ["absolute"]),
    (["-a", "/etc:/a/../b"], 2, [".."]), (["-a", "/nope:/y"], 125, ["--add /nope:/y"]),
    (["-m", "/nope"], 125, ["--mount /nope"]), (["-m", "/etc/passwd"], 125, ["--mount /etc/passwd"]),
    (["-u", "-1"], 2, ["--uid", "-1"]), (["-u", "x"], 125, ["--user x", "root, nobody"]),
    (["-u", "4000000000"], 125, ["--uid 4000000000"]),
    (["--hostname", ""], 2, ["--hostname"]), (["--hostname", "a" * 65], 2, ["64"]),
    (["--hostname", "a\nb"], 2, ["--hostname"]), (["--memory", "abc"], 2, ["--memory", "abc"]),
    (["--memory", "0"], 2, ["--memory"]), (["--memory=-5"], 2, ["--memory"]),
    (["--pids", "0"], 2, ["--pids"]), (["--cpus", "nan"], 2, ["--cpus", "nan"]),
    (["-w", "/nope"], 125, ["/nope", "--workdir"]), (["--memroy", "5M"], 2, ["--memory?"]),
    (["--layers", "seccmp"], 2, ["seccmp"]), (["-e", "=x"], 2, ["--env"]), (["-c", "'"], 2, ["--command"]),
    (["--seccomp", "/nope"], 125, ["--seccomp /nope"]),
    (["--trace", "/nope/x"], 125, ["--trace /nope/x"]),
])
def test_options(who, options, status, words):
    result = who.crabcan("run", *options, *([] if "-c" in options else ["true"]))
    lines = [line for line in result.stderr.splitlines() if "default limits" not in line]
    assert result.returncode == status, result.stderr
    assert len(lines) == 1 and all(word in lines[0] for word in words), result.stderr


@pytest.mark.parametrize("args", [[], ["rnu"], ["step"], ["step", "0"], ["step", "99"],
                                  ["run", ""], ["run", "-c", ""], ["run", "-c", "a", "b"],
                                  ["step", "3", "--memory", "5M", "true"]])
def test_usage(root, args):
    result = root.crabcan(*args)
    assert result.returncode == 2 and result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize("loader, cure", [
    ("/opt/perl6/bin/perl6 -w", "--add /opt/perl6/bin:/opt/perl6/bin"), ("/interp", "--add /interp:/interp")])
def test_a_missing_loader_s_cure_can_be_typed(who, folder, loader, cure):
    script = folder / "script"
    script.write_text(f"#!{loader}\n")
    script.chmod(0o755)
    result = who.crabcan("run", "--add", f"{script}:/mnt/script", "--", "/mnt/script")
    assert result.returncode == 127 and f"loader {loader.split()[0]} is not" in result.stderr
    assert f"for example {cure}\n" in result.stderr
