"""The exceptions of shared memory: one tree, each a fault of this machine or of our own code, never
of a peer.
"""


class ShmError(Exception):
    """Something about shared memory failed; every error of this package is one of these."""


class SegmentError(ShmError):
    """A segment cannot be made, found, mapped or removed; the text says which and why."""


class SegmentFullError(SegmentError):
    """/dev/shm has no room for the segment that was asked for."""


class LockError(ShmError):
    """A lock could not be taken or released: a broken lock word, or a release by one who does not
    hold it.
    """


class CorruptError(ShmError):
    """An invariant of a segment does not hold; the text names every fault that was found."""


class RecordError(ShmError):
    """A record or a value of a store is of a shape that this version cannot hold or read."""
