"""Chapter 4: a root of its own, and nothing left of it on the host."""
import os
import shutil
import subprocess
import sys

import pytest

from conftest import closes, host_mounts
from crabcan_steps.mounts.furniture import HIDDEN

SYSTEM = ["-a", "/usr:/usr:ro"]
LIBRARIES = [path for path in ("/lib", "/lib64") if os.path.exists(path)]  # arm64 has one


@pytest.fixture
def rootfs(folder):
    """A root file system with all the places that mounts need, without its own programs."""
    for name in ("usr", "proc", "sys", "dev", "etc", "tmp", "data"):
        (folder / name).mkdir()
    for path in ("/bin", *LIBRARIES):
        (folder / path[1:]).symlink_to(f"usr{path}")
    subprocess.run(["chown", "-R", "--reference", folder, *folder.iterdir()], check=True)
    return folder


def tree(folder):
    return {str(p): p.lstat().st_mode for p in folder.rglob("*")}


def test_the_host_s_files_are_out_of_reach(matrix):
    closes(matrix, "files", 4)


def test_what_proc_tells_of_the_machine_is_hidden(matrix):
    closes(matrix, "proc", 4)


def test_a_root_of_its_own(matrix):
    closes(matrix, "mounts", 4)


def test_from_outside_the_mounts_are_its_own(who):
    with who.start("run", "--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        mounts = who.script(f"print(open('/proc/{running.init}/mountinfo').read())").stdout
    points = {line.split()[4]: line for line in mounts.splitlines() if line}
    assert set(points) >= {"/", "/usr", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/null"}
    assert "/home" not in points
    for point, line in points.items():
        assert "shared:" not in line and "master:" not in line, line
        assert "nosuid" in line, line


def test_only_the_usual_names_at_the_root(who):
    assert set(who.run("ls", "/").split()) <= {
        "bin", "dev", "etc", "home", "lib", "lib32", "lib64", "mnt", "proc", "root", "run", "sbin",
        "sys", "tmp", "usr", "var"}


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
    add = [word for path in reversed(LIBRARIES) for word in ("-a", f"{path}:{path}")]
    result = who.crabcan("--debug", "-u", "0", "-m", "./mountdir/", "-c", "/bash", *add, cwd=folder,
                         stdin="echo $$ /*; exit 3\n")
    assert result.returncode == 3, result.stderr
    assert result.stdout == " ".join(["1 /bash /dev", *LIBRARIES, "/proc /sys\n"])
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


def test_a_path_over_a_place_of_ours_takes_what_goes_below_it(who, folder):
    """It went below our own file system there, where nobody could see it."""
    for name in ("outer/x", "inner"):
        (folder / name).mkdir(parents=True)
    (folder / "inner/f").write_text("inner\n")
    for place, options in {"/dev": [], "/t": ["--tmpfs", "/t"]}.items():
        result = who.crabcan("run", *options, "-a", f"{folder}/outer:{place}", "-a", f"{folder}/inner:{place}/x",
                             "--", "cat", f"{place}/x/f")
        assert result.stdout == "inner\n", result
    assert os.listdir(folder / "outer/x") == []


def test_a_read_only_path_is_so_with_its_submounts(root, tmp_path):
    tmp_path.chmod(0o755)  # where no id can be shifted, everybody must be able to enter
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


STEERING = ["/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern", "/proc/irq/default_smp_affinity",
            "/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger", "/sys/kernel/mm/transparent_hugepage/enabled"]
OPEN = "import os, sys\nfor path in sys.argv[1:]:\n    try: os.close(os.open(path, os.O_WRONLY)); print(path)\n" \
       "    except OSError: pass"


def test_nothing_that_steers_the_machine_can_be_written(who):
    """Even with every capability inside, and no filter: the mounts alone hold."""
    assert who.run("/usr/bin/python3", "-c", OPEN, *STEERING, options=["--layers", "all,-caps,-seccomp"]) == ""


def test_without_the_read_only_mounts_they_could_be(root):
    """Shows that the test above can fail: as root, before chapter 4, the same attempt succeeds."""
    result = root.crabcan("step", "3", "--", "/usr/bin/python3", "-c", OPEN, *STEERING)
    assert "/proc/sys/kernel/core_pattern" in result.stdout.split()


def test_hidden_paths_are_empty_and_covered(who):
    paths = [p for p in HIDDEN if os.path.exists(p)]
    assert "/proc/keys" in paths or "/proc/timer_list" in paths
    script = ("import os, sys\nfor p in sys.argv[1:]:\n"
              "    print(p, len(os.listdir(p) if os.path.isdir(p) else open(p).read()))")
    out = who.run("/usr/bin/python3", "-c", script, *paths)
    assert out.split("\n")[:-1] == [f"{path} 0" for path in paths]


def test_sys_shows_the_container_s_network_and_cannot_be_written(who):
    assert who.run("ls", "/sys/class/net") == "lo\n"
    assert " ro," in next(line for line in who.run("cat", "/proc/mounts").splitlines() if " /sys " in line)


def test_a_message_queue_of_its_own(who):
    out = who.run("sh", "-c", "grep /dev/mqueue /proc/mounts; touch /dev/mqueue/q; ls /dev/mqueue").split()
    assert out[0] == "mqueue" and out[-1] == "q"


@pytest.mark.parametrize("given", [False, True])
def test_a_read_only_root(who, rootfs, given):
    options = ["--read-only", *(["-m", rootfs, *SYSTEM] if given else [])]
    result = who.crabcan("run", *options, "--", "sh", "-c", "touch /x; touch /tmp/x; echo x > /dev/shm/x && echo shm")
    assert result.stdout == "shm\n" and result.stderr.count("Read-only file system") == 2, result
    assert tree(rootfs).keys() & {str(rootfs / "x"), str(rootfs / "tmp/x")} == set()


def test_a_read_only_root_without_all_places_is_read_only_deeper_down_too(who, folder):
    (folder / "data").mkdir()
    subprocess.run(["chown", "--reference", folder, folder / "data"], check=True)
    add = [word for path in ("/usr", "/bin", *LIBRARIES) for word in ("-a", f"{path}:{path}:ro")]
    result = who.crabcan("run", "--read-only", "-m", folder, *add, "--", "sh", "-c", "touch /data/x")
    assert "Read-only file system" in result.stderr and not list((folder / "data").iterdir())


def test_the_root_has_a_size_even_without_a_limit_on_memory(who):
    script = "import os; s = os.statvfs('/'); print(s.f_blocks * s.f_frsize, s.f_files)"
    assert who.run("/usr/bin/python3", "-c", script, options=["--layers", "all,-cgroups"]).split() == \
        [str(1 << 30), str(256 << 10)]


def test_renames_elsewhere_do_not_disturb(who, rootfs, tmp_path):
    """openat2 gives up on a ".." if anything was renamed meanwhile, anywhere: it is asked again."""
    (rootfs / "escape").symlink_to("/.." * 30 + "/etc")
    script = "import os, sys\nwhile True: os.rename(*sys.argv[1:]); os.rename(*sys.argv[:0:-1])"
    (tmp_path / "a").touch()
    renamer = subprocess.Popen([sys.executable, "-c", script, tmp_path / "a", tmp_path / "b"])
    try:
        for _ in range(8):
            who.run("true", options=["-m", rootfs, *SYSTEM, "-a", "/etc:/escape:ro"])
    finally:
        renamer.kill()
        renamer.wait()


def test_a_place_that_changes_while_we_mount_never_leads_outside(who, rootfs):
    """Somebody keeps exchanging the target for a link to the host's root, as in CVE-2021-30465."""
    outside = rootfs / "outside"
    (rootfs / "data/x").mkdir(parents=True)
    (rootfs / "link").symlink_to("../../../../../../../..")
    outside.mkdir()
    subprocess.run(["chown", "-R", "-h", "--reference", rootfs, *rootfs.iterdir()], check=True)
    script = ("import ctypes, sys\nrename = ctypes.CDLL(None).renameat2\n"
              "while True: rename(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2)")
    before = host_mounts()
    swapper = subprocess.Popen([*who.python, "-c", script, rootfs / "data", rootfs / "link"])
    try:
        results = [who.crabcan("run", "-m", rootfs, *SYSTEM, "-a", f"{outside}:/data/x", "--", "sh", "-c",
                               "grep -o ' .*/x ' /proc/self/mounts") for _ in range(12)]
    finally:
        swapper.kill()
        swapper.wait()
    for result in results:  # inside, or refused
        assert result.returncode in (0, 125), result
        assert result.returncode == 125 or result.stdout.strip() in ("/data/x", "/link/x", "/x"), result
    assert host_mounts() == before


def test_not_even_with_every_capability_can_usr_be_written(who):
    """Read-only can be undone by whoever has CAP_SYS_ADMIN in there. The owners' ids hold still."""
    script = "mount -o remount,bind,rw /usr; touch /usr/crabcan-was-here; test -e /usr/crabcan-was-here"
    result = who.crabcan("run", "--layers", "all,-caps,-seccomp", "--", "sh", "-c", script)
    assert result.returncode == 1 and not os.path.exists("/usr/crabcan-was-here"), result


@pytest.mark.parametrize("complete", [True, False], ids=["complete root", "mirrored root"])
def test_a_device_in_the_root_is_none(root, folder, complete):
    """Whoever packs an image can put the nodes of disks in it; only --device and --add name one."""
    for name in ("usr", "sys", "dev", *(("proc",) if complete else ())):
        (folder / name).mkdir()
    for path in ("/bin", *LIBRARIES):
        (folder / path[1:]).symlink_to(f"usr{path}")
    os.mknod(folder / "zero", 0o20666, os.makedev(1, 5))
    os.chmod(folder / "zero", 0o666)
    script = "head -c 1 /zero || echo refused; head -c 1 /other | wc -c"
    result = root.crabcan("run", "-m", folder, *SYSTEM, "--device", "/dev/zero:/dev/x",
                          "--", "sh", "-c", script.replace("/other", "/dev/x"))
    assert result.stdout == "refused\n1\n", result
