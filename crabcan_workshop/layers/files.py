"""The tree of files on the screen. A directory is filled when somebody opens it: images have many files."""
from textual.widgets import Tree

from . import panes

MOST = 400  # lines that open by themselves
FEW = 20    # of them, where all is new


class Files(Tree):
    """Shows a View: what the layer touches, or the filter finds, is open as far as it fits."""
    show_root = False
    guide_depth = 2

    def show(self, view, filtered, by_size):
        """Anew."""
        self.view, self.filtered, self.by_size, self.shown = view, filtered, by_size, 0
        self.clear()
        self.branch(self.root, "")
        self.root.expand()
        self.cursor_line = 0

    def branch(self, node, folder):
        """Adds what is in a directory."""
        names = self.view.names(folder, self.by_size)
        self.shown += len(names)
        for name, path in names:
            if path not in self.view.below:
                node.add_leaf(panes.label(self.view, path, name), path)
                continue
            inner = node.add(panes.label(self.view, path, name), path)
            if self.shown < MOST and (self.filtered or path in self.view.touched and not self.crowd(path)):
                self.branch(inner, path)
                inner.expand()

    def crowd(self, folder):
        """Tells whether a directory is all new, and long: its name and size say it, and Enter shows more."""
        paths = self.view.below[folder]
        return len(paths) > FEW and all(self.view.whats.get(f"{folder}/{name}") == "added" or f"{folder}/{name}" in self.view.below for name in paths)

    def on_tree_node_expanded(self, event):
        if event.node.data and not event.node.children:
            self.branch(event.node, event.node.data)
