"""Runs the tests in several processes side by side, and tells of them as of one.

Who was started leads: it collects, hands out one file of tests at a time to whoever asks, and
replays what it is told, so all that pytest counts and prints is as ever (-x, --lf, --durations).
Each worker is a pytest of its own, started with the same words, that keeps itself apart (apart.py)
and runs what it is handed. Whole files, because what a file's tests share is made once.

It is not pytest-xdist, because that cannot start: its workers have a thread that listens before a
conftest is asked anything, and apart.enter forks, so the child, which is to test, has no such thread
(tried with 3.8: "bringing up nodes...", for ever). Around all of it, apart.enter would put all workers
into the same namespaces, where each would be blamed for what another's tests mount and leave.

With --second-chance a test that failed beside the others is tried once more when they have ended, and
counts as that says; the summary names it. Not those that look for what happens seldom (ONCE).
"""
import contextlib
import itertools
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import warnings

import pytest

import apart

MOST = 4  # more at once have not been tried
# An escape, a lost race or a leak that was seen once has happened; and if many fail, it is not the noise.
ONCE = re.compile("exchange|faults|kills|fuzz|escape|leaks|attacks|crowd|walls|past_the_bridge|room|no_python")
CHANCES = 10
ALONE_IN_ITS_PROCESS = ("usepdb", "trace", "setuponly", "setupshow", "long", "collectonly", "help")


def processes(config):
    """How many at once: as said, or one for each processor if there is more than one file to run."""
    if config.getoption("processes"):
        return config.getoption("processes")
    if any(map(config.getoption, ALONE_IN_ITS_PROCESS)) or config.getoption("capture") == "no":
        return 1
    files = {word.split("::")[0] for word in config.args}
    if len(files) == 1 and not os.path.isdir(*files):
        return 1
    return min(len(os.sched_getaffinity(0)), MOST)


def by_file(items):
    """{file: its tests}, in the order in which they were collected."""
    files = {}
    for item in items:
        files.setdefault(item.location[0], []).append(item)
    return files


# ---------------------------------------------------------------- who runs them

class Worker:
    """The plugin of a pytest that runs what it is handed."""

    def __init__(self, config, descriptor):
        self.config, self.reports, self.place = config, [], None
        self.stream = socket.socket(fileno=descriptor).makefile("rw")
        config.workerinput = {}  # pytest then leaves its cache, and files of results, to who leads
        apart.LIBC.prctl(apart.PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    def tell(self, **message):
        with contextlib.suppress(BrokenPipeError):  # who leads has given up
            print(json.dumps(message), file=self.stream, flush=True)

    def handed(self):
        """The next file, or one test of those that are tried again; "" when there is no more."""
        self.tell(wants=True)
        return self.stream.readline().strip()

    def pytest_runtestloop(self, session):
        files, items = by_file(session.items), []
        one = {item.nodeid: [item] for item in session.items}
        for name in iter(self.handed, ""):
            items = files.get(name) or one[name]
            for item, following in itertools.zip_longest(items, items[1:], fillvalue=session):  # keeps what all share
                self.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.shouldfail or session.shouldstop:
                    return True
        if items:
            self.finish(session, items[-1])
        return True

    def finish(self, session, item):
        """Ends what all tests shared; what fails in that is told of the last one."""
        call = pytest.CallInfo.from_call(lambda: session._setupstate.teardown_exact(None), "teardown")
        report = self.config.hook.pytest_runtest_makereport(item=item, call=call)
        if report.failed:
            self.pytest_runtest_logreport(report)
            self.pytest_runtest_logfinish(item.nodeid, item.location)

    def pytest_runtest_logstart(self, nodeid):
        self.tell(begins=nodeid)

    def pytest_runtest_logreport(self, report):
        self.reports.append(self.config.hook.pytest_report_to_serializable(config=self.config, report=report))

    def pytest_runtest_logfinish(self, nodeid, location):
        reports, self.reports = self.reports, []
        self.tell(ends=nodeid, location=location, reports=reports, place="tmp" in apart.APART and str(apart.own()))

    def pytest_warning_recorded(self, warning_message, when, nodeid, location):
        if when == "runtest":  # who leads collects, too
            self.tell(warning=[str(warning_message.message), warning_message.filename, warning_message.lineno],
                      when=when, nodeid=nodeid, location=location)


# ---------------------------------------------------------------- who leads

def may_be_noise(message):
    """Whether a test failed, itself, that may be tried again."""
    failed = [report["when"] for report in message["reports"] if report["outcome"] == "failed"]
    return failed == ["call"] and not ONCE.search(message["ends"].split("::")[0])


def why(reports):
    """What pytest's summary would say of the failure, in a line."""
    crash = next(report["longrepr"] for report in reports if report["outcome"] == "failed")
    text = crash["reprcrash"]["message"] if isinstance(crash, dict) and crash["reprcrash"] else str(crash)
    return " ".join(text.split())[:300]


class Process:
    """A worker, as who leads sees it."""

    def __init__(self, number, config):
        ours, theirs = socket.socketpair()
        flags = ["-I"] * sys.flags.isolated + ["-B"] * sys.flags.dont_write_bytecode
        self.number, self.files, self.test, self.told = number, [], None, False
        self.output = tempfile.TemporaryFile()  # told by who leads, unless it is no report
        self.process = subprocess.Popen(
            [sys.executable, *flags, "-m", "pytest", *config.invocation_params.args, f"--worker={theirs.fileno()}"],
            cwd=config.invocation_params.dir, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output,
            pass_fds=[theirs.fileno()], process_group=0)  # a Ctrl-C comes from us, once
        theirs.close()
        self.socket, self.heard = ours, b""

    def hand(self, name):
        self.files += [name] if name else []
        self.told = not name
        with contextlib.suppress(BrokenPipeError):  # it has ended: we shall hear
            self.socket.sendall(name.encode() + b"\n")

    def says(self):
        """What it has told since; None at the end."""
        if not (data := self.socket.recv(1 << 16)):
            return None
        *lines, self.heard = (self.heard + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def end(self, patience):
        """Ends it as Ctrl-C would, with all that its tests have made."""
        self.socket.close()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self.process.pid, number)
                self.process.wait(patience)
                return

    def why(self):
        self.output.seek(0)
        said = self.output.read().decode(errors="replace").strip()[-4000:]
        return f"process {self.number} of the tests ended with {self.process.returncode} in {self.test}:\n{said}"


class Lead:
    """The plugin of the pytest that was started."""

    def __init__(self, config, number, patience):
        self.config, self.number, self.patience = config, number, patience
        self.open, self.places, self.waiting, self.missing = [], set(), None, ()
        self.failed, self.second = {}, config.getoption("second_chance")

    def pytest_runtestloop(self, session):
        if session.testsfailed and not self.config.option.continue_on_collection_errors:
            return None  # pytest's own loop says it
        files = dict(sorted(by_file(session.items).items(), key=lambda found: -len(found[1])))  # large ones first:
        alone = [name for name, items in files.items() if any(item.get_closest_marker("alone") for item in items)]
        # small ones are left for the end, and nobody waits long for the last.
        self.alone, self.beside = iter(alone), iter([name for name in files if name not in alone])
        self.missing = {item.nodeid for item in session.items}
        self.lead(session, min(self.number, len(files)))
        if self.failed:
            self.second = False
            if len(self.failed) > CHANCES:
                for process, message in self.failed.values():
                    self.replay(process, message)
                self.failed = {}
            self.beside, self.waiting = iter(list(self.failed)), None
            self.lead(session, 1)
        session.testsfailed += len(self.missing)
        return True

    def lead(self, session, number):
        with selectors.DefaultSelector() as selector:
            try:
                for number in range(number):
                    self.open.append(Process(number + 1, self.config))
                    selector.register(self.open[-1].socket, selectors.EVENT_READ, self.open[-1])
                while self.open:
                    for key, _ in selector.select():
                        self.hear(key.data, selector)
                    if session.shouldfail:
                        raise session.Failed(session.shouldfail)
                    if session.shouldstop:
                        raise session.Interrupted(session.shouldstop)
            finally:
                for process in self.open:
                    process.end(self.patience)

    def pytest_terminal_summary(self, terminalreporter):
        for place in sorted(self.places):
            terminalreporter.write_line(f"/tmp of the tests, until the next run: {place}")
        for test, (_, message) in self.failed.items():
            terminalreporter.write_line(f"TRIED AGAIN, alone: {test}: at first: {why(message['reports'])}")
        for test in sorted(self.missing) if not self.open else ():  # an id with a pid in it is another there
            terminalreporter.write_line(f"NOT RUN {test}")

    def hear(self, process, selector):
        messages = process.says()
        if messages is None:
            selector.unregister(process.socket)
            self.open.remove(process)
            if process.process.wait() not in (0, 1, 5):  # 5: there was nothing left for it
                pytest.exit(process.why(), 3)
            if self.waiting:
                self.answer(self.waiting)
        for message in messages or ():
            if "wants" in message:
                self.answer(process)
            elif "begins" in message:
                process.test = message["begins"]
            elif "warning" in message:
                self.warn(**message)
            else:
                self.replay(process, message)

    def answer(self, process):
        """A file for who asks. The last one gets those that want the machine for themselves."""
        name = next(self.beside, "")
        if not name and all(other.told for other in self.open if other is not process):
            self.waiting = process  # until the others have ended
            if len(self.open) > 1:
                return
            name = next(self.alone, "")
        process.hand(name)

    def replay(self, process, message):
        if self.second and may_be_noise(message):
            self.failed[message["ends"]] = process, message
        else:
            self.told(process, **message)

    def told(self, process, ends, location, reports, place):
        hook = self.config.hook
        hook.pytest_runtest_logstart(nodeid=ends, location=tuple(location))
        for data in reports:
            if isinstance(data["longrepr"], list):
                data["longrepr"] = tuple(data["longrepr"])  # a skip's, which JSON knows only as a list
            report = hook.pytest_report_from_serializable(config=self.config, data=data)
            if report.failed:
                self.places |= {place} if place else set()
                report.sections.append(("side by side", f"process {process.number}, after {process.files[-4:-1]}"))
            hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=ends, location=tuple(location))
        self.missing.discard(ends)

    def warn(self, warning, when, nodeid, location):
        message = warnings.WarningMessage(warning[0], Warning, *warning[1:])
        self.config.hook.pytest_warning_recorded.call_historic(kwargs={
            "warning_message": message, "when": when, "nodeid": nodeid, "location": location and tuple(location)})
