"""Runs a module as python -m does; a Ctrl-C that the module does not know what to do with is no
traceback, but the status that goes with it: module.py NAME [ARG ...].
"""
import runpy
import sys

try:
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except KeyboardInterrupt:
    sys.exit(130)
