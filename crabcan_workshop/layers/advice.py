"""What each line of the Dockerfile cost, and what would have saved it."""
import re

IN_ONE = "remove it in the RUN that makes it, or build in a stage of its own"
LITTER = tuple((name, re.compile(shape), cure) for name, shape, cure in (
    ("apt's lists and packages", r"var/(?:lib/apt/lists|cache/apt)/.", "&& rm -rf /var/lib/apt/lists/* in the same RUN, or "
     "RUN --mount=type=cache,target=/var/lib/apt and /var/cache/apt"),
    ("apk's cache", r"(?:var/cache|etc)/apk/cache/.|var/cache/apk/.", "apk add --no-cache"),
    ("dnf's cache", r"var/(?:cache|lib)/(?:dnf|yum)/.", "&& dnf clean all in the same RUN"),
    ("pip's cache", r"(?:root|home/[^/]+)/\.cache/pip/.", "pip install --no-cache-dir, or RUN --mount=type=cache,target=/root/.cache/pip"),
    ("npm's or yarn's cache", r"(?:root|home/[^/]+)/(?:\.npm|\.cache/yarn)/.|usr/local/share/\.cache/.",
     "RUN --mount=type=cache,target=/root/.npm"),
    ("a compiler's cache", r"(?:root|home/[^/]+)/(?:\.cache/(?:go-build|ccache|bazel)|\.cargo/registry|\.m2|\.gradle)/.|go/pkg/mod/.",
     "RUN --mount=type=cache, or a stage of its own for the build"),
    ("a repository's history", r"(?:.*/)?\.git/.", ".git in .dockerignore"),
    ("temporary files", r"(?:var/)?tmp/.", "&& rm in the same RUN, or RUN --mount=type=tmpfs,target=/tmp"),
    ("manuals", r"usr/share/(?:doc|man|info)/.", "for Debian: --no-install-recommends, and path-exclude in /etc/dpkg/dpkg.cfg.d")))


def dockerfile(text):
    """A step of the history as the line that made it, as far as the builder says."""
    text = re.sub(r"\s+# buildkit$", "", text.strip())
    if match := re.fullmatch(r"(?:RUN )?/bin/sh -c #\(nop\)\s*(.*)", text, re.S):
        return re.sub(r"\s+", " ", match[1])
    text = re.sub(r"^(?:RUN )?(?:\|\d+ .*?)?/bin/sh -c ", "RUN ", text, count=1)
    return re.sub(r"\s+", " ", text)


class Line:
    """One line: the layer that it made (None: none), what it weighs, and (bytes, cure) of what would have been saved."""

    def __init__(self, text, step):
        self.text, self.step, self.size = text, step, step.size if step else 0
        self.cures = sorted(cures(step), reverse=True) if step else []

    def data(self):
        return {"line": self.text, "layer": self.step.number if self.step else None, "bytes": self.size,
                "would_have_saved": [{"bytes": size, "text": text} for size, text in self.cures]}


def lines(index):
    """A Line for each step of the history, the oldest first."""
    steps = iter(index.steps)
    return [Line(dockerfile(text), next(steps) if layer else None) for text, layer in index.image.history()]


def cures(step):
    """(bytes, one line) of what a layer carries, or makes others carry, for nothing."""
    for name, size, cure in litter(step):
        yield size, f"brings {name}: {cure}"
    for what, text in (("mode", "changes only owners or modes (chown -R, chmod): say it where the files come from: COPY --chown, --chmod"),
                       ("removed", f"removes what {{}} brought, and it stays in there: {IN_ONE}"),
                       ("changed", "writes anew what {} brought: write it once, or together")):
        if brought := origins(step, what):
            names = "layer " + ", ".join(map(str, sorted(brought)[:4])) + (" and others" if len(brought) > 4 else "")
            yield sum(brought.values()), text.format(names)


def origins(step, what):
    """{layer: bytes} of what a layer hides of earlier ones."""
    found = {}
    for change in step.changes.values():
        if change.what == what and change.old and change.old.size:
            found[change.old.layer] = found.get(change.old.layer, 0) + change.old.size
    return found


def litter(step):
    """(what it is, bytes, cure) of caches and the like that a layer brings; small ones are no matter."""
    sizes = dict.fromkeys(LITTER, 0)
    for path, change in step.changes.items():
        if change.new and change.new.size and change.what != "mode":
            for one in LITTER:
                if one[1].match(path):
                    sizes[one] += change.new.size
                    break
    return [(name, size, cure) for (name, _, cure), size in sizes.items() if size >= 10_000]
