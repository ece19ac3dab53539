"""Step through a container's birth: a recording, folded to the state of its isolation (format.md)."""
