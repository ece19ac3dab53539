"""`workshop teach`: the teacher's page over learners' directories, for this machine's browser or below JupyterHub."""
import argparse
import os
import signal
import sys

from ..desk import board as desk_board
from ..desk import instructor, workspace

COMMANDS = {"teach": "who is where, and what stops them: a page for the browser"}
EPILOG = """examples:
  sudo workshop teach /home                        everybody's ~/my-container on this machine
  workshop teach /srv/class --track morning        a directory with a workspace for each; a plan to time

It shows what learners' own files say: a help to see who needs you, no mark.
As root it keeps one power, to read; messages then stand in /run/crabcan-teach, where checks show them."""


def add_arguments(name, parser):
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, EPILOG
    parser.add_argument("folders", nargs="+", metavar="DIR", help="as for report: a directory of workspaces, or of homes")
    parser.add_argument("--port", type=port, default=8890, help="of this machine (8890); 0: any")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="(127.0.0.1: for this machine only)")
    parser.add_argument("--board", metavar="FILE", help="where messages to all stand; learners' checks look there "
                        f"if CRABCAN_BOARD names it (as root {desk_board.PLACE})")
    parser.add_argument("--track", choices=instructor.TRACKS, default="workshop", help="the plan whose blocks are "
                        "timed (workshop)")
    parser.add_argument("--teacher", default="teacher", help="below JupyterHub: whose page it is (teacher)")


def port(text):
    if not text.isascii() or not text.isdigit() or not int(text) < 1 << 16:
        raise argparse.ArgumentTypeError(f"'{text}': must be a number from 0 to 65535")
    return int(text)


def blocks(track):
    """The plan's blocks: a label, and minutes."""
    days = instructor.agenda(track, 9 * 60)
    return [{"label": text, "minutes": end - begin} for day in days for begin, end, text in day]


def main(options):
    for folder in options.folders:
        if not os.path.isdir(folder) and "JUPYTERHUB_API_URL" not in os.environ:  # there it may come yet
            print(f"workshop: teach: {folder}: no directory", file=sys.stderr)
            return 1
    place = options.board or os.environ.get("CRABCAN_BOARD") or (desk_board.PLACE if not os.geteuid() else None)
    import asyncio  # only now: no other command waits for it
    try:
        return asyncio.run(serve(options, place))
    except ModuleNotFoundError as error:
        print(f"workshop: teach: {error.name} is missing: in a clone, ./workshop teach brings it", file=sys.stderr)
    except (OSError, workspace.WorkspaceError) as error:
        print(f"workshop: teach: {error}", file=sys.stderr)
    return 1


async def serve(options, place):
    """Listens, gives its powers up, and answers until it is ended."""
    import asyncio

    from tornado import httpserver, netutil

    from . import access, board, powers, room, server
    try:
        sockets = netutil.bind_sockets(options.port, options.host)
    except OSError as error:
        raise OSError(f"--host {options.host} --port {options.port}: {error.strerror}: is another one running? "
                      "--port 0 takes a free one") from error
    number = sockets[0].getsockname()[1]
    plan = blocks(options.track)
    if place:
        powers.narrow(os.path.dirname(os.path.abspath(place)))
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "/")
    watch = server.Watch(room.Room(options.folders), board.Board(place), plan)
    settings = access.settings(options.host, number)
    application = server.application(watch, prefix, teacher=options.teacher, **settings)
    httpserver.HTTPServer(application, max_body_size=1 << 16, max_buffer_size=1 << 20).add_sockets(sockets)
    if not place:
        print("workshop: teach: as an ordinary user without --board: messages are on this page only", file=sys.stderr)
    shown = f"[{options.host}]" if ":" in options.host else options.host
    if not access.BELOW_HUB:  # there the Hub says who one is
        print(f"the class: http://{shown}:{number}{prefix}?token={settings['token']}   (Ctrl-C ends it)", flush=True)
    ended = asyncio.Event()
    for number in signal.SIGTERM, signal.SIGHUP:
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    loop = asyncio.ensure_future(watch.run())
    await asyncio.wait({loop, asyncio.ensure_future(ended.wait())}, return_when=asyncio.FIRST_COMPLETED)
    return 0
