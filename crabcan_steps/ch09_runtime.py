"""Chapter 9: the layers assembled.

The chapters stand in the order in which one learns; the child acts in the order of the stages.
"""
import os
import sys  # noqa: F401: for those who write report() anew, and print

from . import ch02_clone
from .args import program
from .ch03_hostname import Hostname
from .ch04_mounts import Mounts
from .ch05_namespaces import Identity, Keyring, Namespaces, Network, Users
from .ch06_caps import BoundingSet, Capabilities, Choice
from .ch07_seccomp import Filter
from .ch08_cgroups import Cgroup, Rlimits
from .cgroups.quotas import Quotas, Ulimits
from .clone.init import Init
from .layer import warn
from .runtime.terminal import Terminal

LAYERS = (ch02_clone.Clone, Init, Hostname, Mounts, Users, Keyring, Identity, Network, Namespaces,
          Choice, BoundingSet, Capabilities, Filter, Cgroup, Rlimits, Ulimits, Quotas, Terminal)
NAMES = [*dict.fromkeys(layer.name for layer in LAYERS), "network"]
NETWORK = {"net": "--net", "publish": "-p", "dns": "--dns", "add_host": "--add-host", "name": "--name",
           "ip": "--ip", "ip6": "--ip6", "mac": "--mac", "internal": "--internal"}  # chapter 11's options
LAST = max(layer.chapter for layer in LAYERS)  # whose container has them all


class UsageError(Exception):
    """The options contradict each other."""


def assemble(spec, chapter):
    """The layers of chapters 2 to N, less those that the user leaves out by name."""
    wanted = selected(spec.layers)
    layers = []
    for layer in LAYERS:
        if layer.chapter <= chapter and layer.name in wanted:
            layers.append(layer())
            continue
        for field, option in layer.options.items():
            if vars(spec).get(field):
                raise UsageError(f"{option} has no effect without chapter {layer.chapter} ({layer.name})")
    if chapter > LAST or vars(spec).keys() & NETWORK.keys():
        layers = networked(spec, chapter, layers, wanted)
    if chapter > 1 and os.geteuid() != 0 and not any(isinstance(x, Users) for x in layers):
        warn("not root, so this step borrows the user namespace of chapter 5")
        layers.append(Users())
    return layers


def networked(spec, chapter, layers, wanted):
    """The same with the layers of chapter 11, which few ask for: only then it is loaded."""
    from .args.network import conflict
    if chapter > LAST and "net" not in vars(spec):  # `crabcan step 11`
        spec.net = "pasta" if os.geteuid() else "bridge"
    if spec.net == "none" and vars(spec).pop("name", None):
        warn("--name: nothing keeps a list of containers, and without --net there are no neighbours: left out")
    if text := conflict(spec, NETWORK, os.geteuid() == 0):
        raise UsageError(text)
    if spec.net == "none":
        return layers
    if spec.net == "host" and "network" in wanted:
        raise UsageError("--net host: all of the host's network, also what listens on 127.0.0.1 only; on purpose: "
                         "--net host --layers all,-network")
    if chapter < LAST or spec.net != "host" and "network" not in wanted:
        raise UsageError("--net has no effect without chapter 11 (network)")
    if not any(isinstance(layer, Namespaces) for layer in layers):
        raise UsageError(f"--net {spec.net} has no effect without chapter 5 (namespaces)")
    from .net.modes import connected
    return connected(spec, layers)


def selected(text):
    """Which layers --layers means: names, or `all` and -NAME for those to leave out."""
    wanted = set()
    for word in text.split(","):
        name = word.strip().removeprefix("-")
        if name not in (*NAMES, "all"):
            raise UsageError(f"--layers {text}: no layer '{name}': they are {', '.join(NAMES)}")
        names = set(NAMES) if name == "all" else {name}
        if word.strip().startswith("-"):
            wanted = (wanted or set(NAMES)) - names
        else:
            wanted |= names
    if "clone" not in wanted:
        raise UsageError(f"--layers {text}: without clone there is no container")
    return wanted


def run(spec, layers):
    """ch02_clone.run, with our terminal connected while the container runs."""
    container = ch02_clone.create(spec, layers)
    try:
        terminals = [layer.connect(container) for layer in layers if isinstance(layer, Terminal)]
        ch02_clone.start(container)
        return ch02_clone.wait(container, terminals[0] if terminals else None)
    finally:
        ch02_clone.delete(container)


def report(error, layers):
    """Prints one line about an error; returns the exit status that goes with it."""
    if error.call == "execve":
        status, text = program.explain(error.errno, error.about, error.head)
    else:
        status, text = 125, error.explain([*layers, ch02_clone.Start])
    warn(text)
    return status
