"""What nobody thought of: arguments.

The cases are the same each time (fuzzing.py): what fails fails again. --long tries many more.
"""
import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crabcan_steps import ch01_args
from fuzzing import ODD, cases, text  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]  # the long form

OPTIONS = ["-d", "-c", "-u", "-m", "-a", "-e", "-w", "-h", "--debug", "--command", "--uid",
           "--mount", "--add", "--read-only", "--cap-add", "--hostname", "--memory", "--pids",
           "--cpus", "--io-weight", "--nofile", "--env", "--workdir", "--seccomp", "--layers",
           "--trace", "--memroy", "--he", "-v", "--volume", "--tmpfs", "--device", "--user", "--init", "-it",
           "--rm", "--caps", "--cap-drop", "--security-opt", "--memory-swap", "--pids-limit", "--ulimit",
           "--privileged", "--net", "-p", "-memory"]
values = st.sampled_from(ODD) | text
words = st.sampled_from(OPTIONS) | values | st.builds("{}={}".format, st.sampled_from(OPTIONS), values)


def parse(argv):
    """(Spec or None, status, stderr) of the parser."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            return ch01_args.parse(argv), 0, errors.getvalue()
        except SystemExit as end:
            return None, end.code, errors.getvalue()


def test_arguments_are_a_spec_or_one_line(cases):
    @cases(60)
    @given(st.lists(words, max_size=8))
    def check(argv):
        spec, status, errors = parse(argv)
        if spec is not None or status == 0:
            assert errors == "" and (spec or {"-h", "--help"} & set(argv))
        else:
            assert status == 2 and errors.startswith("crabcan run: ") and errors.endswith("\n")
            assert len(errors.splitlines()) == 1 and errors[:-1].isprintable(), errors
    check()


def test_what_is_accepted_is_what_was_meant(cases):
    """Each value reaches the Spec as it stands there, and the command word for word."""
    limits = {"--memory": st.integers(1 << 20, (1 << 60) - 1), "--pids": st.integers(1, 4194304),
              "--nofile": st.integers(3, 1 << 20), "--io-weight": st.integers(1, 10000),
              "--uid": st.integers(0, 2**32 - 2)}

    @cases(40)
    @given(st.fixed_dictionaries({}, optional=limits), st.lists(values, min_size=1),
           st.lists(st.tuples(text.filter(lambda x: x and "=" not in x), values)))
    def check(limits, command, env):
        argv = [word for name, value in limits.items() for word in (name, str(value))]
        argv += [f"--env={name}={value}" for name, value in env]
        spec, status, errors = parse([*argv, "--", *command])
        if not command[0]:
            assert status == 2 and "empty" in errors
            return
        assert spec, errors
        assert spec.command == tuple(command) and list(spec.env) == env
        for name, value in limits.items():
            assert getattr(spec, name[2:].replace("-", "_")) == value
    check()


@pytest.mark.parametrize("path", ["/", "//", "/.", "/./", "/.//."])
def test_the_root_by_whatever_name_is_no_place_to_add_to(path):
    assert "set by --mount" in parse(["--add", f"/etc:{path}", "true"])[2]


@pytest.mark.parametrize("option", ["--mount", "--trace", "--seccomp", "--layers", "--workdir",
                                    "--hostname", "--env", "--add", "--cap-add"])
def test_an_empty_value_is_no_value(option):
    """-m "$ROOT", and ROOT is not set: the root would be whatever directory we are in."""
    spec, status, errors = parse([option, "", "true"])
    assert status == 2 and option in errors, spec and vars(spec)
