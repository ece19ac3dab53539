"""runc's integration tests, in bats. They look at words of runc's own now and then."""
import fnmatch
import os
import re
import shutil

from .common import apart, busybox, need, output, printed, source

PACKAGES = """bats jq gawk gcc libc6-dev golang-go libseccomp-dev pkg-config uidmap busybox-static iproute2
    golang-dbus-dev golang-github-containerd-console-dev golang-github-coreos-go-systemd-dev
    golang-github-cyphar-filepath-securejoin-dev golang-github-docker-go-units-dev golang-github-moby-sys-dev
    golang-github-opencontainers-selinux-dev golang-github-opencontainers-specs-dev
    golang-github-seccomp-libseccomp-golang-dev golang-github-sirupsen-logrus-dev
    golang-github-urfave-cli-dev golang-gocapability-dev golang-golang-x-sys-dev""".split()
HELPERS = ("recvtty", "seccompagent")  # the third, for systemd, is not needed without it
LONGEST = 240  # seconds for a file
LINE = re.compile(r"(ok|not ok) \d+ (.*?)( # skip.*)?")
REASONS = {
    "*runc -h": "wants the name runc, and its words, in the help",
    "*runc command -h": "wants the name runc in the help",
    "version.bats*": "wants the name runc in the version",
    "*warn about a non-empty cgroup": "ours refuses it: the first one's end would take the other along",
    "*spec validator": "fetches the specification's schema from the network",
    "*rt period and runtime": "the kernel here has no time to give away (cpu.rt_runtime_us)",
}


class Suite:
    """Each file with bats, at a terminal: `runc run` wants one."""
    name, what = "runc", "its own integration tests (apt-get source runc)"

    def __init__(self, work, given):
        self.work = work

    def build(self):
        need(PACKAGES)
        self.folder = source("runc", self.work)
        self.tests = self.folder / "tests/integration"
        above = self.work / "go/src/github.com/opencontainers"
        above.mkdir(parents=True, exist_ok=True)
        if not (above / "runc").exists():
            (above / "runc").symlink_to(self.folder)
        settings = os.environ | {"GOPATH": f"{self.work}/go:/usr/share/gocode", "GO111MODULE": "off"}
        for name in HELPERS:
            if not (self.folder / f"contrib/cmd/{name}/{name}").exists():
                output("/usr/bin/go", "build", "-tags", "seccomp", "-o", name, ".", env=settings,
                       cwd=above / f"runc/contrib/cmd/{name}")
        arch = output("dpkg", "--print-architecture").strip()
        busybox(self.tests / f"testdata/busybox-{arch}.tar.xz")
        busybox(self.tests / f"testdata/debian-{arch}.tar.xz", {"ldconfig": "/sbin/ldconfig"})

    def run(self, name, runtime, pattern):
        """Yields (test, outcome)."""
        scratch = self.work / "tmp"
        for file in sorted(self.tests.glob("*.bats")):
            if not fnmatch.fnmatch(file.stem, pattern):
                continue
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            words = ["script", "-qefc", f"bats --formatter tap {file.name}", "/dev/null"]
            said, in_time = printed(apart(name, words), LONGEST, cwd=self.tests,
                                    env=os.environ | {"RUNC": runtime, "TMPDIR": str(scratch)})
            if not in_time:
                yield f"{file.name}: in time", "failed"
            for line in said.splitlines():
                if match := LINE.fullmatch(line.strip()):
                    yield f"{file.name}: {match[2]}", ("skipped" if match[3] else "passed"
                                                       if match[1] == "ok" else "failed")

    def reason(self, test):
        return next((why for pattern, why in REASONS.items() if fnmatch.fnmatch(test, pattern)), "")
