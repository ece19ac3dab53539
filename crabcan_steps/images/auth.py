"""Rights at a registry: none, a name with a password, or a token that somebody else gives for them.

The account is Docker's: ~/.docker/config.json, with the helpers that it names.
"""
import base64
import http.client
import json
import os
import re
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request

from .errors import ImageError
from .web import led


class Access:
    """What we show to one registry; asked for when it first refuses. Several threads may ask."""

    def __init__(self, host, opener, scope, insecure):
        self.host, self.opener, self.scope, self.insecure = host, opener, scope, insecure
        self.shown, self.guard = None, threading.Lock()

    def header(self):
        return self.shown

    def gain(self, challenges):
        """Does what a WWW-Authenticate header asks for (RFC 9110, RFC 6750). Raises ImageError."""
        with self.guard:
            for challenge in challenges:
                kind, _, rest = challenge.partition(" ")
                if kind.lower() == "basic":
                    name, password = account(self.host)
                    if name is None:
                        raise ImageError(f"{self.host}: wants a name and a password: `docker login {self.host}`")
                    self.shown = basic(name, password)
                    return
                if kind.lower() == "bearer":
                    words = dict(re.findall(r'(\w+)="([^"]*)"', rest))
                    self.shown = "Bearer " + self.token(words)
                    return

    def token(self, words):
        """A token, from where the registry says."""
        realm = words.get("realm", "")
        if not realm.startswith("https://") and not (self.insecure and realm.startswith("http://")):
            raise ImageError(f"{self.host}: wants our account sent to {realm:.80}, without TLS: --insecure would")
        led(self.host, f"https://{self.host}/", realm, self.insecure)
        query = {"service": words.get("service", ""), "scope": words.get("scope") or self.scope}
        name, password = account(self.host)
        try:
            if name == "<token>":  # an identity token, for OAuth 2
                asked = urllib.request.Request(realm, urllib.parse.urlencode({
                    **query, "grant_type": "refresh_token", "client_id": "crabcan", "refresh_token": password}).encode())
            else:
                asked = urllib.request.Request(f"{realm}{'&' if '?' in realm else '?'}{urllib.parse.urlencode(query)}")
                if name is not None:
                    asked.add_unredirected_header("Authorization", basic(name, password))
            with self.opener.open(asked, timeout=30) as response:
                found = json.loads(response.read(1 << 20))
            token = found.get("token") or found.get("access_token")
            if not isinstance(token, str) or not token.isascii() or not token.isprintable():
                raise ValueError("no token in it")
            return token
        except urllib.error.HTTPError as error:
            raise ImageError(f"{self.host}: gives no rights to {name or 'anybody'}: status {error.code} from {realm:.80}") from None
        except (OSError, ValueError, AttributeError, RecursionError, http.client.HTTPException) as error:
            raise ImageError(f"{self.host}: {realm:.80}: {error}") from None


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def account(host):
    """(name, password) for a registry; (None, None) if there is none."""
    folder = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    path = os.path.join(folder, "config.json")
    try:
        with open(path, "rb") as file:
            config = json.load(file)
        helper = (config.get("credHelpers") or {}).get(host) or config.get("credsStore")
        said = (config.get("auths") or {}).get(host) or (config.get("auths") or {}).get(f"https://{host}") or {}
        if said.get("identitytoken"):
            return "<token>", said["identitytoken"]
        if said.get("auth"):
            name, _, password = base64.b64decode(said["auth"]).decode().partition(":")
            return name, password.rstrip("\0")
        return helped(helper, host) if helper else (None, None)
    except FileNotFoundError:
        return None, None
    except (ValueError, AttributeError, TypeError, OSError) as error:
        raise ImageError(f"{path}: {error}") from None


def helped(helper, host):
    """What a credential helper says (docker-credential-NAME get)."""
    if not re.fullmatch(r"[\w.-]+", str(helper)):
        raise ImageError(f"~/.docker/config.json: a credential helper is called {helper!r:.80}")
    try:
        answer = subprocess.run([f"docker-credential-{helper}", "get"], input=host.encode(), capture_output=True,
                                timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ImageError(f"docker-credential-{helper}: {error}") from None
    if answer.returncode:
        if b"not found" in answer.stdout:
            return None, None
        raise ImageError(f"docker-credential-{helper}: {(answer.stdout or answer.stderr).decode(errors='replace').strip():.200}")
    found = json.loads(answer.stdout)
    return found.get("Username"), found.get("Secret")
