"""What an image is called: HOST/NAME[:TAG][@DIGEST] at a registry, or a directory or an archive.

The grammar is that of the distribution specification; oci:, oci-archive: and docker-archive: are
containers-transports(5).
"""
import os
import re

from .errors import ImageError

FILES = ("oci", "oci-archive", "docker-archive")
HOST = r"(?:localhost|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+|\[[0-9a-fA-F:]+\]|[a-zA-Z0-9-]+(?=:\d))(?::\d{1,5})?"
PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
DIGEST = r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}"
NAME = re.compile(rf"(?:({HOST})/)?({PART}(?:/{PART})*)(?::([\w][\w.-]{{0,127}}))?(?:@({DIGEST}))?", re.A)
HINT = "an image is called HOST/NAME:TAG, HOST/NAME@sha256:..., oci:DIR, oci-archive:FILE or docker-archive:FILE"


class Reference:
    """An image's name, in its parts. `file` is set for what lies in files, `host` and `name` for others."""

    def __init__(self, text):
        kind, colon, rest = text.partition(":")
        self.text, self.transport = text, kind if colon and kind in FILES else "docker"
        self.host = self.name = self.tag = self.digest = self.file = None
        if self.transport != "docker":
            self.file, self.tag = located(rest)
        elif match := NAME.fullmatch(text.removeprefix("docker://")):
            self.host, self.name, self.tag, self.digest = match.groups()
            if len(self.name) > 255:
                raise ImageError(f"{text:.60}...: a name has at most 255 characters")
        else:
            wrong = "upper-case letters are for tags" if NAME.fullmatch(text.lower()) else HINT
            raise ImageError(f"'{text:.300}' names no image: {wrong}")

    def __str__(self):
        """The name under which the store keeps it."""
        if self.file is not None:
            name = re.sub(r"[^a-z0-9]+", "-", os.path.basename(self.file.rstrip("/")).lower()).strip("-")
            return f"{name or 'image'}:{self.tag or 'latest'}"
        place = f"{self.host}/{self.name}" if self.host else self.name
        if self.digest and not self.tag:
            return f"{place}@{self.digest}"
        return f"{place}:{self.tag or 'latest'}"


def located(rest):
    """The path, and the tag behind it if there is one: oci:DIR:TAG. What is there under the whole name counts."""
    path, colon, tag = rest.rpartition(":")
    if not rest:
        raise ImageError(f"a file or directory is missing behind the colon: {HINT}")
    if not colon or os.path.exists(rest) or "/" in tag:
        return rest, None
    return path, tag
