"""Robust mutexes of processes: a killed owner's lock goes to the next, after a repair.

It knows the words of its own table and POSIX threads (POSIX.1-2008, pthread_mutexattr_setrobust),
not what the locks protect.
"""

import ctypes
import errno
from collections.abc import Callable
from typing import Any, Final

from shm.errors import LockError
from shm.layout import LOCK_RECOVERED, LOCK_SLOT, WORD

_PROCESS_SHARED: Final = 1
_ROBUST: Final = 1
_RECURSIVE: Final = 1
_ATTRIBUTES_SIZE: Final = 64


class LockTable:
    """`count` mutexes in `view`, addressed by index, recursive within a thread.

    `view` is writable shared memory of at least `size(count)` bytes, aligned to a cache line. With
    `fresh` the mutexes are initialised, which only their one creator may do, before anyone uses
    them. `repair(index)` runs with the lock held when its last owner died; what the lock protects
    may then be half done.
    """

    __slots__ = (
        "_anchor",
        "_consistent",
        "_lock",
        "_recovered",
        "_repair",
        "_slots",
        "_trylock",
        "_unlock",
    )

    def __init__(
        self,
        view: memoryview,
        count: int,
        *,
        fresh: bool = True,
        repair: Callable[[int], None] | None = None,
    ) -> None:
        table = view.cast("B")[: self.size(count)]
        self._anchor = (ctypes.c_char * len(table)).from_buffer(table)
        base = ctypes.addressof(self._anchor)
        self._slots = [ctypes.c_void_p(base + index * LOCK_SLOT) for index in range(count)]
        self._recovered = table.cast("Q")[LOCK_RECOVERED // WORD :: LOCK_SLOT // WORD]
        self._repair = repair
        # What cannot block keeps the GIL, which halves its price; what can block releases it.
        quick, blocking = ctypes.PyDLL(None, use_errno=False), ctypes.CDLL(None, use_errno=False)
        self._trylock: Callable[[Any], int] = quick.pthread_mutex_trylock
        self._unlock: Callable[[Any], int] = quick.pthread_mutex_unlock
        self._consistent: Callable[[Any], int] = quick.pthread_mutex_consistent
        self._lock: Callable[[Any], int] = blocking.pthread_mutex_lock
        if fresh:
            self._initialise(quick)

    @staticmethod
    def size(count: int) -> int:
        """Give the bytes that a table of `count` locks takes."""
        return count * LOCK_SLOT

    def _initialise(self, library: ctypes.PyDLL) -> None:
        attributes = ctypes.create_string_buffer(_ATTRIBUTES_SIZE)
        _checked(library.pthread_mutexattr_init(attributes))
        _checked(library.pthread_mutexattr_setpshared(attributes, _PROCESS_SHARED))
        _checked(library.pthread_mutexattr_setrobust(attributes, _ROBUST))
        _checked(library.pthread_mutexattr_settype(attributes, _RECURSIVE))
        for index, slot in enumerate(self._slots):
            _checked(library.pthread_mutex_init(slot, attributes))
            self._recovered[index] = 0
        _checked(library.pthread_mutexattr_destroy(attributes))

    def __len__(self) -> int:
        return len(self._slots)

    def acquire(self, index: int) -> None:
        """Take a lock, waiting while another holds it; after a dead owner, repair first."""
        code = self._trylock(self._slots[index])
        if code:
            self._settle(index, code)

    def release(self, index: int) -> None:
        """Release a lock that this thread took; raises LockError when it did not."""
        code = self._unlock(self._slots[index])
        if code:
            _checked(code)

    def held(self, index: int) -> "Held":
        """Give a context in which a lock is taken."""
        return Held(self, index)

    def acquire_all(self) -> None:
        """Take every lock in ascending order; who holds one must not wait for another."""
        for index in range(len(self._slots)):
            self.acquire(index)

    def release_all(self) -> None:
        """Release what `acquire_all` took."""
        for index in reversed(range(len(self._slots))):
            self.release(index)

    @property
    def recovered(self) -> int:
        """How many times a lock was taken over from a dead owner, by any process."""
        return sum(self._recovered)

    def _settle(self, index: int, code: int) -> None:
        slot = self._slots[index]
        if code == errno.EBUSY:
            code = self._lock(slot)
        if code == errno.EOWNERDEAD:
            self._take_over(index)
        else:
            _checked(code)

    def _take_over(self, index: int) -> None:
        slot = self._slots[index]
        self._recovered[index] += 1
        try:
            if self._repair is not None:
                self._repair(index)
        except BaseException:
            _checked(self._consistent(slot))
            _checked(self._unlock(slot))
            raise
        _checked(self._consistent(slot))


class Held:
    """A lock of a table that is taken within a `with`."""

    __slots__ = ("_index", "_table")

    def __init__(self, table: LockTable, index: int) -> None:
        self._table = table
        self._index = index

    def __enter__(self) -> None:
        self._table.acquire(self._index)

    def __exit__(self, *_: object) -> None:
        self._table.release(self._index)


def _checked(code: int) -> None:
    if code:
        raise LockError(f"mutex: {errno.errorcode.get(code, code)}")
