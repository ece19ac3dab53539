"""Learners of a class, as their browsers are: they log in, start their servers and run cells."""
import json
import re
import time
import uuid

import requests
import websocket


class Learner:
    """A session with the door of the class."""

    def __init__(self, address, name, password, own="", root=None):
        self.address, self.name, self.password, self.own = address.rstrip("/"), name, password, own
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = root or True
        self.root, self.socket, self.kernel = root, None, None

    def login(self):
        """Fills in the form; returns the status and what the page says is wrong."""
        form = self.http.get(f"{self.address}/hub/login", timeout=60).text
        xsrf = re.search(r'name="_xsrf" value="([^"]+)"', form)[1]
        page = self.http.post(f"{self.address}/hub/login?next=%2Fhub%2Fhome", timeout=60, data={
            "username": self.name, "password": self.password, "own": self.own, "_xsrf": xsrf})
        error = re.search(r'class="login_error">([^<]*)', page.text)
        return page.status_code, error[1] if error else ""

    def server(self, patience=600):
        """Starts it and waits until it answers."""
        until = time.monotonic() + patience
        self.spawn()
        while time.monotonic() < until:
            answer = self.http.get(f"{self.url()}/lab", timeout=120)  # by way of the Hub, which knows us
            if answer.ok and "jupyter-config-data" in answer.text:
                return
            if answer.status_code == 424:  # it has ended, the Hub now knows, and its page has a button
                self.spawn()
            time.sleep(2)
        raise TimeoutError(f"{self.name}'s server: {answer.status_code} {answer.text[-300:]}")

    def spawn(self):
        begun = self.http.get(f"{self.address}/hub/spawn", timeout=300)
        if begun.status_code >= 500:
            raise RuntimeError(f"{self.name}'s server: {begun.status_code}: see journalctl -u crabcan-class")

    def url(self, scheme=""):
        return (self.address.replace("http", scheme, 1) if scheme else self.address) + f"/user/{self.name}"

    def xsrf(self):
        found = [cookie for cookie in self.http.cookies if cookie.name == "_xsrf"]
        return {"X-XSRFToken": max(found, key=lambda cookie: len(cookie.path)).value} if found else {}

    def call(self, method, path, **more):
        return self.http.request(method, f"{self.url()}{path}", headers=self.xsrf(), timeout=300, **more)

    def connect(self):
        """A kernel, and its channels."""
        if not self.kernel:
            made = self.call("POST", "/api/kernels", json={"name": "python3", "path": "notebooks"})
            made.raise_for_status()
            self.kernel = made.json()["id"]
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.http.cookies
                            if f"/user/{self.name}/".startswith(cookie.path))
        self.socket = websocket.create_connection(
            f"{self.url('ws')}/api/kernels/{self.kernel}/channels", cookie=cookies, timeout=600,
            sslopt={"ca_certs": self.root} if self.root else {})

    def run(self, code, patience=600):
        """What a cell prints, and its errors."""
        self.connect()  # anew: between cells nobody here answers the server's pings
        number, said, until = uuid.uuid4().hex, [], time.monotonic() + patience
        self.socket.send(json.dumps({
            "header": {"msg_id": number, "msg_type": "execute_request", "username": "", "session": "s", "date": "",
                       "version": "5.3"}, "parent_header": {}, "metadata": {}, "channel": "shell", "buffers": [],
            "content": {"code": code, "silent": False, "store_history": False, "user_expressions": {},
                        "allow_stdin": False, "stop_on_error": True}}))
        self.socket.settimeout(patience)
        while time.monotonic() < until:
            message = json.loads(self.socket.recv())
            if message["parent_header"].get("msg_id") != number:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                said.append(content["text"])
            elif kind in ("execute_result", "display_data"):
                said.append(content["data"].get("text/plain", ""))
            elif kind == "error":
                said.append(f"{content['ename']}: {content['evalue']}\n")
            elif kind == "status" and content["execution_state"] == "idle":
                self.socket.close()
                return "".join(said)
        raise TimeoutError(code)

    def shell(self, line, patience=600):
        """What a line of shell prints, from a cell."""
        return self.run(f"import subprocess; print(subprocess.run({line!r}, shell=True, text=True, "
                        "stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout, end='')", patience)
