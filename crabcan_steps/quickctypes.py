"""Calls of the C library, by what the ctypes module is made of: the same names, as far as we need them.

That makes types for everybody first, and loads modules for them, which takes 1 ms of the 20 that `exec`
has. What does the work is in C (_ctypes).
"""
import _ctypes
from _ctypes import Structure, addressof, get_errno  # noqa: F401: for those who call us


class c_int(_ctypes._SimpleCData):
    _type_ = "i"


class c_uint(_ctypes._SimpleCData):
    _type_ = "I"


class c_long(_ctypes._SimpleCData):
    _type_ = "l"


class c_ulong(_ctypes._SimpleCData):
    _type_ = "L"


class c_ushort(_ctypes._SimpleCData):
    _type_ = "H"


class c_char(_ctypes._SimpleCData):
    _type_ = "c"


class c_char_p(_ctypes._SimpleCData):
    _type_ = "z"


class Function(_ctypes.CFuncPtr):
    """One that keeps Python's lock, returns an int, and leaves its errno to get_errno()."""
    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_PYTHONAPI | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = c_int


class PyDLL:
    """A library, with its functions as attributes. None: what is loaded already, such as libc."""

    def __init__(self, name, use_errno):
        self._handle = _ctypes.dlopen(name, 0)

    def __getattr__(self, name):
        function = Function((name, self))
        setattr(self, name, function)
        return function


def create_string_buffer(given, size=None):
    """Bytes that C may write to: so many, or of that size, and what they are at first."""
    buffer = (c_char * (size or given))()
    if size:
        buffer.raw = given
    return buffer
