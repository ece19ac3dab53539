"""All layers of chapter 10, for the sentences that explain their errors."""
from .. import ch05_namespaces
from ..ch10_bundle import Waiting
from ..net.devices import Devices
from .cgroups.layer import BundleCgroup
from .console import Console
from .memory import MemoryPolicy
from .namespaces import Maps, Network, Spaces
from .process import BoundingSet, Caps, Identity, Labels, Limits, WorkDir
from .scheduling import Scheduling
from .seccomp import BundleFilter
from .tree import Tree

LAYERS = (Waiting, Tree, Spaces, Maps, Network, Identity, BoundingSet, Caps, Labels, Limits, Scheduling,
          WorkDir, BundleCgroup, Console, BundleFilter, MemoryPolicy, Devices, ch05_namespaces.Keyring)
