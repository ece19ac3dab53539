"""The Tab key, in three shells, asked as they ask."""
import os
import pty
import select
import shutil
import subprocess
import time

import pytest

from conftest import CHECKOUT
from crabcan_steps.args import options
from crabcan_steps.runtime import completion


@pytest.mark.parametrize("words, expected", [
    ([], list(completion.COMMANDS)), (["st"], ["step"]),
    (["run", "--me"], ["--memory", "--memory-swap"]), (["--me"], ["--memory", "--memory-swap"]),
    (["step", "3", "--hostn"], ["--hostname"]), (["step", ""], [*"123456789", "10", "11", "12"]),
    (["run", "--seccomp", "d"], ["default", "deny-list"]), (["run", "--seccomp=un"], ["--seccomp=unconfined"]),
    (["run", "--cap-add", "NET_B"], ["NET_BIND_SERVICE", "NET_BROADCAST"]),
    (["run", "--cap-add", "CHOWN,PERF"], ["CHOWN,PERFMON"]), (["run", "--layers", "all,-sec"], ["all,-seccomp"]),
    (["run", "--caps", "docker", "-d", "--rea"], ["--read-only"]), (["completion", "f"], ["fish"]),
    (["run", "-m", ""], []), (["run", "ls", "--me"], []), (["run", "--", "--me"], []), (["run", ""], []),
    (["run", "-e", "A=1", "--priv"], [])])
def test_what_a_word_may_become(words, expected):
    assert list(completion.candidates(words)) == expected


def test_every_option_of_the_help_is_there():
    names = [name for row in options.ROWS if row.text for name in row.names]
    assert set(completion.candidates(["run", "-"])) == set(names)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "crabcan").write_text(f'#!/bin/sh\nexec /usr/bin/python3 -I -S {CHECKOUT}/crabcan_steps/runtime/launcher.py "$@"\n')
    (tmp_path / "crabcan").chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def test_bash(path):
    script = 'eval "$(crabcan completion bash)"; complete -p crabcan; t() { COMP_LINE=$1 COMP_POINT=${#1}; ' \
             'COMPREPLY=(); _crabcan crabcan; echo "${COMPREPLY[*]}"; }; t "crabcan run --me"; ' \
             't "crabcan run --seccomp=de"; t "crabcan "; t "crabcan run -m "'
    out = subprocess.run(["bash", "--norc", "-c", script], text=True, capture_output=True, env={"PATH": path})
    assert out.stdout.splitlines()[1:] == ["--memory --memory-swap", "default deny-list",
                                           " ".join(completion.COMMANDS), ""], out
    assert "-F _crabcan crabcan" in out.stdout and out.stderr == ""


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish")
def test_fish(path, tmp_path):
    script = 'crabcan completion fish | source; complete -C "crabcan run --mem"; complete -C "crabcan run --caps d"'
    out = subprocess.run(["fish", "--no-config", "-c", script], text=True, capture_output=True, cwd=tmp_path,
                         env={"PATH": path, "HOME": str(tmp_path)})
    assert [line.split("\t")[0] for line in out.stdout.splitlines()] == ["--memory", "--memory-swap", "docker"], out


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh")
def test_zsh(path, tmp_path):
    pid, fd = pty.fork()
    if not pid:
        os.execve(shutil.which("zsh"), ["zsh", "-f", "-i"], {"PATH": path, "TERM": "dumb", "HOME": str(tmp_path)})

    def type_(text, seen):
        os.write(fd, text.encode())
        out, end = "", time.monotonic() + 20
        while seen not in out and time.monotonic() < end:
            if select.select([fd], [], [], 0.1)[0]:
                out += os.read(fd, 65536).decode(errors="replace")
        assert seen in out, out

    try:
        type_('autoload -U compinit; compinit -u -D; eval "$(crabcan completion zsh)"; echo $((40+2))\r', "42")
        type_("crabcan run --seccomp all\t", "allow-list")
        type_("--me\t", "--memory")
    finally:
        os.close(fd)
        os.waitpid(pid, 0)


def test_an_unknown_shell(root):
    for words in ["completion"], ["completion", "tcsh"]:
        result = root.crabcan(*words)
        assert result.returncode == 2 and "bash, zsh, fish" in result.stderr
