"""What a teacher says to the whole room: messages, answers that all are given, when the block ends.

One file, which only the teacher's page writes and everybody reads; so nobody writes into a learner's home.
"""
import json
import os
import time

from crabcan_steps.layer import printable

from . import workspace

PLACE = "/run/crabcan-teach/board.json"
FRESH = 15 * 60  # seconds for which a message is told again
EMPTY = {"messages": [], "given": [], "timer": None}


def place():
    return os.environ.get("CRABCAN_BOARD") or PLACE


def read(path=None):
    """The board; an empty one if there is none, or none that can be understood."""
    try:
        found = json.loads(workspace.read(path or place()))
    except (OSError, ValueError, RecursionError):
        return dict(EMPTY)
    return EMPTY | found if isinstance(found, dict) else dict(EMPTY)


def news(number=None, now=None):
    """Lines for a learner who has just done something, in the chapter `number`."""
    board, now = read(), now or time.time()
    try:
        for message in board["messages"]:
            if now - FRESH < message["at"] <= now + FRESH:
                clock = time.strftime("%H:%M", time.localtime(message["at"]))
                yield f"from your teacher, {clock}: {printable(message['text'])}"
        if number in board["given"]:
            yield f"chapter {number}'s answer is everybody's now: workshop take {number} (yours goes to attic/)"
        if board["timer"] and now < board["timer"]["ends"]:
            minutes = -(-int(board["timer"]["ends"] - now) // 60)
            yield f"{printable(board['timer']['label'])}: {minutes} min left"
    except (KeyError, TypeError, ValueError, OverflowError):
        return  # somebody has written what is no board


def given(number):
    """Whether the teacher has given all the answer of a chapter."""
    found = read()["given"]
    return isinstance(found, list) and number in found
