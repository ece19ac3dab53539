"""What an option may say, for chapter 1: text becomes a value, or breaks a rule and is refused."""
import os

ULIMITS = ("as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc",
           "rtprio", "stack")


def check(good, text, rule):
    """Refuses an option's value with the rule that it breaks. Raises ValueError."""
    if not good:
        raise ValueError(f"'{text}': {rule}")
    return text


def something(text):
    return check(text, text, "must not be empty: is a variable not set?")


def number(least, most):
    def whole_number(text):
        check(text.isascii() and text.removeprefix("-").isdigit(), text, "must be a whole number")
        check(len(text) < 20 and least <= int(text) <= most, text, f"must be from {least} to {most}")
        return int(text)
    return whole_number


def size(text):
    """Bytes: 64M, 1.5g, 512MiB, 2kb. K, M, G and T are powers of 1024 with and without the i."""
    digits = text.lower().removesuffix("b")
    digits = digits.removesuffix("i") if digits[-2:-1].isalpha() else digits
    power = "kmgt".find(digits[-1]) + 1 if digits else 0
    digits = digits[:-1] if power else digits
    check(digits.isascii() and digits.replace(".", "", 1).isdigit(), text,
          "must be a size such as 64M, 1.5G or 512MiB")
    convert = int if digits.isdigit() else float  # a float is not exact above 2**53
    check(len(digits) < 20 and convert(digits) * 1024**power < 1 << 60, text,
          "is more than any machine has")
    return int(convert(digits) * 1024**power)


def memory(text):
    check(size(text) >= 1 << 20, text, "must be at least 1M (Python needs 10M or so)")
    return size(text)


def swap(text):
    return 1 << 60 if text in ("max", "-1", "unlimited") else memory(text)


def or_none(convert):
    """The same, and "max" or -1 for no limit at all."""
    return lambda text: None if text in ("max", "-1", "unlimited") else convert(text)


def cpus(text):
    try:
        value = float(text)
    except ValueError:
        value = 0
    check(0.01 <= value <= 4096, text, "must be a number of processors from 0.01 to 4096, such as 0.5")
    return value


def hostname(text):
    allowed = text.isascii() and text.replace("-", "a").replace(".", "a").isalnum()
    check(allowed and text[0].isalnum(), text, "must be letters, digits, '-' and '.'")
    return check(len(text) <= 64, text, "is longer than the kernel's 64 bytes")


def capabilities(text):
    """Names as capabilities(7) spells them, with or without CAP_; chapter 6 knows which exist."""
    names = [name.strip().upper().removeprefix("CAP_") for name in text.split(",")]
    for name in names:
        check(name.replace("_", "a").isalnum(), text, "must be names of capabilities, such as NET_RAW")
    return names


def caps(text):
    check(text in ("none", "docker", "all"), text, "must be none, docker or all (single ones: --cap-add NAME)")
    return text


def user(text):
    """NAME or UID, and perhaps :GROUP. What the names mean, the container's own passwd knows."""
    words = text.split(":")
    check(len(words) <= 2 and all(words), text, "must be a user's name or number, or USER:GROUP")
    for word in words:
        if word.removeprefix("-").isdigit():
            number(0, 2**32 - 2)(word)  # the last one means "as it is" to the kernel
        check(word.isprintable() and word[0] != "-" and "/" not in word, text,
              "is not the name of a user")
    return words[0], words[1] if words[1:] else None


def variable(text):
    """NAME=VALUE, or a NAME alone for what it is out here: asked for by name, it may come along."""
    name, equals, value = text.partition("=")
    check(name, text, "must be NAME=VALUE, or the NAME of a variable of yours")
    return (name, value) if equals else (name, os.environ.get(name))


def ulimit(text):
    """NAME=LIMIT or NAME=SOFT:HARD, in the units of setrlimit(2); -1 is no limit."""
    name, _, limits = text.partition("=")
    check(name in ULIMITS and limits, text, f"must be NAME=LIMIT, NAME one of {', '.join(ULIMITS)}")
    soft, _, hard = limits.partition(":")
    pair = [-1 if word in ("-1", "unlimited") else number(0, 2**62)(word)
            for word in (soft, hard or soft)]
    check(pair[1] == -1 or 0 <= pair[0] <= pair[1], text, "the soft limit is above the hard one")
    return name.upper(), *pair
