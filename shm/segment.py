"""A named, mapped segment of shared memory; it knows its header, not what lies behind it."""

import enum
import errno
import mmap
import os
import re
from typing import Final, Self

import posix_ipc

from shm.errors import SegmentError, SegmentFullError
from shm.layout import LAYOUT_VERSION, PAYLOAD, SEGMENT_HEADER, SEGMENT_MAGIC, aligned

_PART: Final = re.compile(r"[A-Za-z0-9_.-]+")
_NAME_LIMIT: Final = 250
_RESERVE_LIMIT: Final = 16 << 20


class Origin(enum.Enum):
    """How a process came by a segment: what lies in it is new, was kept, or is others'."""

    CREATED = "created"
    KEPT = "kept"
    ATTACHED = "attached"


class Segment:
    """`/kamailiod.<instance>.<store>`, mode 0600, mapped whole; processes forked later share the
    mapping.

    `memory` is the mapping as bytes, `words` the same as unsigned 64-bit numbers: storing one of
    `words` is one aligned store, which other processes see whole or not at all. `size` is in bytes.
    """

    __slots__ = ("_descriptor", "memory", "name", "origin", "size", "words")

    def __init__(self, name: str, descriptor: int, size: int, origin: Origin) -> None:
        self.name = name
        self.size = size
        self.origin = origin
        self.memory = mmap.mmap(descriptor, size)
        self._descriptor = os.dup(descriptor)
        self.words = memoryview(self.memory).cast("Q")

    @classmethod
    def create(
        cls,
        instance: str,
        store: str,
        size: int,
        *,
        layout: int = LAYOUT_VERSION,
        keep: bool = False,
    ) -> Self:
        """Make the segment anew, or with `keep` take over one of the same layout and size.

        The size in bytes is rounded up to whole pages. Raises SegmentFullError when /dev/shm has no
        room and SegmentError when the name is invalid or the system refuses.
        """
        name = segment_name(instance, store)
        size = aligned(max(size, PAYLOAD), mmap.PAGESIZE)
        if keep and (kept := cls._open(name, layout, size)) is not None:
            return kept
        _remove(name)
        shared = _shared_memory(name, posix_ipc.O_CREX, size)
        try:
            _check_room(shared.fd, name, size)
            segment = cls(name, shared.fd, size, Origin.CREATED)
        except BaseException:
            _remove(name)
            raise
        finally:
            shared.close_fd()
        if not segment.reserve(0, size if size <= _RESERVE_LIMIT else mmap.PAGESIZE):
            segment.unlink()
            segment.close()
            raise _full(name, size, 0)
        SEGMENT_HEADER.pack_into(segment.memory, 0, 0, layout, size)
        segment.words[0] = SEGMENT_MAGIC
        return segment

    @classmethod
    def attach(cls, instance: str, store: str, *, layout: int = LAYOUT_VERSION) -> Self:
        """Map a segment that another process made; SegmentError when none has this layout."""
        name = segment_name(instance, store)
        segment = cls._open(name, layout, None)
        if segment is None:
            raise SegmentError(f"{name}: no such segment of layout {layout}")
        segment.origin = Origin.ATTACHED
        return segment

    @classmethod
    def _open(cls, name: str, layout: int, size: int | None) -> Self | None:
        try:
            shared = _shared_memory(name, 0, 0)
        except SegmentError as error:
            if isinstance(error.__cause__, posix_ipc.ExistentialError):
                return None
            raise
        try:
            actual = os.fstat(shared.fd).st_size
            if actual < PAYLOAD or size not in (None, actual):
                return None
            segment = cls(name, shared.fd, actual, Origin.KEPT)
        finally:
            shared.close_fd()
        if SEGMENT_HEADER.unpack_from(segment.memory, 0) == (SEGMENT_MAGIC, layout, actual):
            return segment
        segment.close()
        return None

    def reserve(self, begin: int, end: int) -> bool:
        """Have the system allocate the bytes from `begin` to `end`; False when /dev/shm is full.

        What is touched without it when there is no room kills the process with SIGBUS.
        """
        try:
            os.posix_fallocate(self._descriptor, begin, end - begin)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                return False
            raise SegmentError(f"{self.name}: {error}") from error
        return True

    def close(self) -> None:
        """Give up this process's mapping; it goes with the last view of it still in use."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        try:
            self.words.release()
            self.memory.close()
        except BufferError:
            return

    def unlink(self) -> None:
        """Remove the name; mappings stay valid. A name that is already gone is no error."""
        _remove(self.name)


def segment_name(instance: str, store: str) -> str:
    """Name an instance's store under /dev/shm; raises SegmentError for what cannot be a name."""
    for part in (instance, store):
        if not _PART.fullmatch(part):
            raise SegmentError(
                f"{part!r} cannot be part of a segment's name: letters, digits, '_', '.', '-' only"
            )
    name = f"/kamailiod.{instance}.{store}"
    if len(name) > _NAME_LIMIT:
        raise SegmentError(f"{name}: the name of a segment is limited to {_NAME_LIMIT} characters")
    return name


def _shared_memory(name: str, flags: int, size: int) -> posix_ipc.SharedMemory:
    try:
        return posix_ipc.SharedMemory(name, flags, mode=0o600, size=size)
    except (posix_ipc.Error, OSError, ValueError) as error:
        raise SegmentError(f"{name}: {error}") from error


def _remove(name: str) -> None:
    try:
        posix_ipc.unlink_shared_memory(name)
    except posix_ipc.ExistentialError:
        return
    except (posix_ipc.Error, OSError) as error:
        raise SegmentError(f"{name}: cannot be removed: {error}") from error


def _check_room(descriptor: int, name: str, size: int) -> None:
    # Beforehand, as a large segment stays sparse and would fail only when it fills.
    status = os.fstatvfs(descriptor)
    free = status.f_bavail * status.f_frsize
    if size > free:
        raise _full(name, size, free)


def _full(name: str, size: int, free: int) -> SegmentFullError:
    return SegmentFullError(
        f"{name}: needs {size >> 10} KiB of /dev/shm, where {free >> 10} KiB are free"
    )
