"""Starts crabcan with the learner's file, in the room: python -P -m crabcan_workshop.room.learner.

Nothing that this process says is a verdict: it is the learner's. It tells, on stderr, in lines that
begin with MARK, what the learner wants to know of it: where an exception came from, which call
failed, what was printed. Without `crabcan` or `oci` in the first word, the second is Python to run.
CRABCAN_ALONE: the number of an exercise; the functions of the other are ours then.
"""
import importlib
import io
import json  # before clone: a child imports nothing
import os
import sys

MARK = "\x1e"
STEPS, EXPLORE = (f"{os.sep}{name}{os.sep}" for name in ("crabcan_steps", os.path.join("crabcan_workshop", "explore")))
FILE = os.environ.pop("CRABCAN_FILE", "")  # the one that is checked; "": any chapter's


class Waits(Exception):
    """The code waits for somebody to type."""


def tell(**words):
    try:
        os.write(2, (MARK + json.dumps(words)[:3000] + "\n").encode())
    except OSError:
        pass


def place(error):
    """(file, line, whether it is the innermost) of the last frame in a chapter's file."""
    found, last, trace = (None, None), None, error.__traceback__
    while trace:
        last = trace.tb_frame.f_code.co_filename
        name = os.path.basename(last)
        if (STEPS in last or FILE and EXPLORE in last) and (name == FILE if FILE else name.startswith("ch") or name == "bpf.py"):
            found = os.path.basename(last), trace.tb_lineno
        trace = trace.tb_next
    return *found, found[0] is not None and os.path.basename(last) == found[0]


def raised(error):
    """Tells of an exception that is a slip, not an answer of the kernel's or a word to the user."""
    if getattr(error, "_told", False) or type(error).__name__ in ("LayerError", "UsageError", "Refused"):
        return
    file, line, innermost = place(error)
    if isinstance(error, OSError) and error.errno or isinstance(error, SystemExit) and not innermost:
        return
    if isinstance(error, SyntaxError):
        file, line = os.path.basename(error.filename or ""), error.lineno
    try:
        error._told = True
    except AttributeError:
        pass
    tell(kind="raised", type=type(error).__name__, text=str(error)[:300], file=file, line=line)


class Apart(io.TextIOBase):
    """What the learner prints: set apart from what the container's program prints."""

    def write(self, text):
        if text:
            tell(kind="printed", text=text[:1000])
        return len(text)

    def fileno(self):
        return 1


class Nobody(io.TextIOBase):
    """Standard input, for whoever waits for somebody to type."""

    def readline(self, *_):
        raise Waits("input() or a breakpoint waits for somebody to type, and in a check nobody does")

    read = readline

    def fileno(self):
        return 0


def failed(error):
    tell(kind="failed", layer=str(error.layer), call=str(error.call), errno=int(error.errno or 0),
         about=str(error.about))


def observed():
    """Makes the runtime tell of its failures."""
    from crabcan_steps import layer
    of, explain = layer.LayerError.of.__func__, layer.LayerError.explain

    def noted(cls, name, error):
        raised(error)
        return of(cls, name, error)

    def explained(self, layers):
        failed(self)
        return explain(self, layers)
    layer.LayerError.of, layer.LayerError.explain = classmethod(noted), explained


class Plain:
    """`os` for chapter 5 where the room's root has one id to give, as its user outside: so it takes
    an ordinary user's way, the only one that the kernel allows there."""

    def __getattr__(self, name):
        return getattr(os, name)

    def geteuid(self):
        return 1000


def apart(number):
    """Lets Python look for each module among the files of one exercise first, then among all."""
    import crabcan_steps
    top = f"{crabcan_steps.__path__[0]}/alone{number}"
    crabcan_steps.__path__.insert(0, top)
    rooms = [f"{top}/{name}" for name in os.listdir(top) if not name.startswith("_")]  # __pycache__
    for room in filter(os.path.isdir, rooms):
        package = importlib.import_module(f"crabcan_steps.{os.path.basename(room)}")
        package.__path__.insert(0, room)


def say(*words):
    """What a script of the check's has to say, on standard output."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode(errors="replace"))


def breakpoint_here(*_, **__):
    raise Waits("a breakpoint waits for somebody to type, and in a check nobody does")


def main():
    what, *words = sys.argv[1:]
    try:
        if alone := os.environ.pop("CRABCAN_ALONE", ""):
            apart(alone)
        observed()
        if os.environ.pop("CRABCAN_PLAIN", ""):
            from crabcan_steps import ch05_namespaces
            ch05_namespaces.os = Plain()
        if os.environ.pop("CRABCAN_BARE", ""):  # no cgroups here: nobody is to miss the defaults
            from crabcan_steps import ch01_args
            ch01_args.Spec.memory = ch01_args.Spec.pids = None
        if what == "oci":
            from crabcan_steps.oci import __main__
            return __main__.main(words)
        sys.stdin, sys.stdout, sys.breakpointhook = Nobody(), Apart(), breakpoint_here
        if what != "crabcan":
            sys.argv[1:] = []
            exec(compile(words[0], "<check>", "exec"), {"__name__": "__main__", "say": say})
            return 0
        from crabcan_steps import cli
        command = cli.command

        def watched(argv):
            try:
                return command(argv)
            except BaseException as error:
                raised(error)
                raise
        cli.command = watched
        return cli.main(words)
    except BaseException as error:
        raised(error)
        if type(error).__name__ == "LayerError":
            failed(error)
            return 125
        raise


if __name__ == "__main__":
    sys.exit(main())
