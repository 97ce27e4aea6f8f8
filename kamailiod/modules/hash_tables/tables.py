"""All hash tables of a server, in one map of the shared memory.

Owns the definitions by name and the map's sections; what a table does is the table's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import time

from kamailiod.modules.hash_tables.definition import (
    Definition,
    DefinitionError,
    parse_definition,
)
from kamailiod.modules.hash_tables.table import HashTable
from shm import HashMap, HashTableStore, Sections
from shm.stores.htable import Value, decode

_LEAST_BUCKETS = 65536
_MOST_BUCKETS = 1 << 20


class HashTables:
    """The tables by name; first they are defined, then opened, both before the fork."""

    def __init__(self) -> None:
        self.definitions: dict[bytes, Definition] = {}
        self._tables: dict[bytes, HashTable] = {}
        self._by_prefix: dict[bytes, HashTable] = {}
        self._map: HashMap | None = None

    def define(self, specs: Iterable[str]) -> None:
        """Take definitions; raises DefinitionError for one that is none or comes twice."""
        for spec in specs:
            definition = parse_definition(spec)
            if definition.name in self.definitions:
                raise DefinitionError(f"htable already configured [{definition.name.decode()}]")
            self.definitions[definition.name] = definition

    def open(self, make: Callable[[int, Callable[[bytes], int]], HashMap]) -> None:
        """Make the tables in the map that `make(buckets, code)` gives."""
        if not self.definitions:
            return
        # Chains are short whatever the size that was asked for: 2 ** 8 for 10,000 values is usual.
        least = _LEAST_BUCKETS // len(self.definitions)
        sections = Sections(
            {
                name: min(max(definition.slots, least), _MOST_BUCKETS)
                for name, definition in self.definitions.items()
            }
        )
        self._map = records = make(sections.buckets, sections.code)
        for name, definition in self.definitions.items():
            section = sections.section(name)
            table = HashTable(definition, HashTableStore(records, name, section))
            self._tables[name] = self._by_prefix[section.prefix] = table

    def get(self, name: bytes) -> HashTable | None:
        """Return a table; None when there is none of this name, or not yet."""
        return self._tables.get(name)

    def __iter__(self) -> Iterator[HashTable]:
        """Go through the tables, the last defined first, as Kamailio lists them."""
        return reversed(self._tables.values())

    def expire(self, limit: int) -> list[tuple[HashTable, bytes, Value]]:
        """Remove up to `limit` values whose time is over, and return them with their tables."""
        if self._map is None:
            return []
        found = self._map.pop_expired(int(time()), limit)
        return [(self._by_prefix[key[:2]], key[2:], decode(value)) for key, value in found]
