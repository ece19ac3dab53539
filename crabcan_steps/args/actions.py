"""What an option does with its text, for chapter 1: it puts a value into the Spec, or refuses."""
from ..layer import warn
from . import paths, values

HELD = ("no-new-privileges", "no-new-privileges=true", "no-new-privileges:true", "label=disable",
        "apparmor=unconfined")


class Option:
    """A row: the names, what is to follow (None: nothing), what to do with it, a word about it."""

    def __init__(self, names, metavar, take, text=None, choices=()):
        self.names, self.metavar, self.take = names.split(), metavar, take
        self.text = text        # None: works, or says what to do instead, and is not told in --help
        self.choices = choices  # words to complete it with


def put(field, convert=None):
    """An option whose last use counts: a flag, or a function makes a value of its text."""
    return lambda spec, text: setattr(spec, field, convert(text) if convert else True)


def add(field, convert):
    """One that can be repeated."""
    return lambda spec, text: setattr(spec, field, [*getattr(spec, field), convert(text)])


def extend(field, convert):
    """One that can be repeated, and says several things at once."""
    return lambda spec, text: setattr(spec, field, [*getattr(spec, field), *convert(text)])


def mount(spec, text):
    """Our --mount DIR is the root; Docker's --mount KEY=VALUE,... one more path."""
    key, equals, _ = text.partition("=")
    if equals and key.replace("-", "").isalpha():  # a directory with such a name is ./a=b
        field, value = paths.mount(text)
        setattr(spec, field, [*getattr(spec, field), value])
    else:
        spec.mount = paths.directory(text)


def user(spec, text):
    """A number is known at once; a name when chapter 5 has read the container's own passwd."""
    who = values.user(text)
    spec.user = None if who in (("0", None), ("root", None)) else who
    spec.uid = int(who[0]) if who[0].isdigit() else 0


def ulimit(spec, text):
    name, soft, hard = values.ulimit(text)
    spec.ulimit = [*spec.ulimit, (name, soft, hard)]
    if name == "NOFILE":
        spec.nofile = hard


def environment(spec, text):
    name, value = values.variable(text)
    if value is not None:
        spec.env = [*spec.env, (name, value)]


def security(spec, text):
    name, _, value = text.replace(":", "=", 1).partition("=")
    if name == "seccomp":
        spec.seccomp = values.something(value)
    else:
        values.check(text in HELD, text, "must be seccomp=PROFILE; no-new-privileges holds anyway")


def entrypoint(spec, text):
    """The image's is left out then. No image, no entrypoint: it becomes the first word of the command."""
    spec.entrypoint = values.something(text)


def nothing(spec, text):
    """What people say out of habit, and have anyway."""


def useless(why):
    """What changes nothing here: it is left out, with a word."""
    return lambda spec, text: warn(f"{why}: left out")


def only(words, instead):
    """What may be asked for where it is so anyway."""
    return lambda spec, text: values.check(text in words, text, instead)


def never(instead):
    """What we won't do."""
    def refuse(spec, text):
        raise ValueError(instead)
    return refuse
