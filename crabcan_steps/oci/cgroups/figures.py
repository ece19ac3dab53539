"""What files of cgroups say, as numbers; and what both versions count in the same way."""
from ... import linux
from ...layer import exists

HUGE = "/sys/kernel/mm/hugepages"
NONE = 2**64 - 1


def number(path, file, otherwise=0):
    """A file with a number in it; `otherwise` if there is none."""
    text = lines(path, file)
    word = text[0].strip() if text else ""
    return NONE if word == "max" else int(word) if word.lstrip("-").isdigit() else otherwise


def lines(path, file):
    if path is None or not exists(f"{path}/{file}"):
        return []
    return linux.read(f"{path}/{file}").splitlines()


def table(path, file):
    """A file of lines such as `cache 4096`."""
    return {name: int(value) for name, value in (line.split(None, 1) for line in lines(path, file))
            if value.strip().lstrip("-").isdigit()}


def listed(text):
    """0-2,7 as a list of numbers."""
    ranges = [part.partition("-") for part in ",".join(text).split(",") if part]
    return [one for first, _, last in ranges for one in range(int(first), int(last or first) + 1)]


def pids(path):
    limit = number(path, "pids.max")
    return {"current": number(path, "pids.current"), "limit": 0 if limit == NONE else limit}


def hugetlb(path, usage, most):
    """For each size of pages: reservations, where the kernel counts them."""
    found = {}
    for entry in linux.listdir(HUGE) if path and exists(HUGE) else ():
        size = int(entry.removeprefix("hugepages-").removesuffix("kB"))
        power = 2 if size >= 1 << 20 else 1 if size >= 1 << 10 else 0
        name = f"hugetlb.{size >> 10 * power}{'KMG'[power]}B"
        rsvd = ".rsvd" if exists(f"{path}/{name}.rsvd.{usage}") else ""
        failed = (table(path, f"{name}.events").get("max", 0) if usage == "current"
                  else number(path, f"{name}{rsvd}.failcnt"))
        found[name.partition(".")[2]] = {"usage": number(path, f"{name}{rsvd}.{usage}"),
                                         "max": number(path, f"{name}{rsvd}.{most}"),
                                         "failcnt": failed}
    return found
