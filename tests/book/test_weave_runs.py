"""Commands in the book, and what they print: captured, compared, tidied up."""
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import CHECKOUT
from toybook import SLEEP, Book, book, need_root, quote, run  # noqa: F401

# toybook.py has made tools known.
from weaving import volatile

pytestmark = pytest.mark.slow  # left out by --fast


def test_a_command_and_what_it_prints(book, need_root):
    made = book.written(run("echo out; echo err >&2; echo more; printf 'no end'"))
    assert made == run("echo out; echo err >&2; echo more; printf 'no end'",
                       "$ echo out; echo err >&2; echo more; printf 'no end'\n"
                       "out\nerr\nmore\nno end\n")


def test_streams_are_interleaved_as_on_a_terminal(book, need_root):
    """On a pipe Python would keep its stdout back until the end."""
    script = "import sys; print(1); print(2, file=sys.stderr); print(3)"
    assert "\n1\n2\n3\n```" in book.written(run(f"/usr/bin/python3 -c '{script}'"))


def test_several_commands_share_a_shell_and_two_blocks_nothing(book, need_root):
    made = book.written("<!-- run:\nls; false\n\necho $?; X=1; echo a >file\necho $X; ls; echo \\\n"
                        "  b\n-->\n```console\n```\n" + run("ls; echo $X; cd ~; ls"))
    assert ("```console\n$ ls; false\n$ echo $?; X=1; echo a >file\n1\n$ echo $X; ls; echo \\\n"
            ">   b\n1\nfile\nb\n```" in made)
    assert made.endswith("```console\n$ ls; echo $X; cd ~; ls\n\n```\n")


def test_a_script_is_not_found_by_its_own_words(book, need_root):
    made = book.written(run("pgrep -fc 'word[s]-of-this'; echo words-of-this; "
                            "ls /proc/self/fd | xargs"))
    assert "\n0\nwords-of-this\n0 1 2 3\n```" in made


def test_a_shell_that_ends_before_its_last_command(book, need_root):
    assert "$ exit 0\n\nweave: ended early" in book.refused(run("\nexit 0\necho a\n"))
    assert "$ exit 4\n" in book.refused(run("\ntrue\nexit 4\necho a\n"))


def test_bare_leaves_the_command_out(book, need_root):
    assert book.written(run("echo a", options=" (bare)")).endswith("```console\na\n```\n")


def test_the_environment_is_clean(book, need_root, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    before = os.umask(0o077)
    try:
        made = book.written(run("env | cut -d= -f1 | sort | xargs; echo $LANG $TERM; umask; cat; "
                                "id -un"))
    finally:
        os.umask(before)
    assert ("\nHOME LANG NO_COLOR OLDPWD PAGER PATH PWD SHLVL TERM TZ _\n" in made
            or "\nHOME LANG NO_COLOR PAGER PATH PWD SHLVL TERM TZ _\n" in made), made
    assert "\nC.UTF-8 dumb\n0022\nroot\n```" in made


def test_colours_are_left_out_and_other_controls_refused(book, need_root):
    assert "\nred plain\n```" in book.written(run(r"printf '\033[31mred\033[0m plain'"))
    assert "control character" in book.refused(run(r"printf 'a\rb'"))
    assert "control character" in book.refused(run(r"printf '\377'"))


def test_paths_of_this_machine_are_refused(book, need_root):
    assert "shows a path of this machine" in book.refused(run("pwd"))
    assert "shows a path of this machine" in book.refused(run(f"echo {book.folder}/x"))


def test_the_exit_status_must_be_as_said(book, need_root):
    book.written(run("exit 3", options=" (exit 3)"))
    errors = book.refused("\n" + run("echo why >&2; exit 3"))
    assert "page.md:2: $ echo why >&2; exit 3\nwhy\nweave: exit status 3, not 0" in errors
    assert "exit status 0, not 1" in book.refused(run("true", options=" (exit 1)"))
    book.written(run("\nfalse\ntrue\n"))  # only the last one's: what the others say can be read
    assert "$ false\n\nweave: exit status 1" in book.refused(run("\ntrue\nfalse\n"))
    errors = book.refused(run("no-such-command"))
    assert "\nbash: no-such-command: command not found\nweave: exit status 127" in errors


def test_a_command_has_its_time_and_leaves_nothing_running(book, need_root):
    begin = time.monotonic()
    for command in (SLEEP, f"exec >/dev/null 2>&1; {SLEEP}", "while :; do echo y; done"):
        errors = book.refused(run(command), "--timeout", "0.5")
        assert "took longer than 0.5 s" in errors
    made = book.written(run(f"{SLEEP} & echo started"))
    assert made.endswith("\nstarted\n```\n")
    assert time.monotonic() - begin < 20
    assert not sleepers()


def sleepers():
    """The processes that run our SLEEP."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == SLEEP.replace(" ", "\0").encode() + b"\0":
                found.append(path)
        except OSError:
            pass
    return found


def test_a_weave_that_is_ended_ends_its_commands(book, need_root):
    book.page(run(SLEEP, options=" (user)"), "page.md")
    weave = subprocess.Popen([sys.executable, book.folder / "tools/weave.py", "--write", "page.md"],
                             cwd=book.folder, stderr=subprocess.PIPE)
    for _ in range(200):
        if sleepers():
            break
        time.sleep(0.05)
    else:
        pytest.fail("it did not start")
    before = set(Path("/tmp").glob("weave-*"))
    weave.terminate()
    assert weave.wait(20) == 143, weave.stderr.read()
    weave.stderr.close()
    assert not sleepers()
    assert before - set(Path("/tmp").glob("weave-*"))
    with pytest.raises(KeyError):
        pwd.getpwnam("crabcan-weave")


def test_the_next_weave_heals_what_a_killed_one_left(book, need_root):
    book.page(run(SLEEP, options=" (user)"), "page.md")
    before = set(Path("/tmp").glob("weave-*"))
    weave = subprocess.Popen([sys.executable, book.folder / "tools/weave.py", "--write", "page.md"],
                             cwd=book.folder)
    try:
        while not sleepers():
            assert weave.poll() is None
            time.sleep(0.05)
    finally:
        weave.kill()
        weave.wait()
    left = set(Path("/tmp").glob("weave-*")) - before
    try:
        assert pwd.getpwnam("crabcan-weave")
        assert "\ncrabcan-weave\n```" in book.written(run("id -un", options=" (user)"))
    finally:
        for path in sleepers():
            os.kill(int(path.parent.name), signal.SIGKILL)
        for path in left:
            shutil.rmtree(path, ignore_errors=True)


def test_equal_commands_run_once_and_two_at_a_time(book, need_root):
    log = book.folder / "log"
    once = run(f"echo x >>$(dirname {log})/log; sleep 0.7")
    made = book.written(once + once)  # --write and --check: twice in all
    assert made.count("$ echo x") == 2
    assert log.read_text() == "x\nx\n"
    waits = f"cd $(dirname {log}); touch %s; timeout 30 sh -c 'until test -e %s; do sleep 0.05; done'"
    book.weave("--write", book.page(run(waits % ("one", "two")) + run(waits % ("two", "one")), "page.md"))  # 0, or an error


def test_what_varies_is_left_as_it_stands_and_what_matters_is_not(book, need_root):
    command = "date +%T.%N; readlink /proc/self/ns/mnt; echo pid $$; echo 137"
    old = f"$ {command}\n01:02:03.123\nmnt:[4026531000]\npid 99999\n137\n"
    text = run(command, old)
    assert book.written(text) == text
    page = book.page(run(command, old.replace("\n137", "\n138")))
    out = book.weave("--check", page, status=1).stdout
    assert "-138\n+137\n" in out
    assert "-pid" not in out and "+mnt" not in out  # only what matters is shown
    book.weave("--write", page)
    assert "pid 99999" not in (book.folder / page).read_text()  # an output is of one run, whole


def test_an_ordinary_user_runs_the_real_crabcan(book, need_root):
    for name in "crabcan_steps", "crabcan_workshop":
        shutil.rmtree(book.folder / name, ignore_errors=True)
        shutil.copytree(CHECKOUT / name, book.folder / name)
    (book.folder / ".venv").symlink_to(sys.prefix)
    book.folder.chmod(0o700)  # whatever the user may read of a checkout
    inside = "sh -c 'hostname; id -u; cat /proc/self/uid_map'"
    made = book.written(
        run("id -un; touch file; ls -l file | cut -d' ' -f3; tty <&2 | cut -c 1-9; "
            ": >/dev/stderr", options=" (user)")
        + run(f"crabcan step 5 --hostname box -- {inside}", options=" (user)")
        + run(f"crabcan run --hostname box -- {inside}")
        + run("./workshop step 3 -- hostname; workshop crabcan step 3 --hostname b -- hostname")
        + run("crabcan run -- false", options=" (exit 1)") + run("workshop doctor | cut -c 1-9"))
    one, two, three, four, _, six = [block.split("\n", 2)[2] for block in made.split("```")[1::2]]
    assert one == "crabcan-weave\ncrabcan-weave\n/dev/pts/\n"
    assert two.startswith("box\n0\n") and three.startswith("box\n0\n")
    assert two.split() == ["box", "0", "0", "5000", "1", "1", "500000", "65536"] != three.split()
    assert "HOSTNAME\nb\n" == volatile.normal(four)
    assert "all\nchapter 2" in six.replace("      ", "")
    with pytest.raises(KeyError):
        pwd.getpwnam("crabcan-weave")


def test_two_weaves_take_turns_with_the_user(book, need_root):
    book.page(run("sleep 0.5; id", options=" (user)"), "page.md")
    command = [sys.executable, book.folder / "tools/weave.py", "--check", "page.md"]
    weaves = [subprocess.Popen(command, cwd=book.folder, stdout=subprocess.PIPE, text=True)
              for _ in range(3)]
    for weave in weaves:
        out, _ = weave.communicate(timeout=30)
        assert "+uid=5000(crabcan-weave) gid=5000(crabcan-weave) groups=" in out


def test_an_ordinary_weaver_is_told_to_be_root(book):
    if os.geteuid() == 0:
        copy = Path("/tmp", f"weave-test-{os.getpid()}")  # tmp_path is root's alone
        shutil.copytree(book.folder, copy)
        subprocess.run(["chmod", "-R", "a+rX", copy], check=True)
        book, options = Book.__new__(Book), {"user": 65534, "group": 65534}
        book.folder = copy
    else:
        copy, options = None, {}
    try:
        (book.folder / "page.md").write_text(run("true"))
        result = subprocess.run(["/usr/bin/python3", "tools/weave.py", "--check", "page.md"],
                                cwd=book.folder, capture_output=True, text=True, **options)
    finally:
        if copy:
            shutil.rmtree(copy)
    assert result.returncode == 2
    assert "page.md:1: the book's commands are root's: use sudo" in result.stderr


def test_cgroup_v2_is_not_asked_of_other_hosts(book, need_root):
    made = book.written(run("echo new", "kept\n", " (needs cgroup v2)"))
    unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    assert ("kept" in made) == (not unified)
    assert ("$ echo new\nnew\n" in made) == unified


def test_a_program_that_is_not_there_is_not_asked_of_this_host(book, need_root):
    made = book.written(run("echo new", "kept\n", " (needs no-such-program)")
                        + run("echo too", "kept\n", " (needs sh)")
                        + run("echo not", "kept\n", " (needs sh no-such-program)"))
    assert made.count("kept") == 2 and "$ echo too\ntoo\n" in made


def test_only_and_no_run(book, need_root):
    page = book.page(quote("Empty") + run("echo a"))
    text = (book.folder / page).read_text()
    book.weave("--write", "--no-run", "--only", "runs", page)
    assert (book.folder / page).read_text() == text
    book.weave("--write", "--only", "runs", page)
    assert (book.folder / page).read_text() == quote("Empty") + run("echo a", "$ echo a\na\n")
    book.weave("--check", "--only", "runs", page)
    assert "+class" in book.weave("--check", "--no-run", page, status=1).stdout
    book.weave("--write", "--only", "quotes", page)
    book.weave("--check", page)


VISIT = "visit() { /usr/bin/python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], None, 5).read().decode().strip())' $1 2>&1 | tail -1; }"
WORLD = f"""
ip -br -4 address | tr -s ' '; cat /proc/sys/net/ipv4/ip_forward; ls /sys/class/net | xargs
{VISIT}
visit http://example.com; visit http://203.0.113.80; visit http://169.254.169.254; visit http://nowhere.example
"""


def test_a_world_has_an_internet_and_nothing_of_this_machine(book, need_root):
    made = book.written(run(WORLD, options=" (world)"))
    assert "\nlo UNKNOWN 127.0.0.1/8 \neth0@if2 UP 198.51.100.7/24 \n0\neth0 lo\n" in made
    assert re.search(r"\nyou are (2001:db8:1::7|198\.51\.100\.7)\nyou are 198\.51\.100\.7\nthe keys of this machine", made)
    assert "Name or service not known>\n```" in made


def test_a_world_ends_with_its_commands_and_can_be_a_users(book, need_root):
    before = os.listdir("/sys/class/net"), Path("/proc/mounts").read_text()
    made = book.written(run("\nip link add mine type bridge && ls /sys/class/net | xargs\n", options=" (world)")
                        + run("\nid -u; id -G; ip link add mine type bridge\n", options=" (world, user, exit 2)"))
    assert "\neth0 lo mine\n" in made and "\n5000\n5000\nRTNETLINK answers: Operation not permitted" in made
    assert before == (os.listdir("/sys/class/net"), Path("/proc/mounts").read_text())
    assert not subprocess.run(["pgrep", "-f", f"{book.folder}/tools/weaving/world.py"], capture_output=True).stdout


def test_a_world_has_the_signals_of_a_shell(book, need_root):
    """Python ignores SIGPIPE, and what is ignored stays so over execve: `yes | head -1` would complain."""
    made = book.written(run("grep SigIgn /proc/self/status", options=" (world)")
                        + run("grep SigIgn /proc/self/status"))
    assert len(set(re.findall(r"^SigIgn:.*", made, re.M))) == 1, made
