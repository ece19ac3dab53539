"""Unpacking goes on beside fetching: another process takes each layer as soon as it is in the store."""
import os

from .. import linux
from ..layer import warn
from .errors import ImageError
from .layers import unpack_missing
from .mapped import Helper


class Arrivals:
    """Which blobs are in the store by now: told by whoever fetches them, waited for by whoever unpacks."""

    def __init__(self):
        self.reader, self.writer = os.pipe()
        self.seen, self.waiting = set(), False

    def tell(self, digest):
        """It is there. Raises BrokenPipeError if nobody waits any more."""
        os.write(self.writer, digest.encode() + b"\n")

    def wait(self, digest):
        """Returns when it is there. Raises ImageError if it will not come."""
        if not self.waiting:
            linux.close(self.writer)  # or there would be no end of file
            self.lines, self.waiting = open(self.reader, "rb", 0), True
        while digest not in self.seen:
            line = self.lines.readline()
            if not line:
                raise ImageError("a layer did not come")
            self.seen.add(line.strip().decode())


class Unpacking:
    """The layers of an image on their way to directories, in another process: it begins with the first that is there."""

    def __init__(self, store, image, options):
        self.arrivals = Arrivals()
        self.helper = Helper(unpack_missing, store, image, options, self.arrivals.wait)
        linux.close(self.arrivals.reader)

    def came(self, digest):
        self.arrivals.tell(digest)

    def finish(self):
        """Waits until all is unpacked, and tells what is to be told. Raises ImageError."""
        linux.close(self.arrivals.writer)
        for line in self.helper.result():
            warn(line)

    def stop(self):
        """No more will come."""
        linux.close(self.arrivals.writer)
        self.helper.end()
