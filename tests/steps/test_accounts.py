"""--user: who somebody is, by the container's own files, which its owner may have made up."""
import os

import pytest

from crabcan_steps.mounts import passwd
from crabcan_steps.namespaces import accounts
from crabcan_steps.layer import LayerError

PASSWD = "root:x:0:0::/root:/bin/sh\nana:x:1007:1008::/home/ana:/bin/sh\n5:x:6:7::/five:\n# a comment\n" \
         "bad:x:y:0::/:/bin/sh\nshort:x:9\n+nis::::::\nbob:x:1010:1010::: \n"
GROUP = "root:x:0:\nana:x:1008:\nfriends:x:1010:root,ana,\nmore:x:1011:anabel,ana\nbroken:x:1012\nwheel:x:12:bob\n"


@pytest.mark.parametrize("user, group, expected", [
    ("ana", None, (1007, 1008, [1010, 1011], "/home/ana")), ("1007", None, (1007, 1008, [1010, 1011], "/home/ana")),
    ("ana", "wheel", (1007, 12, [], "/home/ana")), ("ana", "77", (1007, 77, [], "/home/ana")),
    ("4321", None, (4321, 4321, [], None)), ("4321", "friends", (4321, 1010, [], None)),
    ("5", None, (6, 7, [], "/five")),  # a name that looks like a number: the first line that fits, as in Docker
    ("bob", None, (1010, 1010, [12], "/")), ("root", None, (0, 0, [1010], "/root"))])
def test_who_somebody_is(user, group, expected):
    assert passwd.found(PASSWD, GROUP, user, group) == expected


@pytest.mark.parametrize("user, group, word", [
    ("eve", None, "root, ana"), ("bad", None, "/etc/passwd"), ("short", None, "/etc/passwd"),
    ("+nis", None, "/etc/passwd"), ("ana", "nobodies", "/etc/group"), ("ana", "broken", "/etc/group")])
def test_a_name_that_is_not_there(user, group, word):
    with pytest.raises(LayerError) as error:
        passwd.found(PASSWD, GROUP, user, group)
    assert word in error.value.about and user in error.value.call


@pytest.fixture
def root_of(tmp_path):
    """A root with a passwd of its own; outside of it stands a secret one."""
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "secret").write_text("eve:x:666:666::/:/bin/sh\n")
    (tmp_path / "root/etc/group").write_text(GROUP)
    fd = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    yield tmp_path / "root", fd
    os.close(fd)


def test_files_below_the_root(root_of):
    folder, fd = root_of
    (folder / "etc/passwd").write_text(PASSWD)
    assert accounts.lookup(fd, "ana") == (1007, 1008, [1010, 1011], "/home/ana")


def test_a_root_without_them_knows_numbers_only(root_of):
    folder, fd = root_of
    assert accounts.lookup(fd, "7") == (7, 7, [], None)
    (folder / "etc/group").unlink()
    (folder / "etc").rmdir()
    assert accounts.lookup(fd, "7", "8") == (7, 8, [], None)
    with pytest.raises(LayerError):
        accounts.lookup(fd, "ana")


@pytest.mark.parametrize("target", ["../../secret", "/../secret", "/proc/self/root{secret}", "{secret}"])
def test_a_link_does_not_lead_out(root_of, target):
    folder, fd = root_of
    os.symlink(target.format(secret=folder.parent / "secret"), folder / "etc/passwd")
    with pytest.raises(LayerError):
        accounts.lookup(fd, "eve")


def test_a_link_inside_is_followed(root_of):
    folder, fd = root_of
    (folder / "accounts").write_text(PASSWD)
    os.symlink("/accounts", folder / "etc/passwd")
    assert accounts.lookup(fd, "ana")[0] == 1007


def test_what_is_no_regular_file_is_not_opened(root_of):
    """A pipe would make us wait for ever; a directory or a loop is told."""
    folder, fd = root_of
    os.mkfifo(folder / "etc/passwd")
    with pytest.raises(OSError, match="no regular file"):
        accounts.lookup(fd, "ana")
    (folder / "etc/passwd").unlink()
    (folder / "etc/passwd").mkdir()
    with pytest.raises(OSError, match="no regular file"):
        accounts.lookup(fd, "ana")
    (folder / "etc/passwd").rmdir()
    os.symlink("passwd", folder / "etc/passwd")
    with pytest.raises(OSError, match="symbolic"):
        accounts.lookup(fd, "ana")


def test_a_file_without_end_is_refused(root_of):
    folder, fd = root_of
    (folder / "etc/passwd").write_text("x" * (accounts.LARGEST + 1))
    with pytest.raises(OSError, match="too large"):
        accounts.lookup(fd, "ana")


def test_bytes_that_are_no_text(root_of):
    folder, fd = root_of
    (folder / "etc/passwd").write_bytes(b"\xff\xfe:x:5:5::/\xff:\nana:x:1007:1008::/h\0me:/bin/sh\n")
    uid, _, _, home = accounts.lookup(fd, "5")
    assert uid == 5 and os.fsencode(home) == b"/\xff"
    with pytest.raises(LayerError):
        accounts.lookup(fd, "ana")  # execve would take no NUL


@pytest.mark.parametrize("uid, known", [("4294967294", True), ("42949672940", False)])
def test_a_number_has_ten_digits_at_most(uid, known):
    assert (passwd.found(f"eve:x:{uid}:7::/e:/bin/sh\n", "", uid)[3] == "/e") is known


def test_an_empty_passwd_names_somebody_all_the_same():
    with pytest.raises(LayerError, match="knows nobody"):
        passwd.found("", "", "eve")


def test_who_is_known_needs_no_introduction():
    files = {"passwd": PASSWD, "group": GROUP}
    assert passwd.introduced(files, ("ana", None)) == files and passwd.introduced(files, ("1007", None)) == files
    assert passwd.introduced(files, ("4321", None))["passwd"] == PASSWD + "user:x:4321:4321:user:/:/bin/sh\n"


def test_a_number_without_end_is_nobody_s(root_of):
    folder, fd = root_of
    (folder / "etc/passwd").write_text(f"ana:x:{'9' * 5000}:1::/:\nbob:x:7:7::/:\n")
    (folder / "etc/group").write_text(f"x:x:{'9' * 5000}:bob\ny:x:8:bob\n")
    assert accounts.lookup(fd, "bob") == (7, 7, [8], "/")


# ---------------------------------------------------------------- in a container

def test_a_name_with_its_groups_and_home(root, tmp_path):
    for name in ("etc", "proc", "sys", "dev", "usr", "home/ana"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (tmp_path / name).symlink_to(f"usr/{name}")
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    tmp_path.chmod(0o755)
    words = ["-m", tmp_path, "-a", "/usr:/usr:ro"]
    script = "id -u; id -g; id -G; echo $HOME"
    for user in "ana", "1007":
        out = root.run("sh", "-c", script, options=[*words, "-u", user])
        assert out.split() == ["1007", "1008", "1008", "1010", "1011", "/home/ana"]
    out = root.run("sh", "-c", script, options=[*words, "--user", "ana:friends", "-e", "HOME=/tmp"])
    assert out.split() == ["1007", "1010", "1010", "/tmp"]
    result = root.crabcan("run", *words, "-u", "eve", "--", "true")
    assert result.returncode == 125 and "root, ana" in result.stderr


def test_in_the_bare_root_a_number_has_a_name(root):
    script = "id -un; id -gn; python3 -c 'import getpass; print(getpass.getuser())'; echo $HOME"
    assert root.run("sh", "-c", script, options=["-u", "1234"]).split() == ["user", "user", "user", "/"]
    assert root.run("sh", "-c", script, options=["-u", "1234:nogroup"]).split() == ["user", "nogroup", "user", "/"]
    assert root.run("sh", "-c", script, options=["-u", "nobody"]).split() == ["nobody", "nogroup", "nobody", "/"]


def test_without_a_root_of_its_own_the_host_s_files_count(root):
    out = root.run("id", "-u", "-n", options=["--layers", "all,-mounts", "-u", "nobody"])
    assert out == "nobody\n"


def test_an_id_above_the_map(who):
    for user in "4000000000", "0:4000000000":
        result = who.crabcan("run", "-u", user, "--", "true")
        assert result.returncode == 125 and "--uid 4000000000: the map has" in result.stderr and "more ids come from /etc/subuid" in result.stderr
