"""What runs in a fresh interpreter for the notebook: python -m crabcan_workshop.lab.fresh.

The probe's canaries join a session keyring and start no threads; a notebook's kernel is not the
place for that. Prints one line of JSON a checkpoint.
"""
import json
import os
import sys

from ..measure import matrix, observe


def main(argv):
    what, *steps = argv
    try:
        if what == "rows":
            for step, cells, note in matrix.rows(steps=[int(step) for step in steps]):
                print(json.dumps([step, cells, note]), flush=True)
        else:
            with observe.Canaries() as canaries:
                host = {**observe.look("self"), "hostname": os.uname().nodename}
                inside, outside, _, note = matrix.visit(int(steps[0]), canaries)
                print(json.dumps([inside, outside, host, note]))
    except observe.ObserveError as error:
        sys.exit(str(error).splitlines()[-1])


if __name__ == "__main__":
    main(sys.argv[1:])
