"""The tar format, read as a stream: ustar, pax and GNU (tar(5)), with names as bytes are.

What stands in a header is a claim. Numbers, lengths and sparse maps are looked at here; names are
taken as they come, and it is unpack.py that lets none of them out.
"""
import os

from .errors import ImageError
from .tarextra import old_sparse, pax, sparse_of

BLOCK = 512
LONGEST = 1 << 20  # bytes of one extended header
HEADERS = 4 << 20  # of all that one member has, and of all that are for everybody
LARGEST = 1 << 62     # bytes; off_t goes hardly further
LATEST = 10**9 << 62  # nanoseconds; time_t goes no further
REGULAR, LINK, SYMLINK, CHAR, BLOCK_DEVICE, FOLDER, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
KINDS = {b"\0": REGULAR, b"7": REGULAR, b"S": REGULAR, b"D": FOLDER}
EXTENDED = (b"L", b"K", b"x", b"g")


class Entry:
    """A member: what it claims to be. `size` is that of the file, `stored` what follows in the archive."""
    sparse = None  # (offset, length) of each piece that is there
    xattrs = ()

    def __init__(self, header):
        text = header[:100].split(b"\0")[0]
        if header[257:263] == b"ustar\0" and (prefix := header[345:500].split(b"\0")[0]):
            text = prefix + b"/" + text
        self.name, self.link = text, header[157:257].split(b"\0")[0]
        self.mode, self.uid, self.gid = (number(header[at:at + 8]) for at in (100, 108, 116))
        self.size = number(header[124:136])
        self.mtime = number(header[136:148]) * 10**9  # nanoseconds
        self.kind = header[156:157]
        self.major, self.minor = number(header[329:337]), number(header[337:345])
        self.mode &= 0o7777


def number(field):
    """Octal digits; or, with the first bit set, a signed number of two's complement. Raises ImageError."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & (1 << 8 * len(field) - 1) - 1
        return value - (1 << 8 * len(field) - 1) if field[0] & 0x40 else value
    text = field.split(b"\0")[0].strip()
    try:
        return int(text or b"0", 8)
    except ValueError:
        raise ImageError(f"a layer's tar has a header with {field[:20]!r} for a number") from None


def checked(header):
    """A header whose sum is right. Raises ImageError."""
    said = number(header[148:156])
    total = sum(header) - sum(header[148:156]) + 8 * 32
    if said != total:
        signed = total - 256 * sum(byte > 127 for byte in header[:148] + header[156:])
        if said != signed:  # as some old programs count
            raise ImageError("a layer is no tar, or a damaged one: a header's sum is wrong")
    return header


def entries(stream):
    """Each member in turn. Its data is read with data(), or else passed over. Raises ImageError."""
    more, everywhere = {}, {}
    kept = {b"g": 0, b"x": 0}  # bytes
    while header := following(stream):
        entry = Entry(checked(header))
        if entry.kind in EXTENDED:
            text = whole(stream, entry)
            which = b"g" if entry.kind == b"g" else b"x"
            kept[which] += len(text)
            if kept[which] > HEADERS:
                raise ImageError(f"a layer's tar has more than {HEADERS >> 20} MiB of extended headers: a bomb?")
            if entry.kind == b"x":
                more |= pax(text)
            elif entry.kind == b"g":
                everywhere |= pax(text)
            else:
                more[b"path" if entry.kind == b"L" else b"linkpath"] = text.split(b"\0")[0]
            continue
        complete(stream, entry, header, everywhere | more)
        more, entry.left, kept[b"x"] = {}, entry.stored, 0
        yield entry
        for _ in data(stream, entry):
            pass
        stream.read(-entry.stored % BLOCK)


def following(stream):
    """The next header; None at the end, which is a block of zeros or of nothing."""
    header = stream.read(BLOCK)
    if header.count(0) == len(header):
        return None
    if len(header) < BLOCK:
        raise ImageError("a layer's tar ends in the middle of a header")
    return header


def whole(stream, entry):
    """An extended header's text."""
    if not 0 <= entry.size <= LONGEST:
        raise ImageError(f"a layer's tar has an extended header of {entry.size} bytes")
    text = stream.read(entry.size + -entry.size % BLOCK)
    if len(text) < entry.size:
        raise ImageError("a layer's tar ends in the middle of a header")
    return text[:entry.size]


def complete(stream, entry, header, more):
    """Applies what extended headers say of a member."""
    try:
        entry.name, entry.link = more.get(b"path", entry.name), more.get(b"linkpath", entry.link)
        for field in "uid", "gid", "size":
            if text := more.get(field.encode()):
                setattr(entry, field, int(text))
        if text := more.get(b"mtime"):
            seconds, _, part = text.partition(b".")
            behind = int((part + b"000000000")[:9] or b"0")
            entry.mtime = int(seconds or b"0") * 10**9 + (-behind if seconds[:1] == b"-" else behind)
    except ValueError:
        raise ImageError("a layer's tar has an extended header with a wrong number") from None
    if abs(entry.mtime) >= LATEST:
        raise ImageError("a layer's tar has a file of a time that no clock shows")
    entry.xattrs = [(os.fsdecode(key[13:]), value) for key, value in more.items()
                    if key.startswith(b"SCHILY.xattr.")]
    kind, entry.kind = entry.kind, KINDS.get(entry.kind, entry.kind)
    if entry.kind == REGULAR and entry.name.endswith(b"/"):
        entry.kind = FOLDER  # as tar said it before it had a kind for it
    entry.stored = entry.size if entry.kind == REGULAR or kind not in b"01234567" else 0
    if kind == b"S":
        entry.stored = entry.size
        entry.sparse, entry.size = old_sparse(stream, header, number)
    elif entry.kind == REGULAR:
        sparse_of(stream, entry, more)
    if not (0 <= entry.size < LARGEST and 0 <= entry.stored < LARGEST):
        raise ImageError(f"a layer's tar has a file of {entry.size} bytes")
    if entry.sparse is not None:
        covered(entry)


def covered(entry):
    """Refuses a sparse map that is not in order, or not that of its data."""
    end = 0
    for offset, length in entry.sparse:
        if offset < end or length < 0 or offset + length > entry.size:
            raise ImageError("a layer's tar has a sparse file whose map is wrong")
        end = offset + length
    if sum(length for _, length in entry.sparse) > entry.stored:
        raise ImageError("a layer's tar has a sparse file that lacks data")


def data(stream, entry):
    """The pieces of a member's data. Raises ImageError if the archive ends before they do."""
    while entry.left:
        piece = stream.some(min(entry.left, 1 << 18))
        if not piece:
            raise ImageError("a layer's tar ends in the middle of a file")
        entry.left -= len(piece)
        yield piece
