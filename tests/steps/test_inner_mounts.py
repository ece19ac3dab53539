"""What is mounted within a tree of the user's: each mount's owners are shifted if they can be."""
import subprocess

import pytest


def mounted(root, folder, commands, *words):
    """crabcan, where some things are mounted in a directory, for it only."""
    script = f"cd {folder} && {commands} && exec \"$@\""
    return subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *map(str, root.command(*words))],
                          env=root.environment, text=True, capture_output=True, timeout=60)


ONE_THAT_CANNOT = "mkdir t s t/u && mount -t tmpfs none t && mkdir t/u && mount -t tmpfs none t/u && " \
                  "mount -t proc proc s && touch f t/f t/u/f && chmod 600 f t/f t/u/f"


@pytest.mark.parametrize("option, place", [("-a", "/x"), ("-m", "")])
def test_one_mount_that_cannot_be_shifted_leaves_the_others_shifted(root, tmp_path, option, place):
    """It left all of them to nobody, with the modes of strangers; and the message named the top."""
    commands, words = ONE_THAT_CANNOT, [option, f"{tmp_path}:/x" if option == "-a" else tmp_path]
    if option == "-m":
        commands += " && mkdir usr proc sys dev && ln -s usr/bin bin && ln -s usr/lib lib && ln -s usr/lib64 lib64"
        words += ["-a", "/usr:/usr:ro"]
    result = mounted(root, tmp_path, commands, "run", *words, "--", "sh", "-c",
                     f"cd {place}/ && stat -c '%n %u' f t t/f t/u t/u/f && cat f t/f t/u/f && test -e s/version")
    assert result.stdout.splitlines() == [f"{name} 0" for name in ("f", "t", "t/f", "t/u", "t/u/f")], result
    assert result.returncode == 0, result
    lines = [line for line in result.stderr.splitlines() if "shift" in line and "/usr" not in line]
    assert len(lines) == 1 and f"{tmp_path}/s: " in lines[0], result.stderr


def test_names_may_have_any_bytes(root, tmp_path):
    names = ["with space", "back\\slash", "tab\there", "größe"]
    commands = " && ".join(f"mkdir '{name}' && mount -t tmpfs none '{name}' && touch '{name}/f'" for name in names)
    result = mounted(root, tmp_path, commands, "run", "-a", f"{tmp_path}:/x", "--", "sh", "-c",
                     "for d in /x/*; do stat -c %u \"$d/f\"; done")
    assert result.stdout.split() == ["0"] * 4 and result.stderr == "", result
    result = mounted(root, tmp_path, r"name=$(printf 'no\377utf') && mkdir $name && mount -t tmpfs none $name",
                     "run", "-a", f"{tmp_path}:/x", "--", "sh", "-c", "stat -c %u /x/no*")
    assert (result.stdout, result.stderr) == ("0\n", ""), result


def test_a_mount_that_another_hides_stays_hidden(root, tmp_path):
    commands = "mkdir -p a/b && mount -t tmpfs none a/b && touch a/b/hidden && mount -t tmpfs none a && touch a/seen"
    result = mounted(root, tmp_path, commands, "run", "-a", f"{tmp_path}:/x", "--", "find", "/x", "-mindepth", "1")
    assert sorted(result.stdout.split()) == ["/x/a", "/x/a/seen"], result


def test_what_is_read_only_is_so_in_each_of_them(root, tmp_path):
    commands = "mkdir -p a && mount -t tmpfs none a && mkdir a/b && mount -t tmpfs none a/b"
    result = mounted(root, tmp_path, commands, "run", "-a", f"{tmp_path}:/x:ro", "--", "sh", "-c",
                     "for d in /x /x/a /x/a/b; do touch $d/f; done; grep -c ' /x.* ro,.*nosuid,nodev' /proc/mounts")
    assert result.stdout == "3\n" and result.stderr.count("Read-only") == 3, result


def test_a_file_can_be_one(root, tmp_path):
    commands = "touch f g && echo in >g && mount --bind g f"
    result = mounted(root, tmp_path, commands, "run", "-a", f"{tmp_path}:/x", "--", "sh", "-c", "cat /x/f; stat -c %u /x/f")
    assert result.stdout == "in\n0\n", result


def test_mounts_that_are_locked_together_stay_so(root, tmp_path):
    """In a user namespace's own mount namespace no mount can be had without what is in it."""
    command = root.command("run", "--layers", "all,-namespaces,-cgroups", "-a", f"{tmp_path}:/x", "--", "cat", "/x/a/f")
    script = f"mkdir {tmp_path}/a && mount -t tmpfs none {tmp_path}/a && echo in >{tmp_path}/a/f && " \
             "exec unshare --user --map-root-user --mount \"$@\""
    result = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *command], env=root.environment,
                            text=True, capture_output=True, timeout=60)
    assert result.stdout == "in\n", result
