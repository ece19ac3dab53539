"""A container runtime, built one isolation layer a chapter. Start reading at ch01_args."""

__version__ = "0.1.0"
