"""Chapter 1: what stands in the Spec reaches the program, and nothing else does."""
import os
import subprocess

import pytest

from conftest import closes
from crabcan_steps import ch01_args

ORIGINAL = ["--debug", "-u", "0", "-m", "./mountdir/", "-c", "/bash", "-a", "/lib64:/lib64",
            "-a", "/lib:/lib"]


def test_the_caller_s_environment_stays_outside(matrix):
    closes(matrix, "environ", 1)


def test_the_original_s_options_mean_what_they_meant():
    spec = ch01_args.parse(ORIGINAL)
    assert spec.debug and spec.uid == 0 and spec.mount == "./mountdir/"
    assert spec.command == ("/bash",)
    assert spec.add == [("/lib64", "/lib64", False), ("/lib", "/lib", False)]


def test_a_string_is_split_as_a_shell_does():
    spec = ch01_args.parse(["-c", "sh -c 'echo \"a  b\"'"])
    assert spec.command == ("sh", "-c", 'echo "a  b"')


def test_options_end_at_the_command():
    spec = ch01_args.parse(["-d", "ls", "-l", "--memory"])
    assert spec.command == ("ls", "-l", "--memory") and spec.debug


def test_only_what_stands_in_the_environment(who):
    result = who.crabcan("step", "1", "-e", "A=b=c", "--", "/usr/bin/env")
    assert dict(line.split("=", 1) for line in result.stdout.splitlines()) == {
        "A": "b=c", "HOME": "/root", "PATH": ch01_args.PATH}


def test_no_descriptor_slips_through(who):
    with open("/etc/hostname") as file:
        result = subprocess.run(who.command("run", "--", "ls", "/proc/self/fd"), text=True,
                                env=who.environment, pass_fds=[file.fileno()], capture_output=True)
    assert result.stdout.split() == ["0", "1", "2", "3"], result.stderr  # 3: ls reads the directory


def test_no_ignored_signal_slips_through(who):
    result = who.crabcan("run", "--", "grep", "-E", "SigIgn|SigBlk", "/proc/self/status",
                         preexec_fn=lambda: os.system("true"))
    assert {line.split()[1] for line in result.stdout.splitlines()} == {"0" * 16}


def test_it_starts_in_the_directory_asked_for(who):
    assert who.run("pwd") == "/\n"
    assert who.run("pwd", options=["-w", "/usr/bin"]) == "/usr/bin\n"


def test_the_caller_s_umask_does_not_matter(who):
    command = who.command("run", "--", "sh", "-c", "umask")
    result = subprocess.run(command, env=who.environment, text=True, capture_output=True, umask=0o777)
    assert result.stdout == "0022\n", result


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_become_dev_null_and_nothing_of_ours(who, closed, folder):
    """The next file that we open would get number 0, and go to the container."""
    inside = "for fd in 0 1 2; do readlink /proc/self/fd/$fd; done > /out/fds; ls /proc/self/fd | wc -w >> /out/fds"
    command = who.command("run", "-a", f"{folder}:/out", "--", "sh", "-c", inside)
    result = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *command], env=who.environment,
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lines = (folder / "fds").read_text().splitlines()
    assert result.returncode == 0
    assert lines[-1] == "4" and "/dev/null" in lines  # 0, 1, 2 and ls's own
    assert not any("socket" in line or "signalfd" in line for line in lines), lines
