"""What is asked of the machine: programs that are run, and one line where that fails."""
import os
import shlex
import subprocess

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ClassError(Exception):
    """What went wrong with the class, in one line, with a cure."""


def call(*words, cure="", **more):
    """Runs a program to its end; returns what it printed. Raises ClassError with its last line."""
    words = [str(word) for word in words]
    environment = os.environ | {"PATH": PATH, "LC_ALL": "C.UTF-8"} | more.pop("env", {})
    try:
        done = subprocess.run(words, capture_output=True, text=True, env=environment, **more)
    except OSError as error:
        raise ClassError(f"{words[0]}: {error.strerror}{cure and ': ' + cure}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
        raise ClassError(f"{shlex.join(words)}: {said[-1]}{cure and ': ' + cure}")
    return done.stdout


def works(*words, **more):
    """Whether a program ends with 0."""
    environment = os.environ | {"PATH": PATH}
    return subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, env=environment, **more).returncode == 0
