#!/usr/bin/env python3
"""Builds the book, and shows it to this machine's browser until Ctrl-C."""
import argparse
import logging
import socket
import sys
from pathlib import Path

from mkdocs.commands import build, serve
from mkdocs.config import load_config
from mkdocs.exceptions import Abort, ConfigurationError

CHECKOUT = Path(__file__).resolve().parent.parent.parent


def options():
    parser = argparse.ArgumentParser(
        prog="workshop book", description=__doc__,
        epilog="INSTRUCTOR=1 in the environment: with the speaker notes of each chapter")
    parser.add_argument("--build", action="store_true", help="only build it: into build/site")
    parser.add_argument("--port", type=int, help="of this machine (8000, or a free one)")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS",
                        help="listen there (127.0.0.1: for this machine only)")
    parser.add_argument("--chapters", type=Path, metavar="DIR", help=argparse.SUPPRESS)
    parser.add_argument("--site", type=Path, metavar="DIR", help=argparse.SUPPRESS)
    return parser.parse_args()


def free_port():
    """8000 if nobody has it, or whatever the kernel gives."""
    for port in (8000, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]


def build_once(chosen):
    """Builds strictly: a link that leads nowhere is an error."""
    changed = {"docs_dir": chosen.chapters, "site_dir": chosen.site}
    config = load_config(str(CHECKOUT / "mkdocs.yml"),
                         **{key: str(path.resolve()) for key, path in changed.items() if path})
    config.plugins.on_startup(command="build", dirty=False)
    build.build(config)
    config.plugins.on_shutdown()
    print(f"the book: {Path(config.site_dir) / 'index.html'}")


def serve_it(chosen):
    """Serves it, and builds it anew when a page changes; here a bad link is only a warning."""
    port = chosen.port or free_port()
    print(f"the book: http://127.0.0.1:{port}/   (Ctrl-C ends it)", flush=True)
    watched = [CHECKOUT / name for name in ("notebooks", "build/notebooks", "tools/book")]
    serve.serve(str(CHECKOUT / "mkdocs.yml"), livereload=True, strict=False,
                dev_addr=f"{chosen.host}:{port}",
                watch=[str(path) for path in watched if path.exists()])


if __name__ == "__main__":
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    arguments = options()
    try:
        (build_once if arguments.build else serve_it)(arguments)
    except (Abort, ConfigurationError, OSError) as error:
        sys.exit(f"workshop book: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
