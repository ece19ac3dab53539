import _signal as signal  # built in, whereas `signal` takes 3 ms to load
import sys

try:
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        # Python would raise KeyboardInterrupt at any point of the imports, where some swallow it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
except KeyboardInterrupt:  # it came before this
    sys.exit(130)

from .cli import main

sys.exit(main())
