"""The prefix trees of a server: read from a database, published to all processes.

Owns the statements and what belongs together in one publication; it knows no scripts.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from kamailiod.modules.prefix_trees.definition import TreeDefinition, TreeError
from kamailiod.modules.prefix_trees.growing import Soil, grow, grown
from kamailiod.modules.prefix_trees.prefix_tree import PrefixTree
from kamailiod.script.database import Database, Row, identifier
from shm import HashMap
from shm.stores.published import Published

_QUICK = 1

Trees = dict[bytes, PrefixTree]


@dataclass(frozen=True, slots=True)
class TreeColumns:
    """The names of the columns of trees that name none of their own."""

    name: str
    prefix: str
    value: str


class Forest:
    """Trees by name: those that are defined, else all that one table holds.

    A tree that is not read yet is empty; a reading that fails leaves what was there.
    """

    def __init__(
        self,
        database: Database,
        records: HashMap,
        soil: Soil,
        columns: TreeColumns,
        defined: Sequence[TreeDefinition],
        common: TreeDefinition | None,
    ) -> None:
        self._database = database
        self._soil = soil
        self._columns = columns
        self.definitions = {d.name.encode(): d for d in defined}
        self._common = None if defined else common
        names = [b""] if self._common is not None else list(self.definitions)
        self._published = {
            name: Published(records, b"tree:" + name, self._made, Trees()) for name in names
        }

    @property
    def is_common(self) -> bool:
        """Whether the trees come from one table for all."""
        return self._common is not None

    def get(self, name: bytes) -> PrefixTree | None:
        """Return a tree as it was read last."""
        published = self._published.get(name if self._common is None else b"")
        return None if published is None else published.get().get(name)

    def all(self) -> list[PrefixTree]:
        """Return all trees, by name."""
        found = {name: tree for p in self._published.values() for name, tree in p.get().items()}
        return [found[name] for name in sorted(found)]

    def load_blocking(self) -> None:
        """Read all trees before the fork; what cannot be read is told as a warning."""
        for name in self._published:
            statement, parameters = self._query(name)
            try:
                self._publish(name, self._database.fetch_blocking(statement, parameters))
            except TreeError as error:
                shown = name.decode() or "table"
                self._soil.warn(f"{shown}: {error}: empty until mtree.reload")
        self.all()  # made here, the trees are the memory of all processes

    async def load(self, prefix: bytes = b"") -> bool:
        """Read the trees again whose names begin with a prefix; whether there was one.

        Raises TreeError.
        """
        wanted = [n for n in self._published if self.is_common or n.startswith(prefix)]
        for name in wanted:
            statement, parameters = self._query(name)
            self._publish(name, await self._database.fetch(statement, parameters))
        return bool(wanted)

    def _query(self, name: bytes) -> tuple[str, dict[str, object]]:
        columns = self._columns
        own = (columns.prefix, columns.value)
        if self._common is not None:
            names = ", ".join(map(identifier, (columns.name, *own)))
            table = identifier(self._common.table)
            return f"SELECT {names} FROM {table} ORDER BY {identifier(columns.name)}", {}
        definition = self.definitions[name]
        names = ", ".join(map(identifier, definition.columns or own))
        statement = f"SELECT {names} FROM {identifier(definition.table)}"
        if definition.multi:
            return f"{statement} WHERE {identifier(columns.name)} = :name", {"name": name.decode()}
        return statement, {}

    def _publish(self, name: bytes, rows: Sequence[Row] | None) -> None:
        if rows is None:
            raise TreeError("the database failed")
        now = int(time.time())
        if self._common is not None:
            kind = self._common.kind
            trees = [grow(self._soil, n, kind, r, 0, now) for n, r in _by_name(rows).items()]
        else:
            old = self.get(name)
            reloads = old.facts.reloads + 1 if old is not None else 1
            kind = self.definitions[name].kind
            trees = [grow(self._soil, name, kind, rows, reloads, now)]
        # Prefixes are much alike: this takes a fifth of the room, and little time.
        if not self._published[name].set(zlib.compress(msgpack.packb(trees), _QUICK)):
            raise TreeError("no shared memory is left")

    def _made(self, value: Any) -> Trees:
        trees = msgpack.unpackb(zlib.decompress(value))
        return {tree[0]: grown(tree, self._soil.allowed) for tree in trees}


def _by_name(rows: Iterable[Row]) -> dict[bytes, list[Row]]:
    found: dict[bytes, list[Row]] = {}
    for name, *rest in rows:
        if name:
            found.setdefault(str(name).encode(), []).append(tuple(rest))
    return found
