"""What the kernel says of a process that stands still: all that a state is compared with (proc(5))."""
import ctypes
import fcntl
import ipaddress
import os
import socket
import struct

libc = ctypes.CDLL(None, use_errno=True)
STATUS = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs",
          "Seccomp", "Seccomp_filters", "Umask", "NSpid")
SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFNETMASK = 0x8913, 0x8915, 0x891B
RTF_REJECT, RTF_LOCAL, RTF_ANYCAST = 0x200, 0x80000000, 0x00100000  # <linux/route.h>, <linux/ipv6_route.h>
KINDS = ("pid", "uts", "mnt", "user", "ipc", "net", "cgroup", "time")


def read(pid, name):
    with open(f"/proc/{pid}/{name}", errors="surrogateescape") as file:
        return file.read()


def facts(pid):
    """What /proc says of a stopped process."""
    status = dict(line.split(":\t", 1) for line in read(pid, "status").splitlines() if ":\t" in line)
    return {
        "status": {name: status[name].strip() for name in STATUS if name in status},
        "namespaces": {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in KINDS
                       if os.path.lexists(f"/proc/{pid}/ns/{kind}")},
        "uid_map": read(pid, "uid_map").split(), "gid_map": read(pid, "gid_map").split(),
        "setgroups": read(pid, "setgroups").strip(), "mountinfo": read(pid, "mountinfo").splitlines(),
        "root": place(pid, "root"), "cwd": place(pid, "cwd"), "limits": read(pid, "limits").splitlines(),
        "cgroup": read(pid, "cgroup").splitlines(), "session": read(pid, "stat").rpartition(")")[2].split()[3],
        "pid": pid, "descriptors": {fd: descriptor(pid, fd) for fd in os.listdir(f"/proc/{pid}/fd")},
        "hostname": joined(pid, "uts", lambda: os.uname().nodename), "network": joined(pid, "net", network)}


def place(pid, name):
    """The mount's number in mountinfo, and where the link leads."""
    fd = os.open(f"/proc/{pid}/{name}", os.O_PATH)
    info = dict(line.split(":\t") for line in read("self", f"fdinfo/{fd}").splitlines())
    os.close(fd)
    return info["mnt_id"], os.readlink(f"/proc/{pid}/{name}")


def descriptor(pid, fd):
    info = dict(line.split(":\t", 1) for line in read(pid, f"fdinfo/{fd}").splitlines() if ":\t" in line)
    return [os.readlink(f"/proc/{pid}/fd/{fd}"), bool(int(info["flags"], 8) & os.O_CLOEXEC), info["mnt_id"]]


def joined(pid, kind, look):
    """Looks at something from within a process's namespace."""
    ours, theirs = os.open(f"/proc/self/ns/{kind}", os.O_RDONLY), os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
    try:
        assert libc.setns(theirs, 0) == 0, os.strerror(ctypes.get_errno())
        return look()
    finally:
        assert libc.setns(ours, 0) == 0
        os.close(ours)
        os.close(theirs)


def network():
    """Links with their addresses, and routes, of the namespace that we are in."""
    links = {name: {"up": up(name), "addresses": addresses(name)} for _, name in socket.if_nameindex()}
    for words in map(str.split, text("if_inet6")):
        address = f"{ipaddress.ip_address(bytes.fromhex(words[0]))}/{int(words[2], 16)}"
        if words[3] != "20":  # the kernel's own, of the link's (fe80::)
            links[words[5]]["addresses"].append(address)
    return {"links": {name: {**link, "addresses": sorted(link["addresses"])} for name, link in links.items()},
            "routes": sorted([*routes(links), *routes_of_6(links)])}


def routes(links):
    """The routes of version 4 that the kernel has not made itself, with an address, in ip(8)'s words."""
    for link, where, gateway, flags, *_, mask, _, _, _ in map(str.split, text("route")[1:]):
        address = ipaddress.ip_address(bytes.fromhex(where)[::-1])
        to = f"{address}/{int(mask, 16).bit_count()}"
        yield from route(links, link, to, ipaddress.ip_address(bytes.fromhex(gateway)[::-1]), int(flags, 16))


def routes_of_6(links):
    """The same of version 6; of a link's own addresses (fe80::), and to groups, they are all the kernel's."""
    for words in map(str.split, text("ipv6_route")):
        address, flags = ipaddress.ip_address(bytes.fromhex(words[0])), int(words[8], 16)
        if words[5] != "f" * 8 and not flags & (RTF_LOCAL | RTF_ANYCAST) and not address.is_multicast \
                and not address.is_link_local:
            to = f"{address}/{int(words[1], 16)}"
            yield from route(links, words[9], to, ipaddress.ip_address(bytes.fromhex(words[4])), flags)


def route(links, link, to, gateway, flags):
    where = "default" if to.endswith("/0") else to
    if flags & RTF_REJECT:
        yield f"unreachable {where}"
    elif int(gateway):
        yield f"{where} via {gateway}"
    elif to not in [str(ipaddress.ip_interface(each).network) for each in links[link]["addresses"]]:
        yield f"{where} dev {link}"


def text(name):
    """The lines of a file in /proc/net, which is the namespace's; none where there is no such protocol."""
    try:
        with open(f"/proc/thread-self/net/{name}") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def asked(name, request):
    """What an ioctl says of a link (netdevice(7)); None if there is nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        try:
            return fcntl.ioctl(own, request, struct.pack("16s24x", name.encode()))[16:]
        except OSError:
            return None


def up(name):
    flags = asked(name, SIOCGIFFLAGS)  # of the host's one may be gone by now
    return bool(flags and flags[0] & 1)


def addresses(name):
    """The address of version 4, with its length."""
    address, mask = asked(name, SIOCGIFADDR), asked(name, SIOCGIFNETMASK)
    if not address:
        return []
    length = bin(int.from_bytes(mask[4:8], "big")).count("1")
    return [f"{ipaddress.ip_address(address[4:8])}/{length}"]
