"""What a verdict of the matrix is made of: which facts were looked at, and how to see them oneself."""

LOOK = {  # property: a command that shows it, for a checkpoint's `crabcan step N -- `
    "environ": "env",
    "pid": "sh -c 'echo I am $$; ps ax | head'",
    "name": "sh -c 'uname -n; readlink /proc/self/ns/uts'",
    "files": "ls /home /root",
    "mounts": "sh -c 'readlink /proc/self/ns/mnt; cat /proc/self/mountinfo'",
    "proc": "cat /proc/interrupts",
    "users": "cat /proc/self/uid_map",
    "ipc": "sh -c 'readlink /proc/self/ns/ipc; ipcs -q'",
    "keys": "cat /proc/keys",
    "network": "sh -c 'readlink /proc/self/ns/net; cat /proc/net/dev'",
    "cgroup": "sh -c 'readlink /proc/self/ns/cgroup; cat /proc/self/cgroup'",
    "time": "readlink /proc/self/ns/time",
    "caps": "grep Cap /proc/self/status",
    "no_new": "grep NoNewPrivs /proc/self/status",
    "filter": "grep Seccomp: /proc/self/status",
    "calls": "unshare --user true",
    "memory": "python3 -c 'bytearray(128 << 20)[::4096]'",
    "pids": "sh -c 'for n in $(seq 40); do sleep 1 & done; wait'",
    "cpu": "sh -c 'timeout 1 sh -c \"while :; do :; done\"; times'",
    "nofile": "sh -c 'ulimit -n'",
    "session": "ps -o pid,sid,tty",
}
LIMITED = {"memory": "--memory 64M ", "pids": "--pids 20 ", "cpu": "--cpus 0.2 "}


class Noted(dict):
    """Facts that note which of them were asked for."""

    def __init__(self, facts, side, found):
        super().__init__({key: Noted(value, f"{side}: {key}", found) if type(value) is dict else value
                          for key, value in facts.items()})
        self.side, self.found = side, found

    def __getitem__(self, key):
        value = super().__getitem__(key)
        if type(value) is not Noted:
            self.found[f"{self.side}: {key}"] = value
        return value

    def values(self):
        return [self[key] for key in self]


def test(tried, inside, outside, host):
    """(the verdict of a property's test, the facts that it is made of)."""
    found = {}
    return tried(*(Noted(facts, side, found) for facts, side in
                   ((inside, "inside"), (outside, "outside"), (host, "the host")))), found


def command(name, step):
    """What shows a property of a checkpoint to whoever types it."""
    if step == 0:
        return LOOK[name]
    return f"crabcan step {step} {LIMITED.get(name, '') if step >= 8 else ''}-- {LOOK[name]}"


def tell(name, chapter, title, meaning, step, cell, found):
    """A failed property in one line: the layer, what should be, what was seen, how to see it."""
    seen = ", ".join(f"{fact} is {value!r}" for fact, value in found.items()) or "nothing"
    should, other = ("closed", "open") if step >= chapter else ("open", "closed")
    cell = other if cell == "wrong" else cell
    return (f"chapter {chapter} ({title}): {name} ({meaning}) should be {should} in checkpoint {step}, "
            f"and is {cell}. Seen: {seen}. Look: {command(name, step)}")
