"""The explorer's page in a browser: recordings in it, and what one does there."""
import importlib.metadata
import json

import browser as chromium
from crabcan_workshop.explore.document import document

KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "ArrowDown": 40, "Home": 36, "End": 35, "Escape": 27, "Enter": 13, "Tab": 9, " ": 32, "/": 191, "?": 191}


class Page:
    """One page, opened from disk. Its store, its keys, and what can be read on it."""

    def __init__(self, browser, folder):
        self.browser, self.folder, self.number = browser, folder, 0

    def open(self, recordings, step="", width=1280, **more):
        self.number += 1  # to another part of the same page a browser only scrolls
        self.file = file = self.folder / f"{self.number}.html"
        file.write_text(document([(name, "", events) for name, events in recordings.items()], **more))
        self.browser.prefers("light")
        self.browser.width(width)
        self.browser.go(file.as_uri() + step)
        return self

    def script(self, text):
        return self.browser.script(text)

    def text(self, selector="#page"):
        return self.script(f"document.querySelector({json.dumps(selector)})?.innerText")

    def settle(self):
        self.script(chromium.SETTLED)

    def key(self, name):
        text = {"text": name} if len(name) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.browser.call("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=KEYS.get(name, 0),
                              **(text if kind == "keyDown" else {}))
        self.settle()

    def click(self, selector):
        assert self.script(f"(e => e && (e.click(), true))(document.querySelector({json.dumps(selector)}))"), selector
        self.settle()

    def step(self):
        return int(self.script("document.querySelector('.track input').value"))

    def to(self, step, recording=0):
        self.script(f"explorer.store.dispatch(explorer.jumpTo({recording}, {step}))")
        self.settle()

    def walls(self, kind):
        return self.script(f"[...document.querySelectorAll('.wall.{kind}')].map(e => e.ariaLabel.split(':')[0])")

    def drop(self, name, text):
        """Somebody drops a file on the page."""
        self.script("""(async () => {
            const data = new DataTransfer()
            data.items.add(new File([%s], %s))
            for (const type of ["dragenter", "drop"])
                dispatchEvent(Object.assign(new Event(type, { cancelable: true }), { dataTransfer: data }))
            await new Promise(go => setTimeout(go, 200))
        })()""" % (json.dumps(text), json.dumps(name)))
        self.settle()

    def innocent(self):
        """Nothing was complained about, and the page itself is all that was asked for."""
        assert self.browser.complaints() == []
        assert [url.partition("#")[0] for url in self.browser.requests()] == [self.file.as_uri()]

    def too_wide(self):
        return self.script("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def barriers(self, rules=None):
        """What axe-core has against it."""
        files = importlib.metadata.files("axe-playwright-python")
        source = next(file for file in files if file.name == "axe.min.js").read_text()
        self.script(f"if (!window.axe) {{ {source} }}; 0")
        return self.script("""(async () => {
            const found = await axe.run(document, %s)
            return found.violations.map(v => [v.impact, v.id, v.nodes.map(n => n.target + ": " + n.failureSummary).slice(0, 3)])
        })()""" % json.dumps({"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}))


def lines(events):
    return "".join(json.dumps(event) + "\n" for event in events)
