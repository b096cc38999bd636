"""Keeps the stack on which a thread handles signals, which OpenVINO 2026.4 replaces.

Compiling a network sets one that the network owns, and freeing the network sets the one of before, also if that
belonged to a network that was freed in the meantime. The next signal to the thread, such as Ctrl-C, then ends the
process with a segmentation fault: https://man7.org/linux/man-pages/man2/sigaltstack.2.html
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("bytes", ctypes.c_size_t))


@contextmanager
def kept() -> Iterator[None]:
    """After the block this thread has the stack for signals that it had before, or none. Does nothing but on Linux."""
    if sys.platform != "linux":
        yield
        return
    c_library, before = ctypes.CDLL(None), _Stack()
    c_library.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        c_library.sigaltstack(ctypes.byref(before), None)
