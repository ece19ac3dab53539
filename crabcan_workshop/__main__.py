"""Starts the command `workshop` (cli.py): what ./workshop hands on when all is set up.

The door starts Python without `site`, whose search for packages takes longest: there Ctrl-C would be a traceback.
"""
import sys
from _signal import SIG_DFL, SIGINT, default_int_handler, getsignal, signal

INTERRUPTED = getsignal(SIGINT)
if __name__ == "__main__" and INTERRUPTED is default_int_handler:
    signal(SIGINT, SIG_DFL)  # Ctrl-C while we load: no traceback

if sys.flags.no_site:
    import site
    site.main()

from crabcan_workshop.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(ready=lambda: signal(SIGINT, INTERRUPTED)))
