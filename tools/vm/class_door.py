"""The door of a class: its certificates, and who is shown out."""
import http.client
import subprocess
import time
import urllib.error
import urllib.request

from class_ground import CHECKOUT, NAMES, patient, people, pid, say, shell, workshop

SAFE, ROOT, GIVEN = "https://localhost:8443", "/srv/crabcan-class/root.crt", "/etc/given-to-the-class.pem"
TLS = ("--learners", "3", "--address", "0.0.0.0", "--port", "8443", "--name", "localhost", "--name", "class.test")


def certificates():
    """An authority of the class's own, and a certificate that is given."""
    workshop(*TLS)
    try:
        said = urllib.request.urlopen(f"{SAFE}/hub/login", timeout=60).status
    except urllib.error.URLError as error:
        said = repr(error.reason)
    say("CERTIFICATE_VERIFY_FAILED" in str(said), "a browser that does not have the root refuses", str(said))
    one = people(NAMES[:1], SAFE, ROOT)[0]
    say(one.run("print(6 * 7)") == "42\n", "a cell by way of TLS")
    plain = http.client.HTTPConnection("localhost", 8443, timeout=60)
    plain.request("GET", "/hub/login")
    answer = plain.getresponse()
    say((answer.status, answer.getheader("Location")) == (301, "https://localhost:8443/hub/login"), "plain HTTP is sent on")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", GIVEN + ".key",
                    "-out", GIVEN], check=True, capture_output=True)
    said = shell(f"{CHECKOUT}/workshop class --learners 3 --cert {GIVEN} --key /etc/hostname")
    say(said.returncode == 1 and "journalctl -u crabcan-class-proxy" in said.stderr, "a key that is none is told", said.stderr)
    workshop("--learners", "3", "--cert", GIVEN, "--key", GIVEN + ".key")
    one = people(NAMES[:1], SAFE, GIVEN)[0]
    say(one.run("print(6 * 7)") == "42\n", "a cell by way of a certificate that was given")


def idle():
    """Who works keeps the server, who left does not."""
    workshop("--learners", "3", "--idle", "2")
    say(patient(lambda: {pid(name) for name in NAMES} == {"0"}, 900), "servers where nobody works end")
    one = people(NAMES[1:2], SAFE, GIVEN)[0]
    one.run("mark = 1")
    until = time.monotonic() + 240  # twice as long as one may be idle, and a look of the culler's
    while time.monotonic() < until:
        one.run("1")
        time.sleep(5)
    said = one.run("print(mark, open('../secret.txt').read())")
    say(said == "1 treasure\n", "one where somebody works does not; and their work was there", said)
