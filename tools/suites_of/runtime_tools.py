"""The specification's own validation (runtime-tools), in Go: a program for each part of it."""
import fnmatch
import os

from .common import Missing, apart, output, printed

REASONS = {
    "*linux_cgroups_*": "of 2022: reads files of cgroups that the kernel has since lost, or trees not mounted here",
    "*apparmor*": "this kernel runs without AppArmor",
    "*mount_label*": "this kernel runs without SELinux",
    "pidfile": "kills `true`, which mostly has ended by then: that is an error, as the specification has it",
}


class Suite:
    """Each program of validation/, whole: it passes if all that it checks is right."""
    name, what = "runtime-tools", "the specification's validation, a program each"

    def __init__(self, work, given):
        self.folder, self.go = given.runtime_tools, given.go

    def build(self):
        if not self.folder or not (self.folder / "validation").is_dir():
            raise Missing("give its sources: --runtime-tools DIR (a clone of opencontainers/runtime-tools)")
        if not [*self.folder.glob("validation/*/*.t")]:
            path = os.path.dirname(self.go) + ":" if "/" in self.go else ""
            output("make", "runtimetest", "validation-executables", cwd=self.folder,
                   env=os.environ | {"PATH": path + os.environ["PATH"]})

    def run(self, name, runtime, pattern):
        """Yields (test, outcome)."""
        for program in sorted(self.folder.glob("validation/*/*.t")):
            if not fnmatch.fnmatch(program.stem, pattern):
                continue
            words = ["sh", "-c", '"$0"; echo "status $?"', str(program)]
            said, in_time = printed(apart(name, words), 60, cwd=self.folder, env=os.environ | {"RUNTIME": runtime})
            good = in_time and said.endswith("status 0\n") and "\nnot ok" not in f"\n{said}"
            yield program.stem, "passed" if good else "failed"

    def reason(self, test):
        return next((why for pattern, why in REASONS.items() if fnmatch.fnmatch(test, pattern)), "")
