"""The teacher's page below a real JupyterHub: its own login, and who gets no further."""
import json
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from types import SimpleNamespace

import pytest

from conftest import CHECKOUT
from crabcan_workshop.desk import workspace

pytestmark = pytest.mark.slow  # left out by --fast
pytest.importorskip("jupyterhub", reason="comes with the packages of a class")

# A Hub without a proxy of its own: ours below sends each request where it belongs, as a class's nginx does.
CONFIG = """
from crabcan_workshop.classroom.hub import Routes

c = get_config()
c.JupyterHub.proxy_class = Routes
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "word"
c.Authenticator.allow_all = True
c.JupyterHub.hub_bind_url = c.JupyterHub.bind_url = "http://127.0.0.1:HUB"
c.JupyterHub.db_url = "sqlite:///FOLDER/hub.sqlite"
c.JupyterHub.cookie_secret_file = "FOLDER/secret"
c.JupyterHub.services = [{"name": "teacher", "url": "http://127.0.0.1:SERVICE", "oauth_no_confirm": True, "environment":
    {"CRABCAN_HOMES": "FOLDER/class", "CRABCAN_BOARD": "FOLDER/board/b.json"},
    "command": ["PYTHON", "-I", "-m", "crabcan_workshop.teacher.hub"]}]
c.JupyterHub.load_roles = [{"name": "guests", "scopes": ["access:services"], "users": ["teacher", "ann"]}]
"""
PROXY = """
import asyncio, re, sys
DOOR, HUB, SERVICE = map(int, sys.argv[1:])
async def pour(source, sink):
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except OSError:
        pass
    finally:
        sink.close()
async def serve(reader, writer):
    head = await reader.readuntil(b"\\r\\n\\r\\n")
    there = SERVICE if head.split()[1].startswith(b"/services/teacher/") else HUB
    other, out = await asyncio.open_connection("127.0.0.1", there)
    out.write(re.sub(rb"(?im)^connection:.*\\r\\n", b"", head).replace(b"\\r\\n\\r\\n", b"\\r\\nConnection: close\\r\\n\\r\\n"))
    await asyncio.gather(pour(reader, out), pour(other, writer))
async def main():
    await (await asyncio.start_server(serve, "127.0.0.1", DOOR)).serve_forever()
asyncio.run(main())
"""


def free():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    workspace.Workspace(folder / "class" / "ann").start()
    python, ports = str(CHECKOUT / ".venv/bin/python"), {"DOOR": free(), "HUB": free(), "SERVICE": free()}
    text = CONFIG
    for name, value in {**ports, "FOLDER": folder, "PYTHON": python}.items():
        text = re.sub(rf"\b{name}\b", str(value), text)
    (folder / "config.py").write_text(text)
    with open(folder / "said", "w") as said, \
            subprocess.Popen([python, "-c", PROXY, *map(str, ports.values())]) as proxy, \
            subprocess.Popen([python, "-m", "jupyterhub", "-f", folder / "config.py"], cwd=folder, stdout=said, stderr=said,
                             env=os.environ | {"PATH": f"{CHECKOUT}/.venv/bin:{os.environ['PATH']}"}) as server:
        try:
            for _ in range(600):
                try:
                    socket.create_connection(("127.0.0.1", ports["SERVICE"])).close()
                    break
                except OSError:
                    assert server.poll() is None, (folder / "said").read_text()
                    time.sleep(0.1)
            yield SimpleNamespace(base=f"http://127.0.0.1:{ports['DOOR']}/services/teacher/", folder=folder)
        finally:
            server.terminate()
            proxy.terminate()
            server.wait(30)


def come_in(hub, name):
    """Logs in by the Hub's form; returns what asks from then on, and what stood on the page in the end."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    def ask(address, data=None, **headers):
        try:
            with opener.open(urllib.request.Request(address, data, headers), timeout=30) as answer:
                return answer.status, answer.geturl(), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.geturl(), error.read().decode()

    _, where, form = ask(hub.base)
    action = re.search(r'action="([^"]+)"', form)[1].replace("&amp;", "&")
    words = {"username": name, "password": "word", "_xsrf": re.search(r'name="_xsrf" value="([^"]+)"', form)[1]}
    status, _, page = ask(urllib.parse.urljoin(where, action), urllib.parse.urlencode(words).encode())
    return ask, status, page


def test_the_teacher_comes_in_by_the_hubs_login(hub):
    ask, status, page = come_in(hub, "teacher")
    assert status == 200 and "<title>The class</title>" in page
    xsrf = re.search(r'name="xsrf" content="([^"]+)"', page)[1]
    say = json.dumps({"text": "hello"}).encode()
    assert ask(hub.base + "say", say, **{"Sec-Fetch-Mode": "cors"})[0] == 403, "without the page's own word"
    assert ask(hub.base + "say", say, **{"X-XSRFToken": xsrf, "Sec-Fetch-Mode": "cors"})[0] == 200
    assert json.loads((hub.folder / "board" / "b.json").read_text())["messages"][0]["text"] == "hello"
    assert "ann," in ask(hub.base + "class.csv", **{"Sec-Fetch-Mode": "navigate"})[2]
    assert "token=" not in (hub.folder / "said").read_text(), "below the Hub there is none"


@pytest.mark.parametrize("name, said", [("ann", "this page is the teacher's"), ("stranger", "")])
def test_nobody_else_does(hub, name, said):
    """ann may reach services, and is no teacher; the stranger the Hub itself does not let through."""
    ask, status, page = come_in(hub, name)
    assert status == 403 and said in page and "<title>The class</title>" not in page
    for path in ("events", "class.csv", "work?who=ann&chapter=3", "style.css"):
        assert "ann," not in ask(hub.base + path, **{"Sec-Fetch-Mode": "navigate"})[2]
    assert ask(hub.base + "say", b'{"text": "no"}')[0] in (403, 401)
