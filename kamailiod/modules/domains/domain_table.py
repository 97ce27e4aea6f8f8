"""The domains this server is responsible for, with their attributes, as read from a database.

Owns what rows are good and how they are found; it must not know requests or where rows come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kamailiod.script.database import Row
from kamailiod.script.table_query import cell

INTEGER, STRING = 0, 2
"""Types of attributes."""

Attribute = tuple[bytes, bytes | int]
"""Name and value."""


class DomainError(Exception):
    """A row that cannot be used."""


class DomainTable:
    """Domains by name, attributes by domain id; both are compared without case.

    `published` is what `plain` made, or the same after msgpack.
    """

    __slots__ = ("_attributes", "_ids")

    def __init__(self, published: Sequence[Sequence[Sequence[bytes | int]]] = ((), ())) -> None:
        domains, attributes = published
        self._ids: dict[bytes, tuple[bytes, bytes]] = {}
        for name, did in domains:
            assert isinstance(name, bytes) and isinstance(did, bytes)
            self._ids[name.lower()] = (name, did)
        self._attributes: dict[bytes, tuple[bytes, list[Attribute]]] = {}
        for did, name, value in attributes:
            assert isinstance(did, bytes) and isinstance(name, bytes)
            self._attributes.setdefault(did.lower(), (did, []))[1].append((name, value))

    def did(self, host: bytes) -> bytes | None:
        """Return the id of a domain; None when the domain is not ours."""
        found = self._ids.get(host.lower())
        return None if found is None else found[1]

    def attributes(self, did: bytes) -> Sequence[Attribute]:
        """Return the attributes of a domain id in the order of their rows."""
        found = self._attributes.get(did.lower())
        return () if found is None else found[1]

    def domains(self) -> Iterable[tuple[bytes, bytes]]:
        """Go through names and ids of all domains."""
        return self._ids.values()

    def all_attributes(self) -> Iterable[tuple[bytes, list[Attribute]]]:
        """Go through the ids that have attributes, with these."""
        return self._attributes.values()


def plain(domains: Iterable[Row], attributes: Iterable[Row]) -> list[list[list[bytes | int]]]:
    """Return rows (domain, did) and (did, name, type, value) as a value to publish.

    A domain without an id has its own name for one.  Raises DomainError for a bad row.
    """
    return [
        [_domain(number, row) for number, row in enumerate(domains)],
        [_attribute(number, row) for number, row in enumerate(attributes)],
    ]


def _domain(number: int, row: Row) -> list[bytes | int]:
    name, did = cell(row[0]), cell(row[1])
    if not name or (row[1] is not None and not did):
        raise DomainError(f"domain: row {number} has an empty name or id")
    return [name, did or name]


def _attribute(number: int, row: Row) -> list[bytes | int]:
    did, name, value = cell(row[0]), cell(row[1]), cell(row[3])
    kind = row[2]
    if not did or not name or row[3] is None:
        raise DomainError(f"domain attributes: row {number} has an empty id, name or value")
    if kind == STRING:
        return [did, name, value]
    if kind != INTEGER:
        raise DomainError(f"domain attributes: row {number} has the unknown type {kind!r}")
    try:
        return [did, name, int(value)]
    except ValueError:
        raise DomainError(f"domain attributes: row {number} holds no integer") from None
