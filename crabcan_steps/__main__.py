import sys

from .ch09_runtime import main

sys.exit(main())
