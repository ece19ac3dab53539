"""What counts as the same, what of the code stands in the book; then the book itself."""
import os
import platform
import subprocess
import sys

import apart
import pytest

from conftest import CHECKOUT
from toybook import ALL, book, quote, run  # noqa: F401

# toybook.py has made tools known.
from weaving import pages, quotes, volatile

pytestmark = pytest.mark.slow  # left out by --fast


# ---------------------------------------------------------------- what counts as the same

@pytest.mark.parametrize("one, other", [
    ("mnt:[4026531841]", "mnt:[4026532178]"),
    ("plucky-otter-17 x", "tidy-crab-3     x"),
    ("crabcan-4481-7f03e637b2d0/x", "crabcan-123456-7abc/x"),
    ("write('/proc/4483/uid_map'", "write('/proc/99182/uid_map'"),
    ("clone3(CLONE_NEWPID) = [4480, 6]", "clone3(CLONE_NEWPID) = [99480, 6]"),
    ('{"pid": 4480, "microseconds": 12}', '{"pid": 99999, "microseconds": 1234}'),
    ("NSpid:\t4480\t1", "NSpid:\t123\t1"),
    ("strace: Process 4480 attached", "strace: Process 559 attached"),
    ("   4480 pts/0    00:00:00 bash", " 124480 pts/1    00:00:01 bash"),
    ("root      4480  4470  0 11:49 ?  x", "root    994480  3470  0 09:00 ?  x"),
    ("prctl(22, 2, 139654724092208)", "prctl(22, 2, 94654724092352)"),
    ("36 25 0:32 / /tmp rw shared:5 - tmpfs", "999 998 0:44 / /tmp rw shared:61 - tmpfs"),
    ("drwxr-xr-x 2 root root 40 Nov 24 11:49 a", "drwxr-xr-x 2 root root 40 Jan  1 00:01 a"),
    ("2025-11-24 a", "2026-01-01 a"), ("Nov 24 2025", "Jan  1 2026"),
    ("Device: 0,61", "Device: 0,129"), ("Inode: 1234", "Inode: 777777"),
    ("tmpfs (0:61)", "tmpfs (0:129)"), ("ls: /dev/pts/0", "ls: /dev/pts/12"),
    ("/memory/aa789186b88d37a956c731fd19f7303e/x", "/memory/bb789186b88d37a956c731fd19f7303e/x"),
    ("6fa459ea-ee8a-3ca4-894e-db77e160355e", "7da459ea-ee8a-3ca4-894e-db77e160355e"),
    ("/pids/cgroup.procs', '4480')", "/pids/cgroup.procs', '94480')"),
    ("1.25 s, 3 ms", "0.5 s, 12.5 ms"), ("total 1234", "total 888"), ("a b ", "a b"),
    ("Linux box 6.1.0-28-amd64 #1 SMP PREEMPT_DYNAMIC Debian (2024-11-22) x86_64 GNU/Linux",
     "Linux box 6.18.44-fc #3 SMP Mon Nov 24 x86_64 GNU/Linux"),
    ("Connection timed out after 1001 milliseconds", "Connection timed out after 1013 milliseconds"),
    ("eth0 netns /proc/self/fd/21)", "eth0 netns /proc/self/fd/7)"),
    ("MemTotal:  8123456 kB", "MemTotal: 16123456 kB"),
    ("real\t0m0.012s", "real\t0m1.900s"),
    ("      1 ?        Ss     0:00 sh -c id", "      1 ?        Rs     0:00 sh -c id"), ("  4 S    sleep", "  4 D    sleep"),
    ("runc   28.1   (24.0 to 40.2)", "runc   31.5   (27.2 to 141.0)"),
    ("cold / runc   0.91   (at most 0.9)", "cold / runc   1.12   (at most 0.9)"),
    ("A, 2 processors, load 0.1 0.2 0.3; x", "B C, 64 processors, load 9.1 0.2 0.3; y"),
    ("warm start: 1.5 MiB by the parent, 1.7 MiB by the child, 4.3 µs each",
     "warm start: 1.6 MiB by the parent, 1.8 MiB by the child, 2.9 µs each"),
    ("the watchman: crab-0123456789", "the watchman: crab-abcdef0123"),
    ("/tmp/tmpab12cd3_/x", "/tmp/tmpzz12cd3k/x"),
    ("/tmp/root.Ab12Cd/x", "/tmp/root.Xb12Cd/x"),
])
def test_varies(one, other):
    assert volatile.normal(one) == volatile.normal(other) != one


@pytest.mark.parametrize("one, other", [
    ("pid 1", "pid 2"), ("1", "4480"), ("exit status 137", "exit status 125"), ("137", "0"),
    ("137 is its status", "125 is its status"),
    ("uid=0(root)", "uid=65534(nobody)"), ("0 1500000000 65536", "0 0 4294967295"),
    ("67108864", "1073741824"), ("CapEff:\t000001ffffffffff", "CapEff:\t0000000000000000"),
    ("crw-rw-rw- 1 root root 1, 3", "crw-rw-rw- 1 root root 1, 5"), ("mode 0600", "mode 0644"),
    ("NSpid:\t4480\t1", "NSpid:\t4480\t7"), ("/proc/1/ns", "/proc/7/ns"),
    ("pids.max 64", "pids.max 20"), ("/proc/self/fd/1", "/proc/self/fd/2"), ("10.211.0.2", "10.211.0.3"),
    ("setrlimit(7, [64, 64])", "setrlimit(7, [1024, 1024])"), ("127.0.0.1:80", "127.0.0.1:90"),
    ("umount2('.', 2)", "umount2('.', 2): Invalid argument"), ("plucky", "plucky-otter"),
    ("crab-0123456789", "crab"),
    ("CLONE_NEWPID", "CLONE_NEWPID|CLONE_NEWNS"), ("  4 S    sleep", "  4 Z    sleep"), ("  4 S    sh", "  4 Ss   sh"),
    ("mount_setattr('', 36864", "mount_setattr('', 4096"),
])
def test_matters(one, other):
    assert volatile.normal(one) != volatile.normal(other)


def test_every_invented_hostname_is_known():
    from crabcan_steps.ch03_hostname import ANIMALS, MOODS, invent
    names = [f"{mood}-{animal}-7" for mood in MOODS for animal in ANIMALS] + [invent()]
    assert {volatile.normal(name) for name in names} == {"HOSTNAME"}


# ---------------------------------------------------------------- coverage

def test_coverage_of_a_book_that_quotes_all(book):
    book.page("".join(quote(name) for name in ALL) + quote("Thing"))
    book.weave("--write")
    assert "100%  ch04_small.py\n" in book.weave("--coverage").stdout
    book.weave("--check")


@pytest.mark.parametrize("left_out, told", [
    ("plain", "ch04_small.py:21-29  plain: not quoted"),
    ("Thing.name", "ch04_small.py:36-42  Thing.name: not quoted"),
    ("Thing.late", "ch04_small.py:44  Thing.late: not quoted"),
    ("__doc__", "ch04_small.py:1-3  __doc__: not quoted"),
])
def test_what_is_not_quoted_is_told(book, left_out, told):
    book.page("".join(quote(name) for name in ALL if name != left_out))
    book.weave("--write")
    assert told in book.weave("--coverage", status=1).stdout
    assert told in book.weave("--check", status=1).stdout
    book.weave("--check", "chapters/04-small.md")  # of one file: without coverage


def test_the_rest_of_the_code_counts_and_what_stands_beside_does_not(book):
    book.page("".join(quote(name) for name in ALL if name != "Thing.name"))
    book.page(quote("Thing.name"), "chapters/90-beside.md")
    book.weave("--write")
    assert "Thing.name: not quoted" in book.weave("--coverage", status=1).stdout
    (book.folder / "chapters/90-beside.md").rename(book.folder / "chapters/80-rest.md")
    book.weave("--coverage")


def test_another_chapter_may_quote_it_too_but_a_number_without_code_is_none(book):
    book.put("crabcan_steps/ch05_other.py", "")
    book.page("".join(quote(name) for name in ALL if name != "Thing.name"))
    book.page("\n" + quote("Thing"), "chapters/05-other.md")
    book.weave("--write")
    book.weave("--coverage")
    (book.folder / "chapters/05-other.md").rename(book.folder / "chapters/10-later.md")
    assert "Thing.name: not quoted" in book.weave("--coverage", status=1).stdout


def test_a_module_is_due_with_its_chapter_and_others_with_all(book):
    book.put("crabcan_steps/__init__.py", '"""A package."""\n\nVERSION = 1\n')
    book.put("crabcan_steps/ch05_other.py", "")
    book.page("no quotes yet", "chapters/05-other.md")
    out = book.weave("--coverage").stdout
    assert "0%  ch04_small.py  (its chapter is not written yet)" in out
    assert "0%  __init__.py  (its chapter is not written yet)" in out
    book.page("none yet")
    assert "ch04_small.py:1-3" in book.weave("--coverage", status=1).stdout
    book.page("".join(quote(name) for name in ALL))
    out = book.weave("--coverage", status=1).stdout
    assert "__init__.py:3  VERSION: not quoted" in out and "__init__.py:1" not in out


def test_a_room_s_files_count_and_what_is_empty_does_not(book):
    (book.folder / "crabcan_steps/room").mkdir()
    book.put("crabcan_steps/room/__init__.py", "")
    book.put("crabcan_steps/room/helper.py", "ONE = 1\n")
    book.page("".join(quote(name) for name in ALL))
    out = book.weave("--coverage", status=1).stdout
    assert "room/helper.py:1 " in out and "room/__init__.py" not in out
    book.page("".join(quote(name) for name in ALL) + quote("ONE", module="room/helper.py"))
    book.weave("--write")
    book.weave("--check")


# ---------------------------------------------------------------- the real code, the real book

def test_every_module_can_be_quoted_in_pieces():
    """Its names, functions and methods, the __main__ block: together all of its code, once."""
    library = quotes.Library(CHECKOUT / "crabcan_steps")
    assert len(library.sources) > 10
    for name, source in library.sources.items():
        pieces = {places[0] for key, places in source.names.items()
                  if key not in source.local and key != "*" and len(places) == 1}
        assert source.code <= {n for first, last in pieces for n in range(first, last + 1)} \
            or name == "__main__.py"  # a bare call has no name: it is quoted with *
    lines = library.quote(pages.Block("x:1", "quote", {}, "ch04_mounts.py::Mounts.child", ""))[0]
    assert lines[0] == "def child(self):" and lines[-1] == '    linux.chdir("/")'


def reference():
    """Why the captured outputs cannot be compared here, or nothing."""
    release = platform.freedesktop_os_release()
    here = (release.get("ID"), release.get("VERSION_ID"), platform.machine(), sys.version_info[:2])
    if here != ("debian", "12", "x86_64", (3, 11)):
        return f"outputs are compared on Debian 12, x86_64, Python 3.11: this is {here}"
    return "" if os.geteuid() == 0 else "outputs are compared as root"


def weave_the_book(*args):
    result = subprocess.run([*apart.on_the_machines_network(), sys.executable, "-I",
                             CHECKOUT / "tools/weave.py", "--check", *args],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_book_shows_what_the_commands_print():
    if reference():
        pytest.skip(reference())
    weave_the_book("--only", "runs")
