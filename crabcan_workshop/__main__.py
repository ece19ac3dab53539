"""Starts the command `workshop` (cli.py): what ./workshop hands on when all is set up."""
import signal
import sys

INTERRUPTED = signal.getsignal(signal.SIGINT)
if __name__ == "__main__" and INTERRUPTED is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while we load: no traceback

from .cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(ready=lambda: signal.signal(signal.SIGINT, INTERRUPTED)))
