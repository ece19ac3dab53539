"""The chapters: what they are called, and how many there are, from where their code is.

Nobody else counts them: a chapter is added by adding its files, and tests/test_forgotten.py names
those that it still lacks.
"""
from pathlib import Path

import crabcan_steps

CODE = Path(crabcan_steps.__file__).resolve().parent
NAMES = {int(path.name[2:4]): path.stem[5:] for path in sorted(CODE.glob("ch[0-9][0-9]_*.py"))}
LAST = max(NAMES)
NUMBERS = range(1, LAST + 1)
WHOLE = next(number for number, name in NAMES.items() if name == "runtime")
LAYERED = range(1, WHOLE + 1)  # those that each add to the container; later ones are larger than a layer
NETWORK = next(number for number, name in NAMES.items() if name == "network")
ROOMS = {10: "oci", 11: "net"}  # a room is called after its chapter, but for these
