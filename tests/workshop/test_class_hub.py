"""The Hub of a class, really running: who comes in, and who may what."""
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from conftest import CHECKOUT
from crabcan_workshop.classroom import secret, settings

pytestmark = pytest.mark.slow
CONFIG = Path(__file__).with_name("hub_of_class.py")


class Browser:
    """With cookies, and without a proxy."""

    def __init__(self, port):
        self.address = f"http://127.0.0.1:{port}"
        self.open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()),
                                                urllib.request.ProxyHandler({})).open

    def get(self, path, data=None, **headers):
        """(status, text)"""
        try:
            request = urllib.request.Request(self.address + path, data, headers)
            with self.open(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def login(self, name, password, own=""):
        """"" if that let us in, else what the page says."""
        _, form = self.get("/hub/login")
        xsrf = re.search(r'name="_xsrf" value="([^"]+)"', form)[1]
        _, page = self.get("/hub/login?next=%2Fhub%2Ftoken", urllib.parse.urlencode({
            "username": name, "password": password, "own": own, "_xsrf": xsrf}).encode())
        found = re.search(r'class="login_error">([^<]*)', page)
        return found[1] if found else ""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Its port."""
    state = tmp_path_factory.mktemp("hub")
    learners = [{"name": name, "title": name, "number": n} for n, name in enumerate(("ana", "ben", "cleo"), 1)]
    settings.write(state / "class.json", json.dumps({
        "learners": learners, "teacher": "teacher", "password": secret.hashed("room"), "port": 8000, "idle": 60,
        "teacher_password": secret.hashed("boss")}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(state / "log", "w+") as log:
        process = subprocess.Popen([sys.executable, "-I", CHECKOUT / "tools/module.py", "jupyterhub", "-f", CONFIG],
                                   cwd=state, stdout=log, stderr=log, start_new_session=True,
                                   env={**os.environ, "CLASS_STATE": str(state), "CLASS_PORT": str(port)})
        try:
            while process.poll() is None:
                try:
                    if Browser(port).get("/hub/login")[0] == 200:
                        break
                except OSError:
                    time.sleep(0.2)
            assert process.poll() is None, (state / "log").read_text()
            yield port
        finally:
            os.killpg(process.pid, 15)
            process.wait()


def test_who_comes_in(hub):
    """A name of the list, the class's password, and from the second time on a word of one's own."""
    assert "class's password" in Browser(hub).login("ana", "", "mine")
    assert "class's password" in Browser(hub).login("ana", "boss", "mine")
    assert "not in the list" in Browser(hub).login("zoe", "room", "mine")
    assert "Choose a word" in Browser(hub).login("ana", "room", "me")
    assert Browser(hub).login("Ana ", "room", "mine") == ""
    assert "another word" in Browser(hub).login("ana", "room", "guess")
    assert Browser(hub).login("ana", "room", "mine") == ""
    assert "teacher's password" in Browser(hub).login("teacher", "room", "mine")
    assert Browser(hub).login("teacher", "boss") == ""


def test_who_guesses_has_to_wait(hub):
    for _ in range(5):
        assert "class's password" in Browser(hub).login("ben", "guess", "mine")
    assert "Too many wrong tries" in Browser(hub).login("ben", "room", "mine"), "the right one, too"
    assert Browser(hub).login("cleo", "room", "mine") == "", "nobody else waits"


def test_nobody_has_another_s_powers(hub):
    """Nor does the teacher open a learner's server: a page of a learner's would run with the teacher's."""
    teacher, cleo, nobody = Browser(hub), Browser(hub), Browser(hub)
    assert teacher.login("teacher", "boss") == cleo.login("cleo", "room", "mine") == ""
    assert nobody.get("/hub/api/users")[0] == 403
    assert nobody.get("/hub/admin")[1].count("login_submit")
    assert cleo.get("/hub/admin")[0] == 403 and teacher.get("/hub/admin")[0] == 200
    headers = {"Sec-Fetch-Mode": "cors", "Referer": f"{cleo.address}/hub/admin"}
    assert cleo.get("/hub/api/users/ana", **headers)[0] in (403, 404)
    assert cleo.get("/hub/api/users", **headers)[0] == 403
    config = subprocess.run([sys.executable, "-P", "-c", "from crabcan_workshop.classroom import hub\n"
                             "print(*hub.TEACHER)"], text=True, capture_output=True, check=True,
                            env={**os.environ, "PYTHONPATH": str(CHECKOUT)}).stdout.split()
    assert "access:servers" not in config and "admin:users" not in config
