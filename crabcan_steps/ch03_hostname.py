"""Chapter 3: a name of its own, the smallest of the namespaces."""

from . import linux
from .layer import Layer, Stage, powerless

MOODS = ("brisk", "calm", "clever", "cosy", "dapper", "gentle", "jolly", "keen",
         "lively", "mellow", "nimble", "plucky", "quiet", "sunny", "tidy", "witty")
ANIMALS = ("crab", "ferret", "heron", "lynx", "otter", "puffin", "squid", "wombat")


def invent():
    """A name such as plucky-otter-17, by the ancestors' recipe: adjective, noun, number."""
    mood, animal, number = linux.urandom(3)
    return f"{MOODS[mood % 16]}-{ANIMALS[animal % 8]}-{number % 64}"


class Hostname(Layer):
    """A UTS namespace (uts_namespaces(7)), and in it a name."""
    chapter, name, flags, stage = 3, "hostname", linux.CLONE_NEWUTS, Stage.HOSTNAME
    options = {"hostname": "--hostname"}
    cures = {("sethostname", 1): powerless}

    def prepare(self, spec, undo):
        if spec.hostname is None:
            spec.hostname = invent()
        self.hostname = spec.hostname

    def child(self):
        linux.sethostname(self.hostname)
