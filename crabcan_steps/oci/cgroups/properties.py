"""What systemd knows of a container's limits, as busctl(1) wants to hear it.

A property is (name, signature of D-Bus, value): systemd.resource-control(5) says what each means.
"""
from ...layer import LayerError
from .limits import wanted
from .words import PERIOD, processes, refused, weight

NONE = 2**64 - 1  # what systemd calls infinity


def arguments(properties):
    """Properties as words of a command line: how many, and then each."""
    words = [str(len(properties))]
    for name, signature, value in properties:
        words += [name, signature]
        words += [str(len(value)), *map(str, value)] if signature[0] == "a" else [str(value)]
    return words


def limits(version, resources):
    """The properties for linux.resources. What systemd has no word for is written by ourselves."""
    options, found = wanted(resources), []

    def add(option, name, form=str):
        if option in options:
            found.append((name, "t", form(options[option])))

    add("memory.limit", "MemoryMax" if version == 2 else "MemoryLimit", endless)
    if version == 2:
        add("memory.reservation", "MemoryLow", endless)
        add("cpu.shares", "CPUWeight", weight)
        memory, both = options.get("memory.limit"), options.get("memory.swap")
        if both is not None and (both < 0 or (memory or 0) > 0):
            found.append(("MemorySwapMax", "t", NONE if both < 0 else max(0, both - memory)))
    else:
        add("cpu.shares", "CPUShares")
        add("blockIO.weight", "BlockIOWeight")
    if "pids.limit" in options:
        found.append(("TasksMax", "t", NONE if options["pids.limit"] < 0
                      else processes(options["pids.limit"])))
    if "cpu.quota" in options or "cpu.period" in options:
        found += quota(options.get("cpu.quota", -1), options.get("cpu.period", int(PERIOD)))
    for option, name in ("cpu.cpus", "AllowedCPUs"), ("cpu.mems", "AllowedMemoryNodes"):
        if option in options:
            found.append((name, "ay", bits(option, options[option])))
    return found + unified(resources.get("unified") or {})


def endless(value):
    return NONE if value < 0 else value


def quota(microseconds, period):
    """systemd counts in hundredths of a processor, and rounds up."""
    each = NONE if microseconds <= 0 else -(-microseconds * 100 // period) * 10000
    return [("CPUQuotaPeriodUSec", "t", period), ("CPUQuotaPerSecUSec", "t", each)]


def bits(option, text):
    """A list such as 0-3,7 as the bytes of a mask."""
    mask = 0
    try:
        for part in text.split(","):
            first, dash, last = part.strip().partition("-")
            for number in range(int(first), int(last if dash else first) + 1):
                mask |= 1 << number
    except ValueError:
        raise refused(option, f"'{text}' is no list such as 0-3,7") from None
    return list(mask.to_bytes((mask.bit_length() + 7) // 8 or 1, "little"))


def unified(files):
    """Version 2's own words, as far as systemd knows them."""
    names = {"memory.high": "MemoryHigh", "memory.low": "MemoryLow", "memory.min": "MemoryMin",
             "memory.max": "MemoryMax", "memory.swap.max": "MemorySwapMax", "pids.max": "TasksMax",
             "cpu.weight": "CPUWeight"}
    found = []
    for file, text in files.items():
        text = text.strip()
        if file in names and (text == "max" or text.isdigit()):
            found.append((names[file], "t", NONE if text == "max" else text))
        elif file == "cpu.max" and text:
            words = [*text.split(), PERIOD]
            found += quota(-1 if words[0] == "max" else int(words[0]), int(words[1]))
        elif file in ("cpuset.cpus", "cpuset.mems"):
            name = "AllowedCPUs" if file == "cpuset.cpus" else "AllowedMemoryNodes"
            found.append((name, "ay", bits(f"unified['{file}']", text)))
    return found


def of_annotations(annotations):
    """Annotations org.systemd.property.NAME: properties in the text form of D-Bus's variants."""
    prefix, found = "org.systemd.property.", []
    for key, text in (annotations or {}).items():
        if key.startswith(prefix):
            name = key.removeprefix(prefix)
            if not name.isalnum() or len(name) < 3 or not name[0].isupper():
                raise LayerError("cgroups", f"annotations['{key}']", 0, "not a property's name")
            kind, value = variant(text.strip())
            if name.endswith("Sec") and not name.endswith("USec"):  # of runtimes before us: seconds
                name, kind, value = name[:-3] + "USec", "t", int(float(value) * 1_000_000)
            found.append((name, kind, value))
    return found


def variant(text):
    """Text such as true, 5, uint64 5, 'x' or ['x', 'y'] as (signature, value)."""
    kinds = {"byte": "y", "int16": "n", "uint16": "q", "int32": "i", "uint32": "u", "int64": "x",
             "uint64": "t", "double": "d", "string": "s", "boolean": "b"}
    word, space, rest = text.partition(" ")
    if space and word in kinds:
        return kinds[word], rest.strip().strip("'\"")
    if text in ("true", "false"):
        return "b", text
    if text.startswith("[") and text.endswith("]"):
        return "as", [part.strip().strip("'\"") for part in text[1:-1].split(",") if part.strip()]
    if text.lstrip("-").isdigit():
        return "i", text
    if text[:1] in ("'", '"') and text[-1:] == text[:1] and len(text) > 1:
        return "s", text[1:-1]
    raise LayerError("cgroups", "annotations", 0, f"'{text}' is no value of a D-Bus property")
