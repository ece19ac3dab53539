"""The teacher's page as a service of JupyterHub's, which starts it: python -m crabcan_workshop.teacher.hub.

CRABCAN_HOMES is the directory with the learners' homes, CRABCAN_TEACHER the Hub's name of whose page it is.
"""
import os
import sys
from urllib.parse import urlsplit

from ..words import Parser
from . import command


def options():
    """What stands for a command line."""
    parser = Parser(prog="teacher")
    command.add_arguments("teach", parser)
    address = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    return parser.parse_args([
        os.environ.get("CRABCAN_HOMES", "/srv/crabcan-class"), "--host", address.hostname, "--port",
        str(address.port), "--teacher", os.environ.get("CRABCAN_TEACHER", "teacher")])


if __name__ == "__main__":
    sys.exit(command.main(options()))
