#!/usr/bin/env python3
"""Builds the book, and shows it to this machine's browser until Ctrl-C."""
import argparse
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tools")]

import listen  # noqa: E402
from crabcan_workshop import words  # noqa: E402


def options():
    parser = words.Parser(prog=f"{words.NAME} book", description=__doc__)
    parser.add_argument("--build", action="store_true", help="only build it: into build/site")
    parser.add_argument("--speaker-notes", action="store_true",
                        help="with each chapter's notes for whoever teaches (or INSTRUCTOR=1)")
    parser.add_argument("--port", type=port, help="of this machine (8000, or a free one)")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS",
                        help="listen there (127.0.0.1: for this machine only)")
    parser.add_argument("--chapters", type=Path, metavar="DIR", help=argparse.SUPPRESS)
    parser.add_argument("--site", type=Path, metavar="DIR", help=argparse.SUPPRESS)
    parser.add_argument("--words", action="store_true", help=argparse.SUPPRESS)  # only looks at them
    return parser.parse_args()


def port(text):
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 16:
        raise argparse.ArgumentTypeError(f"'{text}': must be a number from 1 to 65535")
    return int(text)


def build_once(chosen):
    """Builds strictly: a link that leads nowhere is an error."""
    from mkdocs.commands import build
    from mkdocs.config import load_config
    changed = {"docs_dir": chosen.chapters, "site_dir": chosen.site}
    config = load_config(str(CHECKOUT / "mkdocs.yml"),
                         **{key: str(path.resolve()) for key, path in changed.items() if path})
    config.plugins.on_startup(command="build", dirty=False)
    build.build(config)
    config.plugins.on_shutdown()
    print(f"the book: {Path(config.site_dir) / 'index.html'}")


def serve_it(chosen):
    """Serves it, and builds it anew when a page changes; here a bad link is only a warning."""
    from mkdocs.commands import serve
    port = listen.port(chosen.host, *[chosen.port] if chosen.port else (8000, 0))
    shown = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    print(f"the book: http://{shown}:{port}/   (Ctrl-C ends it)", flush=True)
    watched = [CHECKOUT / name for name in ("notebooks", "build/notebooks", "tools/book")]
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # and no longer without a word
    with tempfile.TemporaryDirectory(prefix="crabcan-book-") as tempfile.tempdir:  # MkDocs leaves its own behind
        serve.serve(str(CHECKOUT / "mkdocs.yml"), livereload=True, strict=False,
                    dev_addr=f"{shown}:{port}",
                    watch=[str(path) for path in watched if path.exists()])


def looked(chosen):
    """Whether all can be had as it was asked for, as far as one can know before mkdocs is there."""
    try:
        if not chosen.build:
            listen.port(chosen.host, 0)
    except OSError as error:
        sys.exit(f"workshop: book: {error}")


def main(arguments):
    if arguments.words:
        return looked(arguments)
    from mkdocs.exceptions import Abort, ConfigurationError
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    if arguments.speaker_notes:
        os.environ["INSTRUCTOR"] = "1"  # hooks.py looks for it
    try:
        (build_once if arguments.build else serve_it)(arguments)
    except (Abort, ConfigurationError, OSError) as error:
        sys.exit(f"workshop: book: {error}")


if __name__ == "__main__":
    try:
        main(options())
    except KeyboardInterrupt:
        sys.exit(130)
