import sys

try:
    from .ch09_runtime import main
except KeyboardInterrupt:  # a Ctrl-C that came early
    sys.exit(130)

sys.exit(main())
