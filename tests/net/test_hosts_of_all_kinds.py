"""What the host is like: ranges in use, firewalls, narrow ways, stubs of resolvers, no IPv6, no nft."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from world import FIRST, HOST, NAMES, ROUTER, WEB, WEB6, as_before, fresh, inside, made, settled, world  # noqa: E402, F401

GET = inside(f"print(get('http://{WEB}/'))")
FIREWALLS = {  # as they stand on hosts: what is loaded, whose name must be said
    "docker": ("table ip filter { chain DOCKER-USER { counter; }\n chain FORWARD { type filter hook forward priority 0; policy drop;"
               " jump DOCKER-USER; } }", "Docker", "DOCKER-USER"),
    "ufw": ("table ip filter { chain ufw-before-forward { counter; }\n chain FORWARD { type filter hook forward priority 0; policy drop;"
            " jump ufw-before-forward; } }", "ufw", "ufw route allow"),
    "firewalld": ("table inet firewalld { chain filter_FORWARD { type filter hook forward priority 10; policy accept;"
                  " ct state established,related accept; iifname lo accept; reject with icmpx admin-prohibited; } }",
                  "firewalld", "firewall-cmd"),
    "own": ("table inet mine { chain f { type filter hook forward priority 0; policy accept; counter drop; } }", "a filter of yours", "FORWARD"),
}


def load(world, rules):
    text = rules.replace("} }", "}\n}")
    world.do(world.host, f"nft -f - <<'END'\n{text}\nEND")


@pytest.mark.parametrize("name", FIREWALLS)
def test_a_firewall_that_drops_what_is_forwarded_is_told(fresh, name):
    rules, whose, cure = FIREWALLS[name]
    load(fresh, rules)
    before = fresh.do(fresh.host, "nft -s list ruleset")
    result = fresh.crabcan("--", *inside(f"print(reach('{WEB}', 80, 0.5))"))
    assert result.stdout == "False\n"
    warned = [line for line in result.stderr.splitlines() if whose in line and cure in line]
    assert len(warned) == 1 and len(result.stderr.splitlines()) == 1, result.stderr
    assert fresh.do(fresh.host, "nft -s list ruleset") == before  # not ours to change


def test_its_cure_works_and_the_warning_is_gone(fresh):
    load(fresh, "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop;"
                " iifname crabcan0 accept; oifname crabcan0 ct state established,related accept; } }")
    result = fresh.crabcan("--", *GET)
    assert (result.stdout, result.stderr) == (f"{HOST}\n", "")


def test_a_firewall_that_forwards_is_no_news(fresh):
    load(fresh, "table ip filter { chain FORWARD { type filter hook forward priority 0; policy accept; tcp dport 25 drop; } }")
    assert fresh.crabcan("--", *GET).stderr == ""


@pytest.mark.parametrize("taken, expected", [
    ("ip link add vpn type bridge; ip addr add 10.211.0.9/24 dev vpn; ip link set vpn up", "172.29.0.2"),
    ("ip link add vpn type bridge; ip link set vpn up; ip route add 10.0.0.0/8 dev vpn", "172.29.0.2"),
    ("ip link add vpn type bridge; ip link set vpn up; ip route add 10.0.0.0/8 dev vpn table 7; ip route add 172.16.0.0/12 dev vpn", "192.168.0.2"),
    ("ip link add vpn type bridge; ip link set vpn up; ip route add 10.211.0.128/32 dev vpn", "172.29.0.2"),
    ("ip link add vpn type bridge; ip link set vpn up; ip route add 0.0.0.0/1 dev vpn; ip route add 128.0.0.0/1 dev vpn", f"{FIRST}.2")])
def test_a_range_in_use_is_not_taken(fresh, taken, expected):
    """By an address, a route of a VPN, in whichever table; a VPN that takes all with two halves leaves them."""
    fresh.do(fresh.host, taken)
    result = fresh.crabcan("--", "sh", "-c", "ip -o -4 addr show eth0")
    assert f" {expected}/24 " in result.stdout, result
    assert ("in use" in result.stderr) == (expected != f"{FIRST}.2")


def test_packets_fit_the_way_out(world, as_before):
    with world.background("--", "sh", "-c", "cat /sys/class/net/eth0/mtu; read x") as running:
        assert running.ready() == "1400"
        assert "mtu 1400" in world.do(world.host, "ip link show crabcan0; ip link show crabcan2")


def test_large_transfers_arrive_whole(world, as_before):
    result = world.root.run(*inside(f"print(len(get('http://{WEB}/30000000')), get('http://{WEB}/7', bytes(30000000)))"),
                            options=["--net", "bridge"])
    assert result == "30000000 xxxxxxx\n"


def test_the_stub_of_the_host_s_resolver_is_not_asked(world, as_before):
    """systemd-resolved's 127.0.0.53: in there, that is nobody."""
    shown = world.root.run("cat", "/etc/resolv.conf", options=["--net", "bridge"])
    assert shown == f"nameserver {NAMES}\nsearch test\n"
    assert world.root.run("cat", "/etc/resolv.conf", options=["--net", "bridge", "--dns", "192.0.2.7", "--dns", "2001:db8::7"]
                          ).startswith("nameserver 192.0.2.7\nnameserver 2001:db8::7\n")


def test_a_resolver_that_nobody_reaches_is_told(fresh):
    fresh.do(fresh.host, "rm /run/systemd/resolve/resolv.conf")
    assert "--dns" in fresh.crabcan("true").stderr
    (fresh.folder / "resolv.conf").write_text(f"nameserver {HOST}\n")  # the host's own address
    assert "--dns" in fresh.crabcan("true").stderr


def test_names_and_addresses_that_are_asked_for(world, as_before):
    options = ["--net", "bridge", "--ip", f"{FIRST}.77", "--mac", "02-00-00-00-00-07", "--add-host", "db:192.0.2.9",
               "--add-host", "six=2001:db8::9", "-h", "box", "--name", "my_web"]
    shown = world.root.run("sh", "-c", "ip -o addr show eth0; ip link show eth0; cat /etc/hosts", options=options)
    for words in f"inet {FIRST}.77/24", "link/ether 02:00:00:00:00:07", "192.0.2.9 db\n", "2001:db8::9 six\n", f"{FIRST}.77 box my_web\n", "::4d/64":
        assert words in shown, shown


def test_a_network_of_six(world, as_before):
    """A prefix of our own (fd...), the same each time; out there it is the host's address, too."""
    first, again = (world.root.run(*inside(f"print(get('http://[{WEB6}]/'), open('/etc/hosts').read().split()[-4:])"),
                                   options=["--net", "bridge"]) for _ in range(2))
    assert first.startswith("2001:db8:1::2 ") and "fd" in first and first.split()[1] == again.split()[1]
    prefix = world.root.run("sh", "-c", "ip -o -6 addr show eth0 scope global", options=["--net", "bridge"]).split()[3].split("::")[0]
    assert f" {prefix}::abc/64 " in world.root.run("sh", "-c", "ip -o -6 addr show eth0", options=["--net", "bridge", "--ip6", f"{prefix}::abc"])
    result = world.crabcan("--ip6", "2001:db8::1", "true")
    assert result.returncode == 125 and prefix in result.stderr


def test_what_follows_from_another_number_is_kept_for_that_one(world, as_before):
    """The bridge's own, too."""
    prefix = world.root.run("sh", "-c", "ip -o -6 addr show eth0 scope global", options=["--net", "bridge"]).split()[3].split("::")[0]
    for words, whose in (["--mac", "02:cc:0a:d3:00:07"], 7), (["--mac", "02:cc:0a:d3:00:01"], 1), (["--ip6", f"{prefix}::9"], 9):
        result = world.crabcan(*words, "true")
        assert result.returncode == 125 and f"kept for who has {FIRST}.{whose}" in result.stderr, result.stderr
        if whose > 1:
            assert world.crabcan(*words, "--ip", f"{FIRST}.{whose}", "true").returncode == 0


def test_a_host_without_ipv6(fresh):
    fresh.do(fresh.host, "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6")
    result = fresh.crabcan("-p", "8080:80", "--", *GET)
    assert (result.stdout, result.stderr) == (f"{HOST}\n", "")
    result = fresh.crabcan("--ip6", "fd00::7", "true")
    assert result.returncode == 125 and "IPv6" in result.stderr and len(result.stderr.splitlines()) == 1


def test_a_host_that_believes_routers_still_does(world, as_before):
    """Who forwards IPv6 stops, and would lose its own way out; and afterwards all is as before."""
    path = "/proc/sys/net/ipv6/conf/up0/accept_ra"
    assert world.do(world.host, f"cat {path}") == "1\n"
    with world.background("--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        assert world.do(world.host, f"cat {path} /proc/sys/net/ipv6/conf/all/forwarding") == "2\n1\n"


def test_without_a_way_out_there_are_still_neighbours(fresh):
    fresh.do(fresh.host, f"ip route del default via {ROUTER}; ip -6 route del default")
    result = fresh.crabcan("--", "sh", "-c", "cat /sys/class/net/eth0/mtu")
    assert (result.stdout, result.stderr) == ("1500\n", "")


def test_without_nft_nobody_would_guard_it(fresh):
    fresh.do(fresh.host, "mount -t tmpfs tmpfs /mnt; touch /mnt/none; chmod 000 /mnt/none")
    script = ("import sys\nfrom crabcan_steps import cli\nfrom crabcan_steps.net import nft\nnft.PROGRAMS = ('/no/nft',)\n"
              "sys.exit(cli.main(['run', '--net', 'bridge', 'true']))")
    result = fresh.root.script(script)
    assert result.returncode == 125 and "apt-get install nftables" in result.stderr and len(result.stderr.splitlines()) == 1
    assert settled(fresh) == []


def test_a_root_without_the_files_is_shown_as_it_is(world, as_before, tmp_path):
    """Nothing is written into it; what it lacks, it goes without, and one line says so."""
    for name in "proc", "sys", "dev", "usr", "etc":
        (tmp_path / name).mkdir()
    for name in "bin", "lib", "lib64", "sbin":
        (tmp_path / name).symlink_to(f"usr/{name}")
    (tmp_path / "etc/hosts").write_text("of the root\n")
    (tmp_path / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    result = world.crabcan("-m", str(tmp_path), "-v", "/usr:/usr:ro", "--", "cat", "/etc/hosts")
    assert "localhost" in result.stdout and "of the root" not in result.stdout, result
    assert "/etc/resolv.conf" in result.stderr and len(result.stderr.splitlines()) == 1
    assert (tmp_path / "etc/hosts").read_text() == "of the root\n" and not (tmp_path / "run").exists()


def test_a_host_that_has_given_all_ranges_away_is_told_in_one_line(fresh):
    fresh.do(fresh.host, "ip link add vpn type bridge; ip link set vpn up; for r in 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16;"
                         " do ip route add $r dev vpn; done")
    result = fresh.crabcan("true")
    assert result.returncode == 125 and "ip route" in result.stderr and len(result.stderr.splitlines()) == 1
    assert "crabcan0" not in fresh.state()


def test_somebody_else_s_bridge_of_that_name_stays_his(fresh):
    fresh.do(fresh.host, "ip link add crabcan0 type bridge")
    result = fresh.crabcan("true")
    assert result.returncode == 125 and "ip link del" in result.stderr and len(result.stderr.splitlines()) == 1
    assert "crabcan0" in fresh.do(fresh.host, "ip -o link")


def test_a_firewall_s_reload_that_flushes_our_rules_is_told_and_cured(fresh):
    with fresh.background("--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        fresh.do(fresh.host, "nft flush ruleset")
        result = fresh.crabcan("true")
        assert result.returncode == 125 and "flushed" in result.stderr and len(result.stderr.splitlines()) == 1
    assert settled(fresh) == []
    assert fresh.crabcan("--", *GET).stdout == f"{HOST}\n"


@pytest.mark.parametrize("lacks", ["net_admin", "/proc/sys"])
def test_without_the_power_one_line_says_so_and_nothing_is_left(fresh, lacks):
    who = fresh.root
    if lacks == "net_admin":
        who = type(who)("root", who.python[len(who.prefix):], who.environment["PYTHONPATH"],
                        [*who.prefix, "setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "--"])
    else:
        fresh.do(fresh.host, "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys")
    result = who.crabcan("run", "--net", "bridge", "true")
    assert result.returncode == 125 and len(result.stderr.splitlines()) == 1 and "network" in result.stderr, result.stderr
    assert settled(fresh) == []
