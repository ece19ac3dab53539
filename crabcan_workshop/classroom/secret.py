"""Passwords, kept as scrypt hashes, and the word that each learner has chosen."""
import hashlib
import hmac
import json
import os
import secrets

from .settings import STATE, write

WORDS = STATE / "words.json"
COST = {"n": 1 << 14, "r": 8, "p": 1}  # 16 MiB and some 50 ms for a try
SYLLABLES = "ba da fa ga ka la ma na pa ra sa ta za be de fe ge ke le me ne pe re se te ze bo do fo go ko lo mo".split()


def made_up():
    """A password that is easy to read from a wall: three words of 15 bits."""
    return "-".join("".join(secrets.choice(SYLLABLES) for _ in range(3)) for _ in range(3))


def hashed(word, salt=None):
    """salt$hash, both as hexadecimal digits."""
    salt = salt or secrets.token_hex(16)
    return f"{salt}${hashlib.scrypt(word.encode(), salt=bytes.fromhex(salt), **COST).hex()}"


def same(word, kept):
    """Whether the word is the one that was hashed."""
    return hmac.compare_digest(hashed(word, kept.partition("$")[0]), kept)


class Words:
    """The hashes of the learners' own words, in a file of root's."""

    def __init__(self, path=WORDS):
        self.path = path

    def all(self):
        return json.loads(self.path.read_text()) if os.path.exists(self.path) else {}

    def put(self, name, word):
        write(self.path, json.dumps(self.all() | {name: hashed(word)}, indent=1) + "\n")

    def forget(self, name):
        """So that the next one who comes chooses anew. Tells whether there was one."""
        words = self.all()
        found = words.pop(name, None)
        if found:
            write(self.path, json.dumps(words, indent=1) + "\n")
        return bool(found)
