"""world(): chapter 11's lines run in a room with an internet of its own. The machine's network is left alone."""
from ..chapters import NAMES
from ..desk.check import SHELL
from ..room import door
from .desk import Said

NETWORK = next(number for number, name in NAMES.items() if name == "network")
ASK = """ASK='import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 1) as one:
        one.sendall(b"hello\\n")
        print(one.makefile().read().strip().replace("\\n", ", "))
except OSError as error:
    print(error.strerror or error)'
ask() { python3 -I -c "$ASK" "$@"; }
ready() { until ls /sys/class/net/crabcan[1-9]*; do sleep 0.1; done > /dev/null 2>&1; sleep 0.2; }
"""


def world(lines):
    """Runs lines of shell as root of a room; returns what they print.

    In there: `crabcan`; `ask ADDRESS PORT`, which tells what somebody says who listens there; `ready`, which waits
    for a container's cable. $SERVER and $PORT are a server of the room's internet, and $ASK is the program of
    `ask`, for python3 -c in a container."""
    try:
        found = door.ask(NETWORK, {}, SHELL + ASK + lines)
    except door.RoomError as error:
        return Said(error)
    return Said(found["out"] + found["err"])
