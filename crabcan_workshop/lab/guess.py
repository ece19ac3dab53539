"""Predictions: a guess before the result teaches more than the result alone."""
import re

from .show import box

UNANSWERED = (None, ..., "", "...")


class Answer:
    """What became of a guess: `right` is True, False, or None without one."""

    def __init__(self, right, text):
        self.right, self.text = right, text

    def __repr__(self):
        return self.text

    def _repr_html_(self):
        colour = {True: "#1b5e20", False: "#8a6100", None: "#888"}[self.right]
        word, _, rest = self.text.partition(" ")
        return box(rest, colour, word)


def check(guess, result, because=""):
    """Compares a guess with what happened. Without a guess it asks for one, and goes on."""
    actual = result.stdout.strip() if hasattr(result, "stdout") else result
    if unanswered(guess):
        return Answer(None, "Guess? Make a guess first, in the line `guess = ...`, then run again.")
    right = same(guess, actual)
    said = "Yes: it is" if right else f"Surprised? You said {plain(guess)}; it is"
    return Answer(right, f"{said} {plain(actual)}. {because}".rstrip())


def unanswered(guess):
    return any(guess is word or guess == word for word in UNANSWERED)


def same(guess, actual):
    """Whether two answers mean the same: 1 and "1", yes and True, words in any order for a set."""
    if isinstance(actual, (set, frozenset, list, tuple)) and actual:
        words = re.split(r"[,\s]+", guess.strip()) if isinstance(guess, str) else guess
        try:
            return {plain(word) for word in words} == {plain(word) for word in actual}
        except TypeError:  # one number, say
            return False
    return plain(guess) == plain(actual)


def plain(value):
    """An answer as one would say it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (set, frozenset, list, tuple)):
        return ", ".join(sorted(map(plain, value))) or "nothing"
    text = " ".join(str(value).split()).casefold().strip("'\".")
    return {"true": "yes", "false": "no"}.get(text, text)
