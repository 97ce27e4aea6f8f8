"""Linux' prctl(2) for a process and its parent; knows nothing of ranks or programs."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_NAME_LENGTH = 15


def die_with_parent(signal_number: signal.Signals) -> None:
    """Have the kernel send this signal to the calling process when its parent dies."""
    _prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number))


def set_process_name(name: str) -> None:
    """Set the name that `ps -o comm` and `top` show; 15 bytes of it are kept."""
    _prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:_NAME_LENGTH]))


def allow_core_dump() -> None:
    """Let the kernel write a core of a process that has changed its user."""
    _prctl(_PR_SET_DUMPABLE, ctypes.c_ulong(1))


def _prctl(option: int, argument: ctypes.c_ulong | ctypes.c_char_p) -> None:
    """Call prctl(2); raises OSError when the kernel refuses."""
    zero = ctypes.c_ulong(0)
    if ctypes.CDLL(None, use_errno=True).prctl(option, argument, zero, zero, zero) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
