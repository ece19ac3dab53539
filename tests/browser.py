"""A headless Chromium, driven over two pipes by its own protocol (DevTools, JSON)."""
import base64
import json
import os
import select
import shutil
import subprocess
import time

NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
# No sandbox of its own: root may not have one, and we open only pages that we have made.
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--hide-scrollbars", "--remote-debugging-pipe",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
# After the next frame, and what it set off.
SETTLED = "new Promise(go => requestAnimationFrame(() => setTimeout(go, 50)))"


def find():
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page of it: goes to addresses, runs scripts, and remembers what went wrong."""

    def __init__(self, program, profile):
        commands, self.write = os.pipe()
        self.read, answers = os.pipe()
        shell = 'exec "$@" 3<&{} 4>&{}'.format(commands, answers)  # the numbers that it wants
        self.process = subprocess.Popen(
            ["bash", "-c", shell, "browser", program, *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(commands, answers), stderr=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(profile)})
        os.close(commands)
        os.close(answers)
        self.buffer, self.number, self.session, self.events = b"", 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.write)
        os.close(self.read)

    def call(self, method, **params):
        """Sends a command, and returns its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while (answer := self.receive(60)).get("id") != self.number:
            pass
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def receive(self, seconds):
        """The next message; events are kept, too."""
        while b"\0" not in self.buffer:
            assert select.select([self.read], [], [], seconds)[0], "the browser says nothing"
            data = os.read(self.read, 1 << 20)
            assert data, "the browser has ended"
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(message)
        if "method" in message:
            self.events.append(message)
        return message

    def go(self, address):
        """Opens a page, and waits until all of it is there and its scripts have run."""
        self.events = []
        self.call("Page.navigate", url=address)
        while not self.seen("Page.loadEventFired"):
            self.receive(60)
        self.script(SETTLED)

    def seen(self, method):
        return [event["params"] for event in self.events if event["method"] == method]

    def script(self, text):
        """Runs JavaScript in the page; returns its value, of a promise what it comes to."""
        result = self.call("Runtime.evaluate", expression=text, awaitPromise=True,
                           returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, text, seconds=10):
        """Waits until an expression is true in the page; tells whether it came to be."""
        end = time.monotonic() + seconds
        while not (value := self.script(text)) and time.monotonic() < end:
            time.sleep(0.05)
        return value

    def width(self, pixels, height=900):
        self.call("Emulation.setDeviceMetricsOverride", width=pixels, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.script(SETTLED)

    def prefers(self, scheme):
        """Sets what the reader's system says about colours: light or dark."""
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])

    def complaints(self):
        """What the console holds against the page since go(), and what did not load."""
        said = [entry["exceptionDetails"]["text"] for entry in self.seen("Runtime.exceptionThrown")]
        said += [entry["entry"]["text"] + " " + entry["entry"].get("url", "")
                 for entry in self.seen("Log.entryAdded")
                 if entry["entry"]["level"] in ("error", "warning")]
        said += [str(entry["args"][0].get("value"))
                 for entry in self.seen("Runtime.consoleAPICalled")
                 if entry["type"] in ("error", "warning", "assert")]
        return said

    def requests(self):
        return [entry["request"]["url"] for entry in self.seen("Network.requestWillBeSent")]

    def picture(self, path, **options):
        data = self.call("Page.captureScreenshot", **options)["data"]
        path.write_bytes(base64.b64decode(data))

    def pdf(self, path):
        data = self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"]
        path.write_bytes(base64.b64decode(data))
