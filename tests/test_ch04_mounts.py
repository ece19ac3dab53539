"""Chapter 4: a root of its own, and nothing left of it on the host."""
import os
import shutil
import subprocess

import pytest

from conftest import closes

SYSTEM = ["-a", "/usr:/usr:ro"]


@pytest.fixture
def rootfs(folder):
    """A root file system with all the places that mounts need, without its own programs."""
    for name in ("usr", "proc", "dev", "etc", "tmp", "data"):
        (folder / name).mkdir()
    for name in ("bin", "lib", "lib64"):
        (folder / name).symlink_to(f"usr/{name}")
    subprocess.run(["chown", "-R", "--reference", folder, *folder.iterdir()], check=True)
    return folder


def tree(folder):
    return {str(p): p.lstat().st_mode for p in folder.rglob("*")}


def test_the_host_s_files_are_out_of_reach(matrix):
    closes(matrix, "files", 4)


def test_a_root_of_its_own(matrix):
    closes(matrix, "mounts", 4)


def test_from_outside_the_mounts_are_its_own(who):
    with who.start("run", "--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        mounts = who.script(f"print(open('/proc/{running.init}/mountinfo').read())").stdout
    points = {line.split()[4]: line for line in mounts.splitlines() if line}
    assert set(points) >= {"/", "/usr", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/null"}
    assert "/home" not in points and "/sys" not in points
    for point, line in points.items():
        assert "shared:" not in line and "master:" not in line, line
        assert "nosuid" in line, line


def test_only_the_usual_names_at_the_root(who):
    assert set(who.run("ls", "/").split()) <= {
        "bin", "dev", "etc", "home", "lib", "lib32", "lib64", "mnt", "proc", "root", "run", "sbin",
        "tmp", "usr", "var"}


def test_devices_work(who):
    out = who.run("sh", "-c", "echo x > /dev/null && head -c4 /dev/zero | wc -c; "
                              "head -c4 /dev/urandom | wc -c; ls /dev/full /dev/tty; echo > /dev/full || echo full")
    assert out.split() == ["4", "4", "/dev/full", "/dev/tty", "full"]


def test_usr_is_read_only(who):
    result = who.crabcan("run", "--", "touch", "/usr/x")
    assert result.returncode == 1 and "Read-only file system" in result.stderr


def test_the_original_s_documented_call(who, folder):
    """bash copied into a directory that has nothing else; nothing is left in it."""
    (folder / "mountdir").mkdir()
    shutil.copy("/bin/bash", folder / "mountdir")
    before = tree(folder)
    result = who.crabcan("--debug", "-u", "0", "-m", "./mountdir/", "-c", "/bash", "-a",
                         "/lib64:/lib64", "-a", "/lib:/lib", cwd=folder,
                         stdin="echo $$ /*; exit 3\n")
    assert result.returncode == 3, result.stderr
    assert result.stdout == "1 /bash /dev /lib /lib64 /proc\n"
    assert tree(folder) == before


def test_a_root_of_the_user_s_is_usable(who, rootfs):
    """Container root may write there, and on the host the file belongs to the directory's owner."""
    who.run("sh", "-c", "echo hello > /data/new; test $(stat -c %u /data/new) = 0",
            options=["-m", rootfs, *SYSTEM])
    assert (rootfs / "data/new").read_text() == "hello\n"
    assert (rootfs / "data/new").stat().st_uid == who.uid


def test_a_missing_place_is_not_made_in_the_user_s_directory(who, rootfs):
    for name in ("proc", "dev"):
        (rootfs / name).rmdir()
    before = tree(rootfs)
    assert "1\n" == who.run("sh", "-c", "test -c /dev/null && echo $$", options=["-m", rootfs, *SYSTEM])
    assert tree(rootfs) == before
    result = who.crabcan("run", "-m", rootfs, *SYSTEM, "-a", "/etc:/data/deep/down", "true")
    assert result.returncode == 125 and "make it first" in result.stderr
    assert tree(rootfs) == before


def test_extra_paths(who, folder):
    (folder / "file").write_text("in a file\n")
    (folder / "sub").mkdir()
    out = who.run("sh", "-c", "cat /x/y/f; touch /w/made; touch /r/made 2>&1 | grep -o Read-only",
                  options=["-a", f"{folder}/file:/x/y/f", "-a", f"{folder}/sub:/w" if who.root else
                           f"{folder}:/w", "-a", f"{folder}:/r:ro"])
    assert out.splitlines() == ["in a file", "Read-only"]


def test_a_read_only_path_is_so_with_its_submounts(root, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    script = f"mount -t tmpfs none {inner} && exec \"$@\""
    command = root.command("run", "-a", f"{tmp_path}:/x:ro", "--", "touch", "/x/inner/file")
    result = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *command],
                            env=root.environment, text=True, capture_output=True)
    assert result.returncode == 1 and "Read-only" in result.stderr


@pytest.mark.parametrize("name", ["proc", "dev"])
def test_a_symlink_is_not_followed_to_where_a_mount_belongs(who, rootfs, name):
    (rootfs / name).rmdir()
    (rootfs / name).symlink_to("/etc")
    result = who.crabcan("run", "-m", rootfs, *SYSTEM, "true")
    assert result.returncode == 125 and "symbolic link" in result.stderr


def test_a_symlink_of_the_root_s_stays_inside(who, rootfs, folder):
    """/escape -> /../../etc leads to the container's own /etc."""
    (rootfs / "escape").symlink_to("/../../../etc")
    who.run("sh", "-c", "test -e /etc/passwd", options=["-m", rootfs, *SYSTEM, "-a", "/etc:/escape:ro"])
    assert os.listdir(rootfs / "etc") == []


def test_mounts_of_the_host_do_not_arrive(root, tmp_path):
    """A mount made on the host while the container runs, in a shared path that it was given."""
    subprocess.run(["mount", "--bind", tmp_path, tmp_path], check=True)
    try:
        subprocess.run(["mount", "--make-shared", tmp_path], check=True)
        (tmp_path / "sub").mkdir()
        with root.start("run", "-a", f"{tmp_path}:/x", "--",
                        "sh", "-c", "echo ready; read y; ls /x/sub") as running:
            running.ready()
            subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path / "sub"], check=True)
            (tmp_path / "sub/late").write_text("")
            out, _ = running.process.communicate("\n", timeout=20)
    finally:
        subprocess.run(["umount", "--recursive", tmp_path], check=True)
    assert out == ""
