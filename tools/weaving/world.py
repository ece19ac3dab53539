"""A network to play in: a host of its own, and an "internet" behind it. Neither is this machine's.

    a block of commands            the internet
    eth0 198.51.100.7 ------------ 198.51.100.1
         2001:db8:1::7             2001:db8:1::1
                                   203.0.113.80, 2001:db8:2::80   web servers: tell whom they see
                                   203.0.113.53                   a DNS server: knows example.com
                                   169.254.169.254                what clouds have: keys for who asks

Each is a network namespace (the addresses are those for documentation, RFC 5737 and 3849). They end
with the command that runs in here, and with them whatever it has done to its network.

  world.py [UID GID] COMMAND [ARG ...]     runs a command in such a world, as root or somebody else
"""
import ctypes
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST, ROUTER, WEB, DNS, CLOUD = "198.51.100.7", "198.51.100.1", "203.0.113.80", "203.0.113.53", "169.254.169.254"
HOST6, ROUTER6, WEB6 = "2001:db8:1::7", "2001:db8:1::1", "2001:db8:2::80"
NAMES = {"example.com": (WEB, WEB6), "www.example.com": (WEB, WEB6)}
MAC = "02:00:c6:33:64:"  # 198.51.100 in hexadecimal
MACHINE = "0123456789abcdef0123456789abcdef"  # of which the containers' IPv6 prefix is made
CLONE_NEWNS, CLONE_NEWNET, PR_SET_PDEATHSIG = 0x20000, 0x40000000, 1
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x1000, 0x4000, 1 << 18, 2
LIBC = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    if getattr(LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def ip(*lines):
    """Several commands of ip(8), in one process."""
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True, stdout=subprocess.DEVNULL)


def switch(values):
    """Sets sysctls of this network namespace: a new one has what the machine has."""
    for name, value in values.items():
        if os.path.exists(f"/proc/sys/net/{name}"):
            with open(f"/proc/sys/net/{name}", "w") as file:
                file.write(str(value))


# ---------------------------------------------------------------- the internet

def internet(ours, parent):
    """A child with a network of its own; returns its pid when it has one, and its servers listen."""
    pid = os.fork()
    if pid:
        return pid
    try:
        call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
        call("unshare", CLONE_NEWNET)
        ours.send(b"there")
        ours.recv(1)  # until the cable is plugged in
        ip("link set lo up", f"address add {ROUTER}/24 dev eth0", f"address add {WEB}/32 dev lo",
           f"address add {DNS}/32 dev lo", f"address add {CLOUD}/32 dev lo", "link set eth0 up")
        if os.path.exists("/proc/sys/net/ipv6/conf/eth0"):
            ip(f"address add {ROUTER6}/64 dev eth0 nodad", f"address add {WEB6}/128 dev lo nodad")
        serve(ours)
    except BaseException as error:
        print(f"world: {error}", file=sys.stderr)
    os._exit(1)


def serve(ours):
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    kind = type("Server", (ThreadingHTTPServer,), {"address_family": family, "server_bind": bind})
    web = kind(("", 80), Web)
    dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    dns.bind((DNS, 53))
    ours.send(b"ready")
    threading.Thread(target=web.serve_forever, daemon=True).start()
    while True:
        question, client = dns.recvfrom(512)
        dns.sendto(answer(question), client)


def bind(server):
    if server.address_family == socket.AF_INET6:
        server.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.socket.bind(server.server_address)
    server.server_name, server.server_port = "example.com", 80


class Web(BaseHTTPRequestHandler):
    """Tells each visitor whom it sees, or, on the address of the cloud's, the keys of the machine."""

    def do_GET(self):
        where = self.connection.getsockname()[0].removeprefix("::ffff:")
        text = f"you are {self.client_address[0].removeprefix('::ffff:')}\n"
        if where == CLOUD:
            text = "the keys of this machine: 0123456789\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *words):
        pass


def answer(question):
    """The answer to a DNS question (RFC 1035): A and AAAA of NAMES, and no such name for the rest."""
    at, labels = 12, []
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]].decode(errors="replace"))
        at += 1 + question[at]
    name, kind = ".".join(labels).lower(), int.from_bytes(question[at + 1:at + 3], "big")
    raw = {1: lambda: socket.inet_aton(NAMES[name][0]),
           28: lambda: socket.inet_pton(socket.AF_INET6, NAMES[name][1])}.get(kind) if name in NAMES else None
    head = question[:2] + struct.pack(">5H", 0x8180 if name in NAMES else 0x8183, 1, 1 if raw else 0, 0, 0)
    text = head + question[12:at + 5]
    if raw:
        text += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(raw())) + raw()
    return text


# ---------------------------------------------------------------- the host

def enter():
    """Makes the world; this process is on its host from now on."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = internet(theirs, os.getpid())
    theirs.close()
    if ours.recv(9) != b"there":
        raise OSError("the internet could not be made")
    call("unshare", CLONE_NEWNET | CLONE_NEWNS)
    call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    furnish()
    ip("link set lo up", f"link add eth0 address {MAC}07 type veth peer name eth0 address {MAC}01 netns {pid}",
       f"address add {HOST}/24 dev eth0", "link set eth0 up", f"route add default via {ROUTER}")
    if os.path.exists("/proc/sys/net/ipv6/conf/eth0"):
        ip(f"address add {HOST6}/64 dev eth0 nodad", f"route add default via {ROUTER6} dev eth0")
    switch({"ipv4/ip_forward": 0, "ipv6/conf/all/forwarding": 0,
            "bridge/bridge-nf-call-iptables": 0, "bridge/bridge-nf-call-ip6tables": 0})
    ours.send(b"!")
    if ours.recv(9) != b"ready":
        raise OSError("the internet has no servers")
    os.set_inheritable(ours.fileno(), False)
    return pid


def furnish():
    """What belongs to a network in the file system: /sys/class/net, and which server knows names."""
    call("mount", b"run", b"/run", b"tmpfs", 0, b"mode=755")
    os.mkdir("/run/cgroup")
    call("mount", b"/sys/fs/cgroup", b"/run/cgroup", None, MS_BIND | MS_REC, None)
    call("mount", b"sys", b"/sys", b"sysfs", 0, None)
    call("mount", b"/run/cgroup", b"/sys/fs/cgroup", None, MS_BIND | MS_REC, None)
    call("umount2", b"/run/cgroup", MNT_DETACH)
    os.rmdir("/run/cgroup")
    if os.path.exists("/dev/net/tun"):  # which udev gives to everybody, where there is one
        call("mount", b"tun", b"/dev/net", b"tmpfs", 0, b"mode=755")
        os.mknod("/dev/net/tun", 0o600 | stat.S_IFCHR, os.makedev(10, 200))
        os.chmod("/dev/net/tun", 0o666)
    for path, text in (("/etc/resolv.conf", f"nameserver {DNS}\n"), ("/etc/machine-id", f"{MACHINE}\n")):
        if os.path.exists(path):
            with open(ours := f"/run/{os.path.basename(path)}", "w") as file:
                file.write(text)
            call("mount", ours.encode(), os.path.realpath(path).encode(), None, MS_BIND, None)


def main(words):
    user = words[:2] if words[0].isdigit() else None
    enter()
    if user:
        words = words[2:]
        os.setgroups([int(user[1])])
        os.setgid(int(user[1]))
        os.setuid(int(user[0]))
    for number in signal.SIGPIPE, signal.SIGXFSZ:  # which Python ignores, and a shell does not
        signal.signal(number, signal.SIG_DFL)
    os.execvp(words[0], words)


if __name__ == "__main__":
    main(sys.argv[1:])
