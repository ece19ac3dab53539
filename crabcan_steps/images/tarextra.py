"""What tar's headers were too small for: pax records, and the four ways to write a sparse file."""
from .errors import ImageError

ENTRIES = 1 << 16  # pieces of one sparse file


def pax(text):
    """The records of a pax header, "LENGTH KEY=VALUE\\n", as a dict of bytes. Raises ImageError."""
    found, at, sparse = {}, 0, []
    while at < len(text) and text[at]:
        digits = text[at:at + 20].split(b" ")[0]
        if not digits.isdigit() or not len(digits) + 3 <= int(digits) <= len(text) - at:
            raise ImageError("a layer's tar has a damaged pax header")
        key, equals, value = text[at + len(digits) + 1:at + int(digits) - 1].partition(b"=")
        if not equals or text[at + int(digits) - 1:at + int(digits)] != b"\n":
            raise ImageError("a layer's tar has a damaged pax header")
        at += int(digits)
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):  # format 0.0 repeats them
            sparse.append(value)
        elif b"\0" in key or b"\0" in value and key in (b"path", b"linkpath", b"GNU.sparse.name"):
            raise ImageError("a layer's tar has a name with NUL in it")
        else:
            found[key] = value
    if sparse:
        found[b"GNU.sparse.map"] = b",".join(sparse)
    return found


def pairs(numbers):
    """(offset, length) of each two numbers. Raises ImageError."""
    try:
        values = [int(word) for word in numbers]
    except ValueError:
        raise ImageError("a layer's tar has a sparse file whose map is wrong") from None
    if len(values) % 2 or len(values) > 2 * ENTRIES:
        raise ImageError("a layer's tar has a sparse file whose map is wrong")
    return list(zip(values[::2], values[1::2]))


def sparse_of(stream, entry, more):
    """GNU's formats 0.0, 0.1 and 1.0, in pax records; the last has its map in front of the data."""
    if b"GNU.sparse.map" in more:
        entry.sparse = pairs(more[b"GNU.sparse.map"].split(b","))
    elif more.get(b"GNU.sparse.major") == b"1":
        entry.sparse = map_in_front(stream, entry)
    else:
        return
    entry.name = more.get(b"GNU.sparse.name", entry.name)
    size = more.get(b"GNU.sparse.realsize") or more.get(b"GNU.sparse.size") or b""
    if not size.isdigit():
        raise ImageError("a layer's tar has a sparse file without its size")
    entry.size = int(size)


def map_in_front(stream, entry):
    """A number a line: how many pieces, then offset and length of each, filled up to whole blocks."""
    lines, text = [], b""
    wanted = 1
    while len(lines) < wanted:
        block = stream.read(512)
        entry.stored -= 512
        if len(block) < 512 or entry.stored < 0 or len(lines) > 2 * ENTRIES:
            raise ImageError("a layer's tar has a sparse file whose map is wrong")
        *whole, text = (text + block).split(b"\n")
        lines += whole
        if lines and wanted == 1:
            wanted += 2 * max(0, pairs([lines[0], b"0"])[0][0])
    return pairs(lines[1:wanted])


def old_sparse(stream, header, number):
    """GNU's own header: four pieces in it, 21 in each block that follows."""
    numbers, more, size = [], header[482], number(header[483:495])
    fields = header[386:482]
    while True:
        for at in range(0, len(fields) - 23, 24):
            if fields[at + 12:at + 24].strip(b"\0 "):
                numbers += [number(fields[at:at + 12]), number(fields[at + 12:at + 24])]
        if not more:
            return pairs(numbers), size
        block = stream.read(512)
        if len(block) < 512 or len(numbers) > 2 * ENTRIES:
            raise ImageError("a layer's tar has a sparse file whose map is wrong")
        fields, more = block[:504], block[504]
