"""Do the tests bite? Breaks the runtime's lines, one at a time, and runs the tests of their chapter.

    sudo tools/mutants.py [MODULE ...]            all of crabcan_steps, or these: ch05_namespaces, mounts/root,
                                                  mounts/ (all of that room), in this order
    --kinds statement,condition,...               not all kinds of breakage (see KINDS)
    --only REGEX                                  those whose line of the log matches
    --sample N                                    N of each module, always the same ones, for an impression
    --tests "leaks exchange"                      other tests than the quick ones of TESTS
    --again                                       those that have survived, after a new test
    --report                                      what the log says, and nothing is run

Broken code may do anything, kill(-1, SIGKILL) as root too: so it runs in a copy, in a PID namespace and
a cgroup of its own, besides those of tests/apart.py. build/mutants.jsonl has a line for each, written
when it is known; what stands there is not tried again. Survivors are printed: close each with a test,
or say here (EXCUSED) why it may.
"""
import argparse
import ast
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from crabcan_steps.cgroups.sweep import remove  # noqa: E402

LOG, COPY = CHECKOUT / "build/mutants.jsonl", CHECKOUT / "build/mutants"
KINDS = ("statement", "condition", "operand", "comparison", "constant", "element")
TESTS = {  # module, or a room with a "/" -> its tests, quick ones first; those of its own name come last
    "ch01_args": "options", "ch02_clone": "clone_in_detail ch01_args signals_while_starting",
    "ch03_hostname": "", "ch04_mounts": "roots_in_detail inner_mounts ch03_hostname",
    "ch05_namespaces": "structure roots_in_detail accounts options groups_that_stay", "ch06_caps": "structure options capabilities profiles ch05_namespaces",
    "ch07_seccomp": "structure filters_in_detail options ch06_caps", "ch08_cgroups": "structure limits_in_detail options",
    "ch09_runtime": "roots_in_detail options ch02_clone", "ch10_bundle": "oci_life",
    "cli": "clone_in_detail options bad_input", "layer": "bad_input clone_in_detail ch02_clone ch09_runtime odd_hosts",
    "linux": "ch04_mounts ch05_namespaces ch06_caps ch02_clone", "trace": "ch09_runtime names", "rendering": "",
    "args/": "options", "args/program": "programs ch01_args ch02_clone",
    "cgroups/": "structure limits_in_detail options ch08_cgroups",
    "clone/": "clone_in_detail ch02_clone", "clone/init": "", "clone/start": "roots_in_detail programs ch02_clone",
    "clone/signals": "ch02_clone signals_while_starting stopped_jobs ch09_runtime",
    "mounts/": "roots_in_detail inner_mounts ch04_mounts", "mounts/furniture": "roots_in_detail inner_mounts ch03_hostname", "mounts/passwd": "accounts options",
    "namespaces/": "accounts ch05_namespaces", "oci/": "oci_life oci_config ch10_bundle",
    "runtime/": "ch09_runtime", "runtime/completion": "", "runtime/interpreter": "no_python_after_pivot",
    "seccomp/": "filters_in_detail profiles ch07_seccomp", "seccomp/cache": "filters_in_detail ch07_seccomp"}
USERS = ("ch05_namespaces", "ch08_cgroups", "ch09_runtime", "namespaces/accounts", "namespaces/ranges")  # have lines of an ordinary user's
SYSTEM = ("user/max_inotify_instances", "user/max_inotify_watches", "kernel/core_pattern")
EXCUSED = {  # what a line of the log begins with, as a pattern -> why it may survive
    r"ch02_clone: gc.disable": "clone() and child() both do it: one is enough, until somebody moves the other",
    r'ch02_clone: named."socket", start.parent_end.close': "a second wall: PDEATHSIG ends an orphan, too",
    r'ch04_mounts: linux.chdir."/"': "a second wall: Start enters --workdir from the root",
    r'ch08_cgroups: "cpus": ': "version 2's: tests/test_vm.py has a machine with it",
    r"ch05_namespaces: self.helped = .*operand: without all.map": "for a machine with ranges and without the package "
        "uidmap: this one has it",
    r'ch05_namespaces: if kind == "gid"': "setgroups is denied one step earlier, and as well before gid_map",
    r'ch05_namespaces: linux.ioctl.lo.*constant: "16sH22x"': "one more byte of padding, behind what the kernel reads",
    r"ch06_caps: (YOUNGER = .* constant: \d|if capability in prctl|linux.prctl.linux.PR_CAPBSET_DROP)":
        "for a python-prctl that is older than these capabilities; Debian 12's knows them, and either call drops them",
    r"ch06_caps: linux.prctl.linux.PR_CAP_AMBIENT, linux.PR_CAP_AMBIENT_CLEAR": "a second wall: capset takes from the "
        "ambient set what it takes from the inheritable one (capabilities(7))",
    r"ch06_caps: (near = .*constant|prctl.set_no_new_privs.1.: constant)": "the best is shown, of one or of two; and to "
        "python-prctl each number but 0 is yes",
    r'ch07_seccomp: _fields_ = .*constant: "(length|code)"': "the name of a field that is filled by its place",
    r'ch08_cgroups: "NICE": 0': "root's own hard limit is 0 already, and the lower one counts",
    r'ch08_cgroups: (self.flags = linux.CLONE_INTO|undo.callback.linux.close, self.cgroup|if self.unified and self.groups'
    r'|linux.write.f"{base}/cgroup.subtree|"memory_swap": .."memory"|.*if self.unified else 1|"io_weight": )'
    r'|ch08_cgroups: "(memory|pids)": .*constant: "(\{value\}|pids.max)" [^(]*$'
    r'|ch08_cgroups: "memory": .*constant: "memory" -> \S+$': "version 2's: tests/test_vm.py has a machine with it",
    r"cgroups/session: (raise OSError.errno.EBUSY|quiet = )": "of an ordinary user's systemd: a machine with version 2 "
        "asks it, see tests/tools/test_vm_services.py",
    r'cgroups/session: return ""': "then there is no such tree either way, and the kernel says ENOENT",
    r'cgroups/sweep: (if pid == "0"|whole = False)': "for version 2 before Linux 5.14: version 1 lists nobody of another "
        "PID namespace, and cgroup.kill needs no number",
    r"layer: if os.path.exists.RESTRICTED": "for kernels with AppArmor's restriction: the file is not here",
    r"ch08_cgroups: if int.linux.read.*oom_score_adj.*(comparison|constant)": "0 is written over 0",
    r"seccomp/chain: yes, no, op = .*constant: .GT. ->": "whatever is not GE is compiled as GT: comparison()'s last line",
    r"seccomp/chain: return .*JEQ, 1, 0, number.*constant: 0": "a jump that always goes looks at neither of its two other numbers",
    r"clone/init: (linux.observer = None|break: statement)": "no event may come any more, and there is nobody to hear it; "
        "and one terminal is enough, while three times the same is no harm",
    r"ch08_cgroups: linux.write.*oom_score_adj": "test_a_container_is_no_safer_than_usual sees it where root "
                                                 "may ask to be spared: not in every machine",
}


# ---------------------------------------------------------------- what can be broken in a text

def mutants(text):
    """(kind, line number, what was there, the whole text without it) for each breakage of a module."""
    tree = ast.parse(text)
    lines = text.encode().splitlines(keepends=True)
    starts = [sum(map(len, lines[:n])) for n in range(len(lines))]
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    source = text.encode()
    for node in ast.walk(tree):
        if not hasattr(node, "lineno") or within_text(node, parents):
            continue
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        for kind, first, last, new, *label in changes(node, parents[node], begin, end, source, starts):
            broken = (source[:first] + new.encode() + source[last:]).decode()
            try:
                ast.parse(broken)
            except SyntaxError:
                continue
            was = " ".join(source[first:last].decode().split())
            yield kind, node.lineno, label[0] if label else f"{was[:90]} -> {new[:40]}", broken


def within_text(node, parents):
    """Whether it is a part of a docstring, of an f-string, or of a cure: told, not done."""
    while node in parents:
        above = parents[node]
        if isinstance(above, (ast.JoinedStr, ast.arguments)) or isinstance(above, ast.Expr) \
                and isinstance(node, ast.Constant):
            return True
        node = above
        if cures(node):
            return True
    return False


def cures(node):
    return isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "cures"


def changes(node, above, begin, end, source, starts):
    """(kind, first byte, last, what stands there then, a word about it) for each way to break a node."""
    was = source[begin:end].decode()
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr, ast.Return, ast.Raise, ast.Delete, ast.For,
                         ast.Continue, ast.Break)) and not said(node) and not cures(node):
        yield "statement", begin, end, "pass"
    if isinstance(node, (ast.If, ast.IfExp)):
        test = node.test
        first = starts[test.lineno - 1] + test.col_offset
        last = starts[test.end_lineno - 1] + test.end_col_offset
        yield "condition", first, last, f"(not ({source[first:last].decode()}))"
    if isinstance(node, ast.BoolOp):
        for one in node.values:
            others = [ast.unparse(value) for value in node.values if value is not one]
            word = " and " if isinstance(node.op, ast.And) else " or "
            yield "operand", begin, end, f"({word.join(others)})", f"without {ast.unparse(one)[:60]}"
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        other = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
                 ast.In: "not in", ast.NotIn: "in"}.get(type(node.ops[0]))
        if other and not (isinstance(above, (ast.If, ast.IfExp)) and other in ("!=", "==", "in", "not in")):
            yield "comparison", begin, end, f"({ast.unparse(node.left)} {other} " \
                                            f"{ast.unparse(node.comparators[0])})"
    if isinstance(node, ast.Constant) and (new := another(node.value)):
        yield "constant", begin, end, new
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)) and len(node.elts) > 1 \
            and isinstance(node.ctx if hasattr(node, "ctx") else ast.Load(), ast.Load) \
            and all(isinstance(one, (ast.Constant, ast.Attribute, ast.Call)) for one in node.elts):
        for one in node.elts:
            text = ast.unparse(type(node)(elts=[e for e in node.elts if e is not one], ctx=ast.Load()))
            yield "element", begin, end, text, f"without {ast.unparse(one)[:60]}"


def said(node):
    """Whether a statement only tells something to the user, or is a docstring."""
    value = getattr(node, "value", None)
    return isinstance(value, ast.Constant) and isinstance(node, ast.Expr) \
        or isinstance(value, ast.Call) and getattr(value.func, "id", "") == "warn"


def another(value):
    """Another constant than this; None for what is meant for people."""
    if isinstance(value, bool):
        return str(not value)
    if isinstance(value, int):
        return f"({value} + 1)"
    if isinstance(value, (str, bytes)) and len(value.split()) == 1 and value.isascii():
        return repr(value + ("x" if isinstance(value, str) else b"x"))
    return None


# ---------------------------------------------------------------- and whether a test sees it

def apart(argv):
    """Goes on in namespaces and a cgroup of our own; only root can, and root's tests are meant."""
    if os.geteuid() != 0:
        sys.exit("tools/mutants.py: be root, for root's containers can do most harm")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # ends what is inside, too
    groups = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        group = Path(f"/sys/fs/cgroup/{names.removeprefix('name=')}{path}", f"mutants-{os.getpid()}")
        if names and group.parent.is_dir():  # version 1: there a sweep begins where we are
            groups.append(group)
            group.mkdir()
            for copied in ("cpuset.cpus", "cpuset.mems"):
                if (group / copied).exists():
                    (group / copied).write_text((group.parent / copied).read_text())
    try:
        return subprocess.run(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--ipc", "--uts", "--cgroup",
             sys.executable, __file__, "--inside", ":".join(map(str, groups)), *argv],
            preexec_fn=lambda: [(group / "cgroup.procs").write_text("0") for group in groups]).returncode
    finally:
        for group in groups:
            for below, _, _ in os.walk(group, topdown=False):
                remove(below)


def copy():
    """A copy of what git knows, and of what it would add."""
    shutil.rmtree(COPY, ignore_errors=True)
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                           cwd=CHECKOUT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (CHECKOUT / name).is_file():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, COPY / name, follow_symlinks=False)
    (COPY / ".venv").symlink_to(CHECKOUT / ".venv")


def tests_of(module, names):
    """The files with the tests of a module, those of its own name last: the matrix takes seconds."""
    found, (room, slash, stem) = [], module.rpartition("/")
    chosen = TESTS.get(module, TESTS.get(room.partition("/")[0] + slash, "ch02_clone ch09_runtime"))
    for name in names.split() if names else [*chosen.split(), stem]:
        found += [str(path.relative_to(COPY)) for path in (COPY / "tests").rglob(f"test_{name}.py")]
    return list(dict.fromkeys(found))


def passes(module, names=None):
    """Runs its tests in the copy: (whether all pass, the first that fails)."""
    if not starts():
        return False, "crabcan run"
    command = ["./workshop", "test", "-x", "--processes=1", "--timeout=60", "-p", "no:cacheprovider",
               *([] if module in USERS else ["-k", "not [user and not user]"]), *tests_of(module, names)]
    process = subprocess.Popen(command, cwd=COPY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               stdin=subprocess.DEVNULL, text=True, start_new_session=True)
    try:
        out, _ = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.terminate()
        return False, "no end"
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", out, re.MULTILINE)
    return process.returncode == 0, failed[1] if failed else " ".join(out.split()[-12:])


def starts():
    """Whether a container does so at all: few that do not need any test."""
    try:
        said = subprocess.run(["unshare", "--mount", "--uts", "--net", f"{sys.executable}", "-m", "crabcan_steps", "run",
                               "--", "sh", "-c", "echo $$"], cwd=COPY, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=20)
        return said.stdout == "1\n"
    except subprocess.TimeoutExpired:
        return False


def run(options):
    for group in filter(None, options.inside.split(":")):  # nor are others' seen
        subprocess.run(["mount", "--bind", group, "/".join(group.split("/")[:5])], check=True)
    # Others' processes have no number here, so what they have in /tmp would be taken for a dead one's.
    # And nobody shall find filters in the cache that a broken one has made.
    Path.home().joinpath(".cache").mkdir(exist_ok=True)
    for folder in "/tmp", Path.home() / ".cache":
        subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
    # Nor shall the tests' users that others have made go, as those of a dead run.
    subprocess.run(["cp", "-a", "/etc", "/tmp/etc"], check=True)
    subprocess.run(["mount", "--bind", "/tmp/etc", "/etc"], check=True)
    copy()
    kept = {Path("/proc/sys", name): Path("/proc/sys", name).read_text() for name in SYSTEM}
    known = {entry["mutant"] for entry in log()
             if not (options.again and entry["alive"] and not excused(entry["mutant"]))}
    for module, place in chosen(options.modules):
        text, sound, count = place.read_text(), None, {}
        broken_ones = list(mutants(text))
        numbers = range(len(broken_ones))
        if options.sample and options.sample < len(broken_ones):
            numbers = random.Random(module).sample(numbers, options.sample)
        for number, (kind, line, what, broken) in enumerate(broken_ones):
            name = f"{module}: {text.splitlines()[line - 1].strip()[:60]}: {kind}: {what}"
            count[name] = count.get(name, 0) + 1
            name += f" ({count[name]})" if count[name] > 1 else ""  # the same line, further down
            if kind not in options.kinds or number not in numbers or name in known \
                    or not re.search(options.only, name):
                continue
            if sound is None:
                sound, failed = passes(module, options.tests)
                if not sound:
                    print(f"{module}: left out, as its tests fail with the code as it is: {failed}", flush=True)
            if not sound:
                break
            place.write_text(broken)
            begin = time.monotonic()
            alive, failed = passes(module, options.tests)
            place.write_text(text)
            for file, value in kept.items():
                if file.read_text() != value:
                    file.write_text(value)
            with LOG.open("a") as file:
                print(json.dumps({"mutant": name, "line": line, "alive": alive, "by": "" if alive else failed,
                                  "seconds": round(time.monotonic() - begin, 1)}), file=file)
            known.add(name)
            if alive and not excused(name):
                print(f"survives: line {line} of {name}", flush=True)
    shutil.rmtree(COPY)


def chosen(words):
    """(name, file in the copy) of the modules that are meant; without words, of all."""
    root = COPY / "crabcan_steps"
    found = {str(file.relative_to(root).with_suffix("")): file for file in sorted(root.rglob("*.py"))
             if not file.stem.startswith("__")}
    meant = [name for word in words for name in found if name == word or word.endswith("/") and name.startswith(word)]
    return [(name, found[name]) for name in dict.fromkeys(meant if words else found)]


def log():
    """What was tried: of each mutant the last word."""
    entries = map(json.loads, LOG.read_text().splitlines() if LOG.exists() else ())
    return list({entry["mutant"]: entry for entry in entries}.values())


def excused(name):
    """Why a mutant may survive; None if nobody has said so."""
    return next((why for pattern, why in EXCUSED.items() if re.match(pattern, name)), None)


def report():
    """The figures by module, and who survives."""
    entries = log()
    for module in sorted({entry["mutant"].partition(":")[0] for entry in entries}):
        some = [entry for entry in entries if entry["mutant"].startswith(module + ":")]
        print(f"{module:20} {sum(not entry['alive'] for entry in some):5} of {len(some):5} noticed")
    alive = [entry for entry in entries if entry["alive"] and not excused(entry["mutant"])]
    for entry in alive:
        print(f"survives: line {entry['line']} of {entry['mutant']}")
    print(f"{len(entries) - len(alive)} of {len(entries)} noticed or excused")
    return 1 if alive else 0


def main(argv):
    """The command; 0 if nobody survives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=KINDS)
    parser.add_argument("--only", default="")
    parser.add_argument("--sample", type=int, metavar="N")
    parser.add_argument("--tests", help="the files with the tests, as names, and not those of TESTS")
    parser.add_argument("--again", action="store_true", help="those that have survived")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.report:
        return report()
    if options.inside is None:
        LOG.parent.mkdir(exist_ok=True)
        return apart(argv)
    return run(options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
