"""How a value of linux.resources is said in a file of a cgroup: text, or a list of lines."""
import math

from ...layer import LayerError

NAME = "cgroups"  # of the layer
PERIOD = "100000"  # microseconds, cpu.max's own


def refused(option, why, number=0):
    return LayerError(NAME, f"linux.resources.{option}", number, why)


def most(value):
    return "max" if value < 0 else str(value)


def processes(value):
    return "max" if value < 0 else str(max(1, value))  # 0 is a limit, and the first one is there


def weight(shares):
    """The curve that runtimes agree on: 2 is 1, 1024 is 100, 262144 is 10000."""
    if shares <= 2 or shares >= 262144:
        return "1" if shares <= 2 else "10000"
    log = math.log2(shares)
    return str(math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34)))


def io_weight(value):
    return str(1 + (value - 10) * 9999 // 990)  # 10 to 1000 become 1 to 10000


def each(key, form):
    """For a list of devices: a line for each that says something by this key."""
    return lambda devices: [f"{device['major']}:{device['minor']} {form(device[key])}"
                            for device in devices if device.get(key) is not None]


def rate(word):
    return each("rate", lambda value: f"{word}{value}")


def switch(value):
    return "1" if value else "0"


def percent(value):
    if not 0 <= value <= 100:  # the kernel would take more, which means something else
        raise refused("memory.swappiness", f"{value}: must be from 0 to 100")
    return str(value)


def names(priorities):
    return [f"{one['name']} {one['priority']}" for one in priorities]


def rdma(devices):
    words = {"hcaHandles": "hca_handle", "hcaObjects": "hca_object"}
    return [" ".join([name] + [f"{words[key]}={value}" for key, value in limits.items()
                               if key in words]) for name, limits in devices.items()]
