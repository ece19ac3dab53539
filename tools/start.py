"""Where the launcher was before it stood with the runtime: a .venv made then still asks here."""
import os

__file__ = os.path.abspath(f"{__file__}/../../crabcan_steps/runtime/launcher.py")
with open(__file__) as launcher:
    exec(compile(launcher.read(), __file__, "exec"))
