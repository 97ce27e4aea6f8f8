"""The exceptions of shared memory: a fault of this machine or of our code, never a peer's."""


class ShmError(Exception):
    """Something about shared memory failed; every error of this package is one of these."""


class SegmentError(ShmError):
    """A segment cannot be made, found, mapped or removed; the text says which and why."""


class SegmentFullError(SegmentError):
    """/dev/shm has no room for the segment that was asked for."""


class LockError(ShmError):
    """A lock is broken, or was released by one who does not hold it."""


class CorruptError(ShmError):
    """An invariant of a segment does not hold; the text names every fault that was found."""


class RecordError(ShmError):
    """A record or a value of a store is of a shape that this version cannot hold or read."""
