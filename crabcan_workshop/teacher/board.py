"""The teacher's side of the board: what is written there, for all to read (desk/board.py)."""
import json
import os
import time

from ..desk import board

LONGEST, KEPT = 500, 50  # characters of a message; messages


class Board:
    """Messages, answers given to all, a timer; in a file, or, where none may be written, only on the page."""

    def __init__(self, path):
        self.path, self.words = path, board.read(path) if path else dict(board.EMPTY)

    def say(self, text):
        text = " ".join(text.split())[:LONGEST]
        if not text:
            raise ValueError("an empty message")
        self.change(messages=[*self.words["messages"], {"at": int(time.time()), "text": text}][-KEPT:])

    def give(self, number):
        self.change(given=sorted({*self.words["given"], number}))

    def time(self, label, minutes):
        """A timer for a block; none with 0 minutes."""
        self.change(timer={"label": " ".join(label.split())[:100], "ends": int(time.time() + 60 * minutes)}
                    if minutes else None)

    def change(self, **words):
        self.words = self.words | words
        if not self.path:
            return
        new = f"{self.path}.new"
        with open(new, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)  # everybody's to read, whatever the umask
            json.dump(self.words, file)
        os.replace(new, self.path)
