"""How many dialogs are in each profile: one count a process that owns dialogs, no list of members.

Who is a member stands in the dialogs' own records; this is what makes asking for a size cheap.
The counts of a process that died are made anew from the records by who takes its dialogs over, so
that a death between two writes leaves nothing wrong. It does not know SIP.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from shm.errors import RecordError
from shm.hashmap import KEEP, Change, HashMap

_HASH: Final = struct.Struct(">I")
_LENGTHS: Final = struct.Struct(">HHB")
_RANK: Final = struct.Struct(">H")
_COUNT: Final = struct.Struct(">I")
_LOCAL: Final = b"l"
_REMOTE: Final = b"r"
_ONE: Final = _COUNT.pack(1)
_LONGEST: Final = 0xFFFF


class DialogProfileStore:
    """Counts by profile and by value of it, in a map made with `hash_length=HASH_LENGTH`.

    A key is a hash, the lengths of name and value, both texts, and the owner: a process's rank, or
    the identity of a member that another server has.
    """

    HASH_LENGTH: Final = _HASH.size

    __slots__ = ("_map",)

    def __init__(self, counts: HashMap) -> None:
        if counts.hash_length != self.HASH_LENGTH:
            raise RecordError(f"the map of profiles needs the hash length {self.HASH_LENGTH}")
        self._map = counts

    def join(self, rank: int, profile: bytes, value: bytes | None) -> bool:
        """Count one more dialog of a process, with its value when there is one."""
        counted = [self._add(key, 1) for key in _local_keys(rank, profile, value)]
        return all(counted)

    def leave(self, rank: int, profile: bytes, value: bytes | None) -> None:
        """Count one dialog less."""
        for key in _local_keys(rank, profile, value):
            self._add(key, -1)

    def size(self, profile: bytes, value: bytes | None = None) -> int:
        """Give how many dialogs are in a profile, or in it with one value."""
        found = self._map.matching(_prefix(profile, value))
        return sum(_COUNT.unpack(record.value)[0] for record in found)

    def forget(self, rank: int) -> None:
        """Drop all that a process counted, before it is counted anew."""
        owner = _LOCAL + _RANK.pack(rank)
        for key, _ in list(self._map.items()):
            if _owner(key) == owner:
                self._map.delete(key)

    def add_remote(
        self, profile: bytes, value: bytes | None, identity: bytes, expires: int
    ) -> bool:
        """Count a member that another server has, until a unix time (0: until removed)."""
        keys = _remote_keys(profile, value, identity)
        counted = [self._map.put(key, _ONE, expires) for key in keys]
        return all(counted)

    def remove_remote(self, profile: bytes, value: bytes | None, identity: bytes) -> bool:
        """Count it no more; False when it was not counted."""
        dropped = [self._map.delete(key) for key in _remote_keys(profile, value, identity)]
        return all(dropped)

    def expire(self, now: int) -> None:
        """Drop remote members whose time has come."""
        self._map.pop_expired(now, 1000)

    def _add(self, key: bytes, by: int) -> bool:
        def change(old: bytes | None, _: int) -> Change:
            count = by if old is None else _COUNT.unpack(old)[0] + by
            if count > 0:
                return _COUNT.pack(count), 0
            return KEEP if old is None else (None, 0)

        return self._map.update(key, change)


def _local_keys(rank: int, profile: bytes, value: bytes | None) -> Iterator[bytes]:
    owner = _LOCAL + _RANK.pack(rank)
    yield _prefix(profile, None) + owner
    if value is not None:
        yield _prefix(profile, value) + owner


def _remote_keys(profile: bytes, value: bytes | None, identity: bytes) -> Iterator[bytes]:
    owner = _REMOTE + identity
    yield _prefix(profile, None) + owner
    if value is not None:
        yield _prefix(profile, value) + owner


def _prefix(profile: bytes, value: bytes | None) -> bytes:
    text = b"" if value is None else value[:_LONGEST]
    lengths = _LENGTHS.pack(len(profile), len(text), value is not None)
    return _HASH.pack(zlib.crc32(text, zlib.crc32(profile))) + lengths + profile + text


def _owner(key: bytes) -> bytes:
    profile, value, _ = _LENGTHS.unpack_from(key, _HASH.size)
    owner: bytes = key[_HASH.size + _LENGTHS.size + profile + value :]
    return owner
