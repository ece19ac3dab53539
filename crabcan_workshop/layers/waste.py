"""What an image carries for nothing: files written again or removed later, and secrets in what is hidden."""
from .advice import dockerfile, lines


class Waste:
    """One path whose earlier versions nobody sees, and what they weigh together."""

    def __init__(self, path):
        self.path, self.size, self.times = path, 0, 0
        self.reasons = {}  # how often: changed, removed, mode

    def data(self):
        return {"path": self.path, "bytes": self.size, "versions": self.times, "why": self.reasons}


class Report:
    """An Index, judged. `files` is the weight of all versions of all files, `kept` that of the last ones."""

    def __init__(self, index):
        self.index, wasted, self.hidden = index, {}, []
        self.later, self.hides = [0] * len(index.steps), [0] * len(index.steps)
        for step in index.steps:
            for change in step.changes.values():
                if change.old and change.old.size and change.what != "added":
                    one = wasted.setdefault(change.path, Waste(change.path))
                    one.size += change.old.size
                    one.times += 1
                    self.later[change.old.layer] += change.old.size
                    self.hides[step.number] += change.old.size
                    one.reasons[change.what] = one.reasons.get(change.what, 0) + 1
                if change.old and change.old.secrets and change.what in ("removed", "changed"):
                    self.hidden.append((change.path, change.old.layer, step.number, change.old.secrets))
        self.wasted = sorted(wasted.values(), key=lambda one: -one.size)
        self.files = sum(step.size for step in index.steps)
        self.lost = sum(one.size for one in self.wasted)
        self.lines = lines(index)
        self.shown = [(path, file.layer, None, file.secrets) for path, file in sorted(index.tree.items()) if file.secrets]

    @property
    def efficiency(self):
        """The part of all bytes that is still to be seen, from 0 to 1."""
        return 1 - self.lost / self.files if self.files else 1.0

    def costs(self, step):
        """Of a layer: (bytes that a later one hides, bytes of earlier ones that it hides)."""
        return self.later[step.number], self.hides[step.number]

    def advice(self):
        """What would have saved it, the largest first: (bytes, one line)."""
        return sorted(((size, f"layer {line.step.number} {text}") for line in self.lines for size, text in line.cures), reverse=True)

    def data(self):
        """All of it, for --json."""
        index = self.index
        return {
            "image": index.name, "digest": index.image.digest, "bytes": self.files, "wasted": self.lost,
            "efficiency": round(self.efficiency, 4), "squashing_saves": self.lost,
            "layers": [{"number": step.number, "command": dockerfile(step.command), "digest": step.digest, "stored": step.stored,
                        "bytes": step.size, "hidden_later": self.costs(step)[0], "hides": self.costs(step)[1],
                        **{what: sum(c.what == what for c in step.changes.values())
                           for what in ("added", "changed", "removed", "mode")}} for step in index.steps],
            "wasters": [one.data() for one in self.wasted[:50]],
            "secrets": [{"path": path, "layer": layer, "hidden_by": by, "kinds": list(kinds)}
                        for path, layer, by, kinds in self.hidden + self.shown],
            "lines": [line.data() for line in self.lines],
            "advice": [{"bytes": size, "text": text} for size, text in self.advice()]}


def compare(one, other):
    """What two images' last trees differ in: {what: [path]}, and the layers that they share."""
    left, right = one.tree, other.tree
    both = left.keys() & right.keys()
    shared = 0
    for a, b in zip(one.image.diff_ids, other.image.diff_ids):
        if a != b:
            break
        shared += 1
    return {"only in the first": sorted(left.keys() - right.keys()), "only in the second": sorted(right.keys() - left.keys()),
            "different": sorted(path for path in both if not left[path].same(right[path])),
            "other owner or mode": sorted(path for path in both if left[path].same(right[path]) and (
                left[path].mode, left[path].owner) != (right[path].mode, right[path].owner)), "shared layers": shared}
