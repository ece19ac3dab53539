"""A layer's tar as a stream: hashed as it is stored, decompressed a piece at a time, hashed again.

Two digests belong to a layer: that of the blob, in the manifest, and that of the tar in it, in the
configuration ("diff id"). Which compression it is, the first bytes say; media types are often wrong.
"""
import hashlib
import subprocess
import threading
import zlib

from ..ch12_images import compare
from .errors import ImageError
from .store import PIECE

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x89PNG": "a picture"}


class Stream:
    """The bytes of a layer's tar, to be read to the end: only then its digests are known."""

    def __init__(self, file, most):
        self.most, self.count = most, 0
        self.outer, self.inner = hashlib.sha256(), hashlib.sha256()
        head = file.read(6)
        file.seek(0)
        for magic, name in OTHERS.items():
            if head.startswith(magic):
                raise ImageError(f"a layer is {name}: gzip, zstd and plain tar are what images have")
        if head[:2] == GZIP:
            self.pieces = gunzipped(self.stored(file))
        elif head[:4] == ZSTD:
            self.pieces = self.unzstd(file)
        else:
            self.pieces = self.stored(file)
        self.rest = memoryview(b"")

    def stored(self, file):
        """The blob as it is."""
        while piece := file.read(PIECE):
            self.outer.update(piece)
            yield piece

    def unzstd(self, file):
        """Debian's Python has no zstd before 3.14; the program does it as well."""
        try:
            from compression.zstd import ZstdError, ZstdFile
        except ImportError:
            yield from piped(self.stored(file))
            return
        for _ in self.stored(file):
            pass
        file.seek(0)
        try:
            with ZstdFile(file) as plain:
                while piece := plain.read(PIECE):
                    yield piece
        except (ZstdError, EOFError) as error:
            raise ImageError(f"a layer's zstd is damaged, or asks for too much: {error}") from None

    def piece(self):
        """The next bytes, b"" at the end."""
        piece = next(self.pieces, b"")
        self.inner.update(piece)
        self.count += len(piece)
        self.limit()
        return piece

    def limit(self):
        """Refuses what is more than was allowed."""
        if self.count > self.most:
            raise ImageError(f"a layer is more than {self.most >> 20} MiB unpacked: a bomb? If not: --max-size")

    def read(self, count):
        """So many bytes; fewer only at the end."""
        if count <= len(self.rest):
            found, self.rest = self.rest[:count], self.rest[count:]
            return bytes(found)
        found = bytearray(self.rest)
        self.rest = memoryview(b"")
        while len(found) < count and (piece := self.piece()):
            wanted = count - len(found)
            found += piece[:wanted]
            self.rest = memoryview(piece)[wanted:]
        return bytes(found)

    def some(self, count):
        """At least one byte of the next so many, without copying them together."""
        if not self.rest:
            self.rest = memoryview(self.piece())
        found, self.rest = self.rest[:count], self.rest[count:]
        return found

    def finish(self, digest, diff_id):
        """Reads what is behind the archive, and compares. Raises Corrupt, or ImageError."""
        while self.piece():
            pass
        compare(f"sha256:{self.outer.hexdigest()}", f"sha256:{self.inner.hexdigest()}", digest, diff_id)


def gunzipped(pieces):
    """Decompresses gzip, of which several may stand behind each other; never much at once."""
    inflate = None
    for piece in pieces:
        while piece:
            if inflate is None:
                piece = piece.lstrip(b"\0")  # padding
                if not piece:
                    break
                inflate = zlib.decompressobj(31)
            try:
                plain = inflate.decompress(piece, PIECE)
            except zlib.error as error:
                raise ImageError(f"a layer is no gzip, or a damaged one: {error}") from None
            if plain:
                yield plain
            piece = inflate.unconsumed_tail or inflate.unused_data
            if inflate.eof:
                inflate = None
    if inflate is not None:
        raise ImageError("a layer's gzip ends in the middle")


def piped(pieces):
    """What `zstd -dc` makes of them. A thread feeds it, as it answers before it has all."""
    try:
        process = subprocess.Popen(["zstd", "-dcq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise ImageError("a layer is compressed with zstd, and there is no program zstd here: "
                         "apt-get install zstd") from None
    feeder = threading.Thread(target=fed, args=(process.stdin, pieces))
    feeder.start()
    try:
        while piece := process.stdout.read(PIECE):
            yield piece
        if process.wait():
            said = process.stderr.read(300).decode(errors="replace").strip().partition("\n")[0].rpartition(" : ")[2]
            raise ImageError(f"a layer's zstd is damaged, or asks for too much: {said}")
    finally:
        process.kill()
        feeder.join()
        process.stdout.close()
        process.stderr.close()
        process.wait()


def fed(pipe, pieces):
    """Writes all pieces into a pipe, unless its reader has ended: why, that one tells."""
    try:
        with pipe:
            for piece in pieces:
                pipe.write(piece)
    except BrokenPipeError:
        pass
