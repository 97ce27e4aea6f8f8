"""Shared memory of cooperating processes: segments, locks, a heap, a hash map, counters, stores."""

from shm.allocator import Allocator, Usage
from shm.chain import Record
from shm.change import KEEP, Change, Keep
from shm.counters import Counters
from shm.errors import (
    CorruptError,
    LockError,
    RecordError,
    SegmentError,
    SegmentFullError,
    ShmError,
)
from shm.hashmap import HashMap
from shm.histogram import Histogram, Snapshot
from shm.lock import LockTable
from shm.segment import Origin, Segment
from shm.stores.change_journal import ChangeJournal, Entry
from shm.stores.dialog import Dialog, DialogStore, Direction
from shm.stores.dialog_profiles import DialogProfileStore
from shm.stores.htable import HashTableStore
from shm.stores.location import Binding, LocationCounts, LocationStore
from shm.stores.published import Published
from shm.stores.sections import Section, Sections
from shm.stores.spool import Spool

__all__ = [
    "KEEP",
    "Allocator",
    "Binding",
    "Change",
    "ChangeJournal",
    "CorruptError",
    "Counters",
    "Dialog",
    "DialogProfileStore",
    "DialogStore",
    "Direction",
    "Entry",
    "HashMap",
    "HashTableStore",
    "Histogram",
    "Keep",
    "LocationCounts",
    "LocationStore",
    "LockError",
    "LockTable",
    "Origin",
    "Published",
    "Record",
    "RecordError",
    "Section",
    "Sections",
    "Segment",
    "SegmentError",
    "SegmentFullError",
    "ShmError",
    "Snapshot",
    "Spool",
    "Usage",
]
