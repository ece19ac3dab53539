"""workshop class, as far as no systemd is needed: who is in it, what is asked for, what would be done."""
import os
import ssl
import subprocess
import sys
import tempfile
import threading

import pytest

from conftest import CHECKOUT
from crabcan_workshop.classroom import people, proxy, secret, settings, shown, tls, units
from crabcan_workshop.classroom.system import ClassError

CHOSEN = {"learners": [{"name": "ana", "title": "Ana", "number": 1}], "address": "127.0.0.1", "port": 8000,
          "cert": None, "key": None, "limits": {"memory": 512, "cpu": 100, "tasks": 512, "disk": 100}}


def workshop(*words):
    return subprocess.run([sys.executable, "-P", "-m", "crabcan_workshop", "class", *map(str, words)], text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(CHECKOUT)})


def test_names_of_all_kinds_become_accounts(tmp_path):
    file = tmp_path / "names.csv"
    file.write_text("\ufeffgroup;Name\n1;Ana Müller\n1;Łukasz O'Hara\n\n2;  bo  \n", encoding="utf-8")
    learners = people.listed(file)
    assert [(one["name"], one["title"], one["number"]) for one in learners] == [
        ("ana-muller", "Ana Müller", 1), ("ukasz-o-hara", "Łukasz O'Hara", 2), ("bo", "bo", 3)]
    file.write_text("bo\nZoë\n")
    assert [one["number"] for one in people.listed(file, learners)] == [1, 2, 3, 4], "who is there keeps the number"


@pytest.mark.parametrize("text, told", [("", "has no names"), ("1st\n", "begin with a letter"), ("a" * 40, "at most 26"),
                                        ("Ana\nana\n", "would both be ana"), ("\n".join(f"a{n}" for n in range(251)),
                                                                             "a machine takes 250")])
def test_names_that_cannot_be_are_told(tmp_path, text, told):
    (tmp_path / "names").write_text(text)
    with pytest.raises(ClassError, match=told):
        people.listed(tmp_path / "names")


def test_a_word_is_kept_so_that_nobody_reads_it(tmp_path):
    words = secret.Words(tmp_path / "words.json")
    words.put("ana", "crab")
    assert (tmp_path / "words.json").stat().st_mode & 0o077 == 0 and "crab" not in (tmp_path / "words.json").read_text()
    kept = words.all()["ana"]
    assert secret.same("crab", kept) and not secret.same("crabs", kept) and secret.hashed("crab") != kept
    assert words.forget("ana") and not words.forget("ana")
    assert len({secret.made_up() for _ in range(100)}) == 100


def test_a_dry_run_says_all_and_does_nothing(tmp_path):
    before = sorted(os.listdir("/etc"))
    result = workshop("--learners", 3, "--dry-run")
    assert result.returncode == 0, result
    assert all(f"would account class-learner0{n}" in result.stdout for n in (1, 2, 3))
    assert all(f"would write {path}" in result.stdout for path in units.files(CHOSEN) if "4000" not in path)
    assert sorted(os.listdir("/etc")) == before and not settings.COURSE.exists()


@pytest.mark.parametrize("words, told", [
    (("--learners", 0), "must be a number from 1 to 250"), (("--file", "/none"), "/none: No such file"),
    (("--learners", 2, "--cert", "/etc/hostname"), "--cert and --key go together"),
    (("--learners", 2, "--address", "here"), "must be an address such as 0.0.0.0"),
    (("--stop",), "there is no class on this machine"), ((), "--learners 30 makes one"),
    (("--learn", 2), "did you mean --learners?"), (("--stop", "--start"), "not allowed with")])
def test_a_mistake_is_one_line(words, told):
    result = workshop(*words)
    assert result.returncode in (1, 2) and told in result.stderr, result
    assert result.stderr.count("\n") == 1 and not result.stdout


def test_a_certificate_lies_where_the_door_finds_it_after_a_restart():
    with tempfile.NamedTemporaryFile(dir="/tmp") as file:
        result = workshop("--learners", 2, "--cert", file.name, "--key", file.name, "--dry-run")
    assert result.returncode == 1 and "put it into /etc" in result.stderr


def test_without_systemd_or_root_a_class_is_refused():
    if os.path.isdir("/run/systemd/system") and not os.geteuid():
        pytest.skip("here it would make one")
    result = workshop("--learners", 2)
    assert result.returncode == 1 and ("systemd does not run" in result.stderr or "only root makes" in result.stderr)


@pytest.mark.slow
def test_its_own_authority_vouches_for_the_door_and_for_nothing_else(tmp_path, monkeypatch):
    """A real handshake. The root's key is nowhere."""
    for name, path in {"FOLDER": "tls", "CERT": "tls/crt", "KEY": "tls/key", "SHOWN": "root.crt"}.items():
        monkeypatch.setattr(tls, name, tmp_path / path)
    monkeypatch.setattr(settings, "HOMES", tmp_path)
    tls.authority(["class.example.org", "192.0.2.7"])
    assert tls.KEY.stat().st_mode & 0o077 == 0 and sorted(os.listdir(tmp_path / "tls")) == ["crt", "key"]
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tls.CERT, tls.KEY)
    for name, good in (("class.example.org", True), ("192.0.2.7", True), ("other.example.org", False)):
        assert shaken(server, ssl.create_default_context(cafile=tls.SHOWN), name) == good, name
    assert not shaken(server, ssl.create_default_context(), "class.example.org")
    assert tls.fits(["class.example.org", "192.0.2.7"]) and not tls.fits(["class.example.org"])


@pytest.mark.slow
def test_the_wall_shows_the_root_and_the_door(tmp_path, monkeypatch, capsys):
    """The squares on the screen are the code's own, with the quiet zone that scanners want; in colour, too."""
    import segno
    for name in ("FOLDER", "CERT", "KEY", "SHOWN"):
        monkeypatch.setattr(tls, name, tmp_path / name)
    monkeypatch.setattr(settings, "HOMES", tmp_path)
    fingerprint = tls.authority(["class.example.org"])
    chosen = CHOSEN | {"cert": "/c", "names": ["class.example.org"], "port": 443, "own_authority": True}
    shown.show(chosen, colour=False)
    said = capsys.readouterr().out
    assert fingerprint in said and "https://class.example.org/root.crt" in said
    shown.show(chosen, colour=True)
    coloured = capsys.readouterr().out
    assert coloured != said and coloured.replace(shown.WHITE_ON_BLACK, "").replace(shown.OFF, "") == said
    for text in ("https://class.example.org/root.crt", "https://class.example.org/"):
        lines = [*shown.code(text, False)]
        assert "\n".join(lines) in said
        light = [[char in chars for char in line] for line in lines for chars in ("█▀", "█▄")]
        wanted = [[not dark for dark in row] for row in segno.make(text, micro=False).matrix_iter(border=2)]
        assert light[:len(wanted)] == wanted


def shaken(server, client, name):
    """Whether a browser with these roots believes that it has come to this name."""
    import socket
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does, and RFC 5280 wants
    here, there = socket.socketpair()

    def serve():
        try:
            with server.wrap_socket(there, server_side=True) as wrapped:
                wrapped.recv(1)
        except OSError:
            there.close()
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(here, server_hostname=name) as wrapped:
            wrapped.send(b"x")
        return True
    except ssl.SSLError:
        here.close()
        return False
    finally:
        thread.join()


def test_the_door_has_a_way_for_each_and_only_two_inside():
    text = proxy.text(CHOSEN | {"cert": "/c", "key": "/k", "address": "::", "port": 443})
    outside, inside = text.split("listen 10.77.0.1:8081;")
    assert "listen [::]:443 ssl;" in outside and "http://10.77.1.1:8888" in outside
    assert [line.split()[1] for line in inside.splitlines() if "location" in line and "/services/" not in line] == [
        "/hub/api/"]
