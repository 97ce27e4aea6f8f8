"""The dialog store: one record a dialog, found by its numbers or by its call; it does not know SIP.

A key is h_entry and h_id, four octets each, and the Call-ID. The map hashes only the first four
octets, so that a dialog is found by (h_entry, h_id) as well as by its Call-ID in one bucket, and
one record, hence one store, is all there is of a dialog. A record is a version octet, the state in
one octet, and a msgpack array of the fields in the order of `Dialog`.
"""

import enum
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from random import getrandbits
from typing import Any, Final, Literal

import msgpack

from shm.chain import Record
from shm.errors import RecordError
from shm.hashmap import KEEP, Change, HashMap, Keep

_VERSION: Final = 1
_NUMBERS: Final = struct.Struct(">II")
_ENTRY: Final = struct.Struct(">I")
_PREFIX: Final = struct.Struct("<BB")
_PREFIX_SIZE: Final = _PREFIX.size
_ANSWERED: Final = 3
"""The first state in which the callee has one tag only; before, forks have several."""


class Direction(enum.IntEnum):
    """The way a request of a dialog goes: from caller to callee is downstream."""

    DOWNSTREAM = 1
    UPSTREAM = 2


@dataclass(slots=True)
class Dialog:
    """One dialog; `state` is 1 to 5, times are unix seconds, `expires` is the deadline (0: none).

    `timeout` is the lifetime in seconds, `owner` the rank of the process that has the call.
    """

    call_id: bytes
    from_uri: bytes = b""
    to_uri: bytes = b""
    from_tag: bytes = b""
    to_tag: bytes = b""
    h_entry: int = 0
    h_id: int = 0
    state: int = 1
    start_time: int = 0
    init_time: int = 0
    expires: int = 0
    timeout: int = 0
    flags: int = 0
    sflags: int = 0
    from_cseq: bytes = b""
    to_cseq: bytes = b""
    from_route_set: bytes = b""
    to_route_set: bytes = b""
    from_contact: bytes = b""
    to_contact: bytes = b""
    from_socket: bytes = b""
    to_socket: bytes = b""
    request_uri: bytes = b""
    toroute: bytes = b""
    variables: dict[bytes, bytes] = field(default_factory=dict)
    profiles: list[tuple[bytes, bytes]] = field(default_factory=list)
    owner: int = 0


DialogChange = Callable[[Dialog], Dialog | Literal[Keep.KEEP] | None]


class DialogStore:
    """All dialogs of a server, in a map made with `hash_length=DialogStore.HASH_LENGTH`.

    `size` is the number of h_entry values, as the hash_size of Kamailio's dialog module; an h_id
    is `first` and a multiple of `step`, so that servers that share a database do not meet.
    """

    HASH_LENGTH: Final = _ENTRY.size

    __slots__ = ("_bits", "_first", "_map", "_size", "_step")

    def __init__(
        self, records: HashMap, size: int = 4096, first: int = 0, step: int = 1
    ) -> None:
        if records.hash_length != self.HASH_LENGTH:
            raise RecordError(f"the map of dialogs needs the hash length {self.HASH_LENGTH}")
        self._map = records
        self._size = size
        self._first = first
        self._step = step
        # Below 2**31, as the columns of the database's table are signed.
        self._bits = 31 - (step - 1).bit_length() - (first > 0)

    def entry(self, call_id: bytes) -> int:
        """Give the h_entry of a Call-ID."""
        return zlib.crc32(call_id) % self._size

    def number(self, dialog: Dialog) -> None:
        """Give a new dialog the numbers that `create` is to store it under."""
        dialog.h_entry = self.entry(dialog.call_id)
        while not dialog.h_id:
            dialog.h_id = self._first + self._step * getrandbits(self._bits)

    def create(self, dialog: Dialog) -> Dialog | None:
        """Store a new dialog, set its h_entry and h_id and give it; None when there is no room.

        An h_id that it has already stays, unless another one has it.
        """
        entry = self.entry(dialog.call_id)
        prefix = _ENTRY.pack(entry)
        with self._map.locked(prefix):
            taken = {_NUMBERS.unpack_from(found.key)[1] for found in self._map.matching(prefix)}
            # A random number: a request of a dialog long gone must not find a later one.
            identity = dialog.h_id
            while not identity or identity in taken:
                identity = self._first + self._step * getrandbits(self._bits)
            dialog.h_entry = entry
            dialog.h_id = identity
            stored = self._map.put(_key(dialog), _encode(dialog), dialog.expires)
        return dialog if stored else None

    def restore(self, dialog: Dialog) -> bool:
        """Store a dialog under the numbers it has; False when it is there already, or no room."""
        added = False

        def change(value: bytes | None, _: int) -> Change:
            nonlocal added
            added = value is None
            return (_encode(dialog), dialog.expires) if added else KEEP

        return self._map.update(_key(dialog), change) and added

    def put(self, dialog: Dialog) -> bool:
        """Write a stored dialog anew without reading it first; False when there is no room.

        For the one process that owns the dialog: changes of others would be lost.
        """
        return self._map.put(_key(dialog), _encode(dialog), dialog.expires)

    def get(self, h_entry: int, h_id: int) -> Dialog | None:
        """Give the dialog of these numbers, or None."""
        record = self._record(h_entry, h_id)
        return None if record is None else _decode(record.value)

    def find(
        self, call_id: bytes, from_tag: bytes, to_tag: bytes
    ) -> tuple[Dialog, Direction] | None:
        """Give the dialog that a message with these tags belongs to, and the message's direction.

        A dialog that is not answered yet is found by the caller's tag alone.
        """
        for record in self._map.matching(_ENTRY.pack(self.entry(call_id))):
            if record.key[_NUMBERS.size :] == call_id:
                dialog = _decode(record.value)
                direction = _direction(dialog, from_tag, to_tag)
                if direction is not None:
                    return dialog, direction
        return None

    def update(self, h_entry: int, h_id: int, function: DialogChange) -> bool:
        """Replace a dialog by what `function` makes of it, while no other process changes it.

        The function may change and return its argument, return None to remove the dialog, or KEEP;
        it leaves h_entry, h_id and call_id as they are. False when there is no such dialog, or no
        room.
        """
        record = self._record(h_entry, h_id)
        if record is None:
            return False
        found = True

        def change(value: bytes | None, _: int) -> Change:
            nonlocal found
            if value is None:
                found = False
                return KEEP
            dialog = function(_decode(value))
            if dialog is KEEP:
                return KEEP
            return (None, 0) if dialog is None else (_encode(dialog), dialog.expires)

        return self._map.update(record.key, change) and found

    def delete(self, h_entry: int, h_id: int) -> bool:
        """Remove a dialog; False when it is not there."""
        record = self._record(h_entry, h_id)
        return record is not None and self._map.delete(record.key)

    def items(self) -> Iterator[Dialog]:
        """Go through all dialogs."""
        return (_decode(value) for _, value in self._map.items())

    def due(self, now: int, limit: int) -> list[Dialog]:
        """Give up to `limit` dialogs whose deadline has come.

        They stay, so that none is lost if the caller dies: it deletes them or moves their deadline.
        """
        return [_decode(value) for _, value in self._map.expired(now, limit)]

    def counts(self) -> Counter[int]:
        """Count the dialogs by state, looking through all: right after any crash."""
        return Counter(value[1] for _, value in self._map.items())

    def _record(self, h_entry: int, h_id: int) -> Record | None:
        try:
            prefix = _NUMBERS.pack(h_entry, h_id)
        except struct.error:
            return None
        found = self._map.matching(prefix)
        return found[0] if found else None


_names: Final = tuple(Dialog.__slots__)
_values: Final = attrgetter(*_names)
_pack: Final = msgpack.Packer().pack
_PROFILES: Final = _names.index("profiles")


def _direction(dialog: Dialog, from_tag: bytes, to_tag: bytes) -> Direction | None:
    caller, callee = dialog.from_tag, dialog.to_tag if dialog.state >= _ANSWERED else b""
    if caller == from_tag and callee in (to_tag, b""):
        return Direction.DOWNSTREAM
    if caller == to_tag and callee in (from_tag, b""):
        return Direction.UPSTREAM
    return None


def _key(dialog: Dialog) -> bytes:
    return _NUMBERS.pack(dialog.h_entry, dialog.h_id) + dialog.call_id


def _encode(dialog: Dialog) -> bytes:
    try:
        packed: bytes = _pack(_values(dialog))
        return _PREFIX.pack(_VERSION, dialog.state) + packed
    except (OverflowError, TypeError, ValueError, struct.error) as error:
        raise RecordError(f"a dialog cannot be stored: {error}") from error


def _decode(value: bytes) -> Dialog:
    if value[0] != _VERSION:
        raise RecordError(f"a dialog record of version {value[0]}")
    fields: list[Any] = msgpack.unpackb(value[_PREFIX_SIZE:])
    if fields[_PROFILES]:
        fields[_PROFILES] = [(name, member) for name, member in fields[_PROFILES]]
    return Dialog(*fields)
