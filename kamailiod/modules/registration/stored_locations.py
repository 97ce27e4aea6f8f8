"""Location tables that are not in shared memory (db_mode 3): what the registrar may ask of them.

Owns the table of one user while it is changed; where it is kept is its keeper's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_
from typing import Protocol, TypeVar

from shm import Binding

T = TypeVar("T")


class StoredLocations(Protocol):
    """All location tables of one keeper; each call reads or writes there.

    Servers that share the keeper see each other's contacts at once.
    """

    def read_at_once(self, table: bytes, aor: bytes) -> list[Binding] | None:
        """Return a user's contacts, expired ones included; None when that must be awaited."""

    async def read(self, table: bytes, aor: bytes) -> list[Binding] | None:
        """Return a user's contacts, expired ones included; None when the keeper failed."""

    async def of_ruid(self, table: bytes, ruid: bytes) -> tuple[bytes, Binding] | None:
        """Return user and contact of a ruid; None when there is none."""

    async def all(self, table: bytes) -> list[tuple[bytes, list[Binding]]] | None:
        """Return all users with their contacts; None when the keeper failed."""

    async def update(self, table: bytes, aor: bytes, work: Callable[[Fetched], T]) -> T | None:
        """Have `work` change a user's contacts; returns what it returned, None when that failed.

        `work` may be called again, with newer contacts, when another server was faster.
        """

    async def remove_expired(self, table: bytes, now: int) -> list[tuple[bytes, Binding]]:
        """Delete what expired by `now`, and give it."""


class Fetched:
    """The contacts of one user as they were read: a table for who changes them, not written yet."""

    __slots__ = ("after", "before")

    def __init__(self, stored: Sequence[Binding]) -> None:
        self.before = tuple(stored)
        self.after = list(stored)

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to write."""
        before, after = self.before, self.after
        return len(after) != len(before) or not all(map(is_, after, before))

    def gone(self) -> list[Binding]:
        """Return the contacts that are not among them any more."""
        kept = {binding.ruid for binding in self.after}
        return [binding for binding in self.before if binding.ruid not in kept]

    def put(self) -> list[Binding]:
        """Return the contacts that are new or not as they were."""
        known = set(map(id, self.before))
        return [binding for binding in self.after if id(binding) not in known]

    def bindings(self, aor: bytes, now: float) -> list[Binding]:
        """Give the bindings that are not expired at `now`."""
        return live(self.after, now)

    def update(self, aor: bytes, function: Callable[[list[Binding]], list[Binding]]) -> bool:
        """Replace the bindings by what `function` makes of them."""
        self.after = list(function(self.after))
        return True

    def hash_of(self, aor: bytes) -> int:
        """Return 0: a GRUU is found by its ruid."""
        return 0


def live(bindings: Sequence[Binding], now: float) -> list[Binding]:
    """Return the bindings that are not expired at `now`."""
    return [binding for binding in bindings if not binding.expires or binding.expires > now]
