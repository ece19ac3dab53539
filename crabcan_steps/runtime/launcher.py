"""Starts crabcan for ./workshop, and crabcan-oci for engines. Python's own search for packages takes longer than a container.

So it is left out (python3 -S), and what it would find is said here.
"""
import os
import sys

HERE = os.path.abspath(f"{__file__}/../../..")
VERSION = "python%d.%d" % sys.version_info[:2]
sys.path[:0] = [HERE]
sys.path += ["/usr/lib/python3/dist-packages", f"{HERE}/.venv/lib/{VERSION}/site-packages"]

try:
    if sys.argv[1:2] == ["oci"]:
        del sys.argv[1]
        import gc
        gc.disable()  # it ends long before there is anything worth collecting
        from crabcan_steps.oci.interpreter import shelter
        shelter(sys.argv)
        from crabcan_steps.oci.__main__ import leave, main
        leave(main())
    else:
        import crabcan_steps.__main__  # noqa: F401
except SystemExit as end:
    os._exit(end.code)  # all is written out by now, and to tidy up an interpreter takes 3 ms
