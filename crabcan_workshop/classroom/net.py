"""A network namespace for each learner: `net.py up` and `net.py down`, at each start of the machine.

What listens on loopback is reached by everybody on a machine, and so are abstract sockets. In a
namespace of one's own both are one's own: two learners may publish the same port, and neither sees
the other's. The only neighbour is the machine, and of it only the proxy's inner side.
"""
import os
import subprocess
import sys

from . import settings

TABLE = "crabcan_class"
RULES = """table inet {table}
delete table inet {table}
table inet {table} {{
  chain input {{
    type filter hook input priority -10;
    iifname != "cl-*" return
    ct state established,related accept
    ip daddr {gate} tcp dport {inside} ct state new accept
    counter drop
  }}
  chain forward {{
    type filter hook forward priority -10;
    oifname "cl-*" ct state established,related accept
    oifname "cl-*" counter drop
    iifname "cl-*" {outwards}
  }}
  chain output {{
    type filter hook output priority -10;
    oifname "cl-*" ct state new meta skuid != {{ 0, {proxy} }} counter reject
  }}
{nat}}}
"""
NAT = """  chain postrouting {
    type nat hook postrouting priority srcnat;
    ip saddr 10.77.1.0/24 masquerade
  }
"""
PRIVATE = "ip daddr { 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, 100.64.0.0/10 }"


def rules(chosen):
    """The firewall: from the learners' cables only to the gate, to them only from the proxy and the Hub."""
    import pwd
    internet = chosen.get("internet")
    return RULES.format(table=TABLE, gate=settings.GATE, inside=settings.INSIDE, nat=NAT * bool(internet),
                        proxy=pwd.getpwnam("www-data").pw_uid,
                        outwards=f"{PRIVATE} counter drop" if internet else "counter drop")


def cable(learner):
    """The name of the machine's end."""
    return f"cl-{learner['number']}"


def ways(learner):
    """The calls of ip(8) that make a learner's namespace and its cable."""
    name, address, end = settings.account(learner["name"]), settings.address(learner), cable(learner)
    yield f"netns add {name}"
    yield f"-n {name} link set lo up"
    yield f"link add {end} type veth peer name eth0 netns {name}"
    yield f"link set {end} up"
    yield f"-n {name} addr add {address}/32 dev eth0"
    yield f"-n {name} link set eth0 up"
    yield f"-n {name} route add {settings.GATE} dev eth0"
    yield f"-n {name} route add default via {settings.GATE} dev eth0"
    yield f"route add {address}/32 dev {end} src {settings.GATE}"


def ip(line, quiet=False):
    silent = subprocess.DEVNULL if quiet else None
    return subprocess.run(["ip", *line.split()], check=not quiet, stdout=silent, stderr=silent).returncode == 0


def up(chosen):
    """Makes what is missing of it; what is there, with servers in it, stays."""
    ip(f"addr add {settings.GATE}/32 dev lo", quiet=True)  # the gate's own: cables come and go
    subprocess.run(["nft", "-f", "-"], input=rules(chosen), text=True, check=True)
    for learner in chosen["learners"]:
        if not ip(f"-n {settings.account(learner['name'])} route get {settings.GATE}", quiet=True):
            away(learner)
            for line in ways(learner):
                ip(line)


def away(learner):
    ip(f"link del {cable(learner)}", quiet=True)
    ip(f"netns del {settings.account(learner['name'])}", quiet=True)


def down(chosen):
    for learner in chosen["learners"]:
        away(learner)
    ip(f"addr del {settings.GATE}/32 dev lo", quiet=True)
    subprocess.run(["nft", f"delete table inet {TABLE}"], stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    {"up": up, "down": down}[sys.argv[1]](settings.load())
