"""Who may come in: a name of the list, the class's password, and a word that only its owner knows.

The class's password keeps strangers out; all in the room know it, and so it says nothing about who
somebody is. The first to come with a name therefore chooses a word for it, and it is asked for from
then on. Kept are scrypt hashes; who guesses has to wait.
"""
import time
from pathlib import Path

from jupyterhub.auth import Authenticator
from tornado.web import HTTPError

from .secret import Words, same
from .settings import load

FORM = Path(__file__).with_name("login.html")
TRIES, WINDOW = 5, 60  # wrong ones, in so many seconds, of a name at an address; ten times that of either
SHORTEST = 4


class Patience:
    """Counts what was wrong lately."""

    def __init__(self, clock=time.monotonic):
        self.clock, self.wrong = clock, []

    def left(self, name, address):
        """Seconds that this name has to wait at this address; 0 for none."""
        now = self.clock()
        self.wrong = [entry for entry in self.wrong if entry[0] > now - WINDOW]
        both = [when for when, who, where in self.wrong if who == name and where == address]
        either = [[when for when, who, _ in self.wrong if who == name],
                  [when for when, _, where in self.wrong if where == address]]
        for times, most in ((both, TRIES), *((times, TRIES * 10) for times in either)):
            if len(times) >= most:
                return int(times[-most] + WINDOW - now) + 1
        return 0

    def failed(self, name, address):
        self.wrong.append((self.clock(), name, address))


class ClassAuthenticator(Authenticator):
    """The Hub asks it."""

    def __init__(self, **more):
        super().__init__(**more)
        self.patience, self.words = Patience(), Words()

    def get_custom_html(self, base_url):
        return FORM.read_text()

    async def authenticate(self, handler, data):
        """The name. Raises HTTPError with what the page then says."""
        name, address = data.get("username", "").strip().lower(), handler.request.remote_ip
        if wait := self.patience.left(name, address):
            raise HTTPError(429, f"Too many wrong tries: wait {wait} seconds.")
        if why := self.wrong(name, data, load()):
            self.patience.failed(name, address)
            raise HTTPError(403, why)
        return name

    def wrong(self, name, data, chosen):
        """What is wrong with what was typed, or nothing."""
        if name == chosen["teacher"]:
            right = same(data.get("password", ""), chosen["teacher_password"])
            return "" if right else "That is not the teacher's password."
        if not same(data.get("password", ""), chosen["password"]):
            return "That is not the class's password: ask your teacher."
        if name not in [learner["name"] for learner in chosen["learners"]]:
            return "This name is not in the list: ask your teacher how it is spelt there."
        kept, own = self.words.all().get(name), data.get("own", "")
        if kept:
            return "" if same(own, kept) else "This name has another word of its own: ask your teacher to forget it."
        if len(own) < SHORTEST:
            return f"Choose a word of your own, of {SHORTEST} letters or more: the next time it is asked for."
        self.words.put(name, own)
        return ""
