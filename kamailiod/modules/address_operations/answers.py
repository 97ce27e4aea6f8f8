"""What DNS queries found, by the script's own names: `$dns(id=>addr[0])` and its kin.

Owns reading such a variable's inner text; asks nothing.
"""

from __future__ import annotations

import re

from kamailiod.modules.address_operations.queries import Record
from kamailiod.script.context import Context, Value

_KEY = re.compile(rb"\s*(.*?)\s*=>\s*([a-z0-9]+)\s*(?:\[\s*(-?[0-9]{1,6})\s*\])?\s*\Z", re.DOTALL)


class Answers:
    """The results of one kind of query, kept with the request that asked."""

    __slots__ = ("_note",)

    def __init__(self, kind: str) -> None:
        self._note = "ipops_" + kind

    def store(self, context: Context, name: bytes, records: list[Record] | None) -> None:
        """Keep a result in the place of the one before; None for no answer."""
        notes = context.shared.notes
        results: dict[bytes, list[Record] | None] = notes.setdefault(self._note, {})  # type: ignore[assignment]  # only results are kept there
        results[name] = records

    def read(self, context: Context, inner: bytes) -> Value:
        """Return what `id=>key` or `id=>key[index]` names; without index the first record's."""
        match = _KEY.match(inner)
        results = context.shared.notes.get(self._note)
        if match is None or not isinstance(results, dict):
            return None
        name, key, index = match.groups()
        records = results.get(name)
        return None if records is None else _value(records, key, int(index or 0))


def _value(records: list[Record], key: bytes, index: int) -> Value:
    if key == b"count":
        return len(records)
    if key in (b"ipv4", b"ipv6"):
        return int(any(record.get(b"type") == int(key[3:]) for record in records))
    return records[index].get(key) if -len(records) <= index < len(records) else None
