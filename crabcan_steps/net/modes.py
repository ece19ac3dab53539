"""Which layers of chapter 11 a container gets: what --net says."""
from .. import linux
from ..ch05_namespaces import Namespaces
from ..ch11_network import Address, Cable, Ports
from .names import lacking


def connected(spec, layers):
    """The layers, with those of this chapter: what says the names stands before the mounts that show them."""
    before, after = [Ports(), Address()], [Cable()]
    if spec.net == "pasta":
        from .pasta import Alone, Pasta
        before, after = [Alone()], [Pasta()]
    elif spec.net != "bridge":
        for layer in layers:
            if isinstance(layer, Namespaces):
                layer.flags &= ~linux.CLONE_NEWNET
        before, after = [], []
        if spec.net != "host":
            from .joined import Joined
            before = [Joined()]
    if spec.net != "host":
        lacking(spec)
    place = next((n for n, layer in enumerate(layers) if layer.name == "mounts"), len(layers))
    return [*layers[:place], *before, *layers[place:], *after]
