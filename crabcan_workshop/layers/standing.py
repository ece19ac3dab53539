"""The tree as it stands at a layer, with what the layer does to it marked."""


class Standing:
    """Goes from layer to layer of an Index; `files` is {path: File} as that layer leaves it."""

    def __init__(self, index):
        self.index, self.at, self.files = index, -1, {}

    def go(self, number):
        """To a layer: what lies between is done, or undone."""
        while self.at < number:
            self.at += 1
            for path, change in self.index.steps[self.at].changes.items():
                self.put(path, change.new)
        while self.at > number:
            for path, change in self.index.steps[self.at].changes.items():
                self.put(path, change.old)
            self.at -= 1
        return self

    def put(self, path, file):
        if file:
            self.files[path] = file
        else:
            self.files.pop(path, None)

    def view(self, text="", only=False):
        """A View of those paths that contain a text; only: of those that this layer touches."""
        changes = self.index.steps[self.at].changes if self.at >= 0 else {}
        view, text = View(), text.lower()
        if not only:
            for path, file in self.files.items():
                if path not in changes and (not text or text in path.lower()):
                    view.add(path, file, None)
        for path, change in changes.items():
            if not text or text in path.lower():
                view.add(path, change.new or change.old, change.what)
        return view


class View:
    """What is shown: for each directory its names, the bytes in it, and whether anything in it is touched."""

    def __init__(self):
        self.below, self.sizes, self.touched = {"": set()}, {"": 0}, set()
        self.files, self.whats, self.count = {}, {}, 0

    def add(self, path, file, what):
        """One path, and those above it."""
        self.files[path], self.count = file, self.count + (file.kind != "directory")
        if what:
            self.whats[path] = what
        size = 0 if what == "removed" else file.size
        if file.kind == "directory":
            self.below.setdefault(path, set())
            self.sizes.setdefault(path, 0)
        while path:
            folder, _, name = path.rpartition("/")
            self.below.setdefault(folder, set()).add(name)
            self.sizes[folder] = self.sizes.get(folder, 0) + size
            if what:
                self.touched.add(folder)
            path = folder

    def names(self, folder, by_size=False):
        """(name, path) of what is in a directory: directories first, or the largest first."""
        paths = [(name, f"{folder}/{name}".lstrip("/")) for name in self.below.get(folder, ())]
        if by_size:
            return sorted(paths, key=lambda one: (-self.size(one[1]), one[0]))
        return sorted(paths, key=lambda one: (one[1] not in self.below, one[0]))

    def size(self, path):
        """Bytes of a file, or of all that is in a directory."""
        return self.sizes[path] if path in self.sizes else self.files[path].size
