"""How something about an image goes wrong: always one line, with the name of what it is about."""


class ImageError(Exception):
    """Something about an image, a registry or the store cannot be as it is asked for."""


class Corrupt(ImageError):
    """A blob is not what its digest says."""

    def __init__(self, digest, found, where):
        super().__init__(f"{where}: {digest} was asked for, and its content is {found}")
        self.digest = digest


class Interrupted(ImageError):
    """A connection that broke off, or whose other side was busy to the end: later it may be better."""
