"""`workshop layers IMAGE` on a terminal: layers above, below them the tree at one, and what is judged.

The image is read in a thread. What is known is shown: first the commands, then a layer after the other.
"""
from rich.text import Text
from textual.app import App
from textual.binding import Binding
from textual.widgets import DataTable, Footer, Input, Static, TabbedContent, TabPane

from crabcan_steps.images.errors import ImageError
from crabcan_steps.images.progress import megabytes
from crabcan_steps.layer import printable

from . import panes
from .files import Files
from .standing import Standing
from .waste import Report

class Viewer(App):
    """The whole screen. `fault` is why reading has failed."""
    CSS, ENABLE_COMMAND_PALETTE = panes.STYLE, False
    TABS = {"tree": ("Tree", "t"), "lines": ("Dockerfile lines", "d"), "wasters": ("Waste", "w"), "secrets": ("Secrets", "x"),
            "both": ("Both", "b")}
    BINDINGS = [("q", "quit", "quit"), ("slash", "filter", "filter"), ("escape", "clear", "all"),
                ("n", "next", "next layer with it"), ("c", "toggle('only')", "changes"), ("s", "toggle('by_size')", "by size"),
                ("l", "focus('layers')", "layers"), Binding("ctrl+c", "quit", show=False),
                *(Binding(key, f"tab('{name}')", show=False) for name, (_, key) in TABS.items())]

    def __init__(self, index, opened, other=None):
        super().__init__()
        self.index, self.opened, self.other = index, opened, other  # other: a function that reads it
        self.standing, self.report = Standing(index), None
        self.fault, self.left = None, False
        self.only, self.by_size, self.text, self.legend = False, False, "", ""

    def compose(self):
        yield Static(id="head")
        yield DataTable(id="layers", cursor_type="row")
        with TabbedContent(id="tabs"):
            for name, (title, key) in self.TABS.items():
                if name != "both" or self.other:
                    with TabPane(f"{title} ({key})", id=name):
                        yield Files("/") if name == "tree" else DataTable(id=f"{name}-table", cursor_type="row")
        yield Input(placeholder="only paths with ... (Enter: to them, Esc: all)", id="filter")
        yield Static(id="foot")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self):
        self.query_one("#layers").add_columns(*panes.COLUMNS)
        for step in self.index.steps:
            self.query_one("#layers").add_row(*panes.row(step, None), key=str(step.number))
        self.head("is read ...")
        self.run_worker(self.read, thread=True)
        self.query_one("#layers").focus()

    def head(self, text):
        self.query_one("#head").update(Text(printable(f" {text}: {self.index.name}")))

    def on_unmount(self):
        self.left = True
        self.index.stop.set()

    # What the thread does, and what it has the screen do.

    def read(self):
        try:
            self.index.read(self.opened, lambda step: self.call_from_thread(self.known, step))
            report = Report(self.index)
            self.call_from_thread(self.judged, report, self.other(self.index) if self.other else None)
        except (ImageError, OSError, RuntimeError) as error:
            if not self.left:
                self.fault = error
                self.call_from_thread(self.exit)

    def known(self, step):
        """A layer has been read."""
        panes.update(self.query_one("#layers"), step, None)
        self.head(f"layer {step.number + 1} of {len(self.index.steps)} is read ...")
        if self.query_one("#layers").cursor_row == step.number:
            self.show()

    def judged(self, report, found):
        """All have been read."""
        self.report = report
        self.head(f"{megabytes(report.files)}, {megabytes(report.lost)} of it hidden later, "
                  f"efficiency {report.efficiency:.1%}")
        for step in self.index.steps:
            panes.update(self.query_one("#layers"), step, report)
        for name, (columns, rows) in panes.tables(report, self.size.width - 18).items():
            panes.fill(self.query_one(f"#{name}-table"), columns, rows)
        if count := len(report.hidden) + len(report.shown):
            self.query_one("#tabs").get_tab("secrets").label = f"Secrets: {count} (x)"
        if found:
            panes.fill(self.query_one("#both-table"), *panes.both(found))
            self.action_tab("both")

    def show(self):
        """Draws the tree at the layer under the cursor."""
        step = self.index.steps[self.query_one("#layers").cursor_row] if self.index.steps else None
        if not step or not step.read:
            self.query_one(Files).clear()
            return
        view = self.standing.go(step.number).view(self.text, self.only)
        self.query_one(Files).show(view, bool(self.text), self.by_size)
        self.legend = panes.legend(view, self.text, step)
        self.below()

    def on_tree_node_highlighted(self, event):
        if event.node.data and self.focused is event.control:
            self.foot(panes.detail(event.control.view, event.node.data))

    def on_tabbed_content_tab_activated(self):
        self.below()

    def below(self):
        """The foot tells of what is shown above it, not of what was there before."""
        active = self.query_one("#tabs").active
        self.foot(self.legend if active == "tree" else panes.whole(self.query_one(f"#{active}-table")))

    def foot(self, text):
        self.query_one("#foot").update(Text(printable(text)))

    def on_data_table_row_highlighted(self, event):
        if event.data_table.id == "layers":
            self.show()
        elif self.query_one("#tabs").active != "tree":
            self.below()

    # Keys.

    def action_tab(self, name):
        if name == "both" and not self.other:
            return
        self.query_one("#tabs").active = name
        self.query_one(Files if name == "tree" else f"#{name}-table").focus()

    def action_toggle(self, name):
        setattr(self, name, not getattr(self, name))
        self.show()

    def action_filter(self):
        self.query_one("#tabs").active = "tree"
        self.query_one("#filter").add_class("shown").focus()

    def action_clear(self):
        self.query_one("#filter").remove_class("shown").value = ""
        self.query_one("#layers").focus()

    def on_input_changed(self, event):
        self.text = event.value
        self.show()

    def on_input_submitted(self):
        self.query_one("#filter").set_class(bool(self.text), "shown")
        self.query_one(Files).focus()

    def action_next(self):
        """To the next layer that touches what the filter finds: in which a file came, changed, went."""
        table, count = self.query_one("#layers"), len(self.index.steps)
        for further in range(1, count + 1):
            number = (table.cursor_row + further) % count
            if any(self.text.lower() in path.lower() for path in self.index.steps[number].changes):
                table.move_cursor(row=number)
                return
        self.foot(f"no layer touches {self.text!r}")
