"""crun's tests, in Python. They use options that only crun has; runc is called without those."""
import fnmatch
import os
import re
import shutil
import sys

from .common import apart, need, output, printed, source

LINE = re.compile(r"(ok|not ok) \d+ - (.*?)( #.*)?")
WITHOUT = """#!/bin/sh
# crun's tests say --cgroup-manager and --config, which runc does not know.
for word do
    shift
    case $skip$word in
        --cgroup-manager|--config) skip=$word ;;
        --config*) [ "$word" = config.json ] || cp "$word" config.json; skip= ;;
        --cgroup-manager*) skip= ;;
        *) set -- "$@" "$word" ;;
    esac
done
exec {runtime} "$@"
"""
REASONS = {
    "*checkpoint*": "no checkpoints here",
    "*systemd*": "no systemd runs here",
    "*exec_add_no_new_privileges": "as runc: exec keeps the container's noNewPrivileges, and crun's drops it",
    "*delete-in-created-state": "the specification forbids it, and its own validation asks for that",
    "*test_multiple_containers_delete": "delete --regex is crun's own",
    "*test_start: start": "looks for a field of crun's in crun's own state file",
    "*keep-groups": "asked for by an annotation of crun's own",
    "*exec-root-netns-with-userns": "joins /proc/1/ns/net, which a machine may keep even from root",
}


class Suite:
    """Each of its files, with python3."""
    name, what = "crun", "its tests in Python (apt-get source crun)"

    def __init__(self, work, given):
        self.work = work

    def build(self):
        need(["gcc", "libc6-dev"])
        self.tests = source("crun", self.work) / "tests"
        (self.tests / "config.h").touch()
        if not (self.tests / "init").exists():
            output("cc", "-static", "-I.", "-o", "init", "init.c", cwd=self.tests)

    def run(self, name, runtime, pattern):
        """Yields (test, outcome)."""
        if name == "runc":
            wrapper = self.work / "runc-for-crun"
            wrapper.write_text(WITHOUT.format(runtime=runtime))
            wrapper.chmod(0o755)
            runtime = str(wrapper)
        scratch = self.work / "tmp"
        for file in sorted(self.tests.glob("test_*.py")):
            if not fnmatch.fnmatch(file.stem, pattern):
                continue
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            settings = os.environ | {"INIT": f"{self.tests}/init", "OCI_RUNTIME": runtime, "TMPDIR": str(scratch)}
            said, in_time = printed(apart(name, [sys.executable, file.name]), 200, cwd=self.tests, env=settings)
            if not in_time:
                yield f"{file.stem}: in time", "failed"
            for line in said.splitlines():
                if match := LINE.fullmatch(line.strip()):
                    skipped = match[3] and "SKIP" in match[3].upper()
                    yield f"{file.stem}: {match[2]}", ("skipped" if skipped else "passed"
                                                       if match[1] == "ok" else "failed")

    def reason(self, test):
        return next((why for pattern, why in REASONS.items() if fnmatch.fnmatch(test, pattern)), "")
