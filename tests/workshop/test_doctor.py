"""What the doctor says of chapter 11's network: on a machine that has all, and where something is missing."""
import json
import os
import subprocess

WALL = "table inet wall { chain f { type filter hook forward priority 0; policy drop; }; }"


def network(who, *before):
    """The doctor's lines about chapter 11; as root in a network namespace of its own."""
    apart = ["unshare", "--net", "--mount"] if who.root else []
    words = [*apart, *before, *who.python, "-m", "crabcan_workshop", "doctor", "--json"]
    result = subprocess.run(words, env=who.environment, text=True, capture_output=True, cwd="/", timeout=100)
    assert result.returncode in (0, 1), result.stderr
    return [line for line in json.loads(result.stdout) if line["chapter"] == 11]


def shell(script):
    return "sh", "-c", f'{script}; exec "$@"', "sh"


def test_a_machine_that_has_all(who):
    found = network(who)
    tun = who.root or os.path.exists("/dev/net/tun") and os.stat("/dev/net/tun").st_mode & 0o6 == 0o6
    assert [line["ok"] for line in found] == [True, True if tun else None], found
    assert ("pasta" in found[1]["finding"]) == (not who.root)
    assert tun or found[1]["cure"] == "sudo chmod 666 /dev/net/tun"


def test_without_nft_there_is_no_bridge(root):
    bridge, way_out = network(root, *shell("mount -t tmpfs none /usr/sbin"))
    for line in bridge, way_out:
        assert line["ok"] is None and line["cure"] == "sudo apt-get install nftables", line


def test_without_a_proc_that_takes_it_there_is_no_forwarding(root):
    bridge, _ = network(root, *shell("mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys"))
    assert bridge["ok"] is None and "read-only" in bridge["finding"], bridge


def test_a_filter_in_the_way_is_told_with_its_cure(root):
    _, way_out = network(root, *shell(f"nft '{WALL}'"))
    assert way_out["ok"] is None and "drops what this host forwards" in way_out["finding"]
    assert "FORWARD -i crabcan0 -j ACCEPT" in way_out["cure"]


def test_a_user_without_pasta_hears_what_to_install(root, user):
    hide = ["unshare", "--mount", *shell("for p in pasta slirp4netns; do "
                                         "test -e /usr/bin/$p && mount --bind /dev/null /usr/bin/$p; done; true")]
    words = [*hide, *user.python, "-m", "crabcan_workshop", "doctor", "--json"]
    result = subprocess.run(words, env=user.environment, text=True, capture_output=True, cwd="/", timeout=100)
    line = [line for line in json.loads(result.stdout) if line["chapter"] == 11][1]
    assert line["ok"] is None and line["cure"] == "sudo apt-get install passt", line
