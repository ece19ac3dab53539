"""The teacher's page as a service of JupyterHub's, which starts it: python -m crabcan_workshop.teacher.hub.

CRABCAN_HOMES is the directory with the learners' homes, CRABCAN_TEACHER the Hub's name of whose page it is.
"""
import os
import sys
from urllib.parse import urlsplit

from ..words import Parser
from . import command


def words():
    """The command line that it stands for."""
    address = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    return [os.environ.get("CRABCAN_HOMES", "/srv/crabcan-class"), "--host", address.hostname, "--port",
            str(address.port), "--teacher", os.environ.get("CRABCAN_TEACHER", "teacher")]


if __name__ == "__main__":
    parser = Parser.of("teach")
    command.add_arguments("teach", parser)
    sys.exit(command.main(parser.parse_args(words())))
