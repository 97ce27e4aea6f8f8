"""The RPC commands ul.*: looking into the location tables and changing them.

They run in the RPC process and see shared memory, or the database where it is the only place.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kamailiod.modules.registration.contact import ALL_METHODS
from kamailiod.modules.registration.location_rows import LocationRows
from kamailiod.modules.registration.locations import Locations
from kamailiod.modules.registration.shown_contact import shown_table, shown_user
from kamailiod.modules.registration.stored_locations import StoredLocations, live
from kamailiod.script.database import Database
from kamailiod.script.module import Module, RpcFault, rpc
from shm import Binding

Change = Callable[[list[Binding]], list[Binding]]

_NOT_FOUND = "AOR not found"
_FAILED = "the database failed"


class LocationCommands(Module):
    """The commands; what is below is the module's."""

    locations: Locations
    stored: StoredLocations | None
    rows: LocationRows | None
    database: Database | None

    def change(
        self, table: bytes, aor: bytes, function: Change, then: Callable[[bool], object]
    ) -> object:
        """Change a user's contacts; returns then(done), or a Wait for it."""
        raise NotImplementedError

    def write_now(self) -> None:
        """Have all changes written to the database."""
        raise NotImplementedError

    @rpc("ul.dump")
    def ul_dump(self, detail: str = "") -> object:
        """Show all contacts of all tables; `brief` leaves their particulars out."""
        if self.stored is not None:
            return self._dump_stored(self.stored, detail)
        now = time.time()
        names = self.locations.names()
        items = ((name, self.locations.table(name).items()) for name in names)
        return {"Domains": [shown_table(name, found, detail, now) for name, found in items]}

    @rpc("ul.lookup")
    def ul_lookup(self, table: str, aor: str) -> object:
        """Show the contacts of one user."""
        if self.stored is not None:
            return self._lookup_stored(self.stored, table.encode(), aor)
        return _shown(aor, self.locations.table(table.encode()).bindings(aor.encode(), time.time()))

    @rpc("ul.rm")
    def ul_rm(self, table: str, aor: str) -> object:
        """Remove a user with all contacts."""
        return self._remove(table, aor, lambda binding: True, _NOT_FOUND)

    @rpc("ul.rm_contact")
    def ul_rm_contact(self, table: str, aor: str, contact: str) -> object:
        """Remove one contact of a user."""
        wanted = contact.encode()
        return self._remove(table, aor, lambda b: b.contact == wanted, "Contact not found")

    @rpc("ul.flush")
    def ul_flush(self) -> object:
        """Have everything that is not yet in the database written there."""
        self.write_now()
        return ""

    @rpc("ul.add")
    def ul_add(
        self,
        table: str,
        aor: str,
        contact: str,
        expires: int,
        q: float = -1.0,
        path: str = "",
        flags: int = 0,
        cflags: int = 0,
        methods: int = ALL_METHODS,
        instance: str = "",
        ruid: str = "",
    ) -> object:
        """Add a contact of a user, or refresh it; an expiry of 0 makes it permanent."""
        now = time.time()
        new = Binding(
            contact.encode(), b"", _absent(path), int(now) + int(expires) if expires else 0,
            round(float(q) * 1000) if float(q) >= 0 else -1, b"dfjrewr12386fd6-343@kamailiod.rpc",
            1, int(flags), int(cflags), b"kamailiod SIP Router - RPC Server", b"", int(methods),
            _absent(instance), 0, _absent(ruid) or self.locations.next_ruid(), 0, 0, now,
        )  # fmt: skip

        def put(bindings: list[Binding]) -> list[Binding]:
            known = [n for n, old in enumerate(bindings) if old.contact == new.contact]
            self.locations.place(bindings, new, known[0] if known else -1)
            return bindings

        return self.change(table.encode(), aor.encode(), put, _taken)

    @rpc("ul.db_users")
    def ul_db_users(self, table: str) -> object:
        """Count the users of a table who have a contact: in the database when there is one."""
        if self.database is not None:
            return self._count(table, "users")
        if self.stored is not None:
            return self._count_stored(self.stored, table, "users")
        return self.locations.table(table.encode()).counts().records

    @rpc("ul.db_contacts")
    def ul_db_contacts(self, table: str) -> object:
        """Count the contacts of a table: in the database when there is one."""
        if self.database is not None:
            return self._count(table, "contacts")
        if self.stored is not None:
            return self._count_stored(self.stored, table, "contacts")
        return self.locations.table(table.encode()).counts().contacts

    @rpc("ul.db_expired_contacts")
    def ul_db_expired_contacts(self, table: str) -> object:
        """Count the contacts of a table that have expired and are not removed yet."""
        if self.database is not None:
            return self._count(table, "expired")
        if self.stored is not None:
            return self._count_stored(self.stored, table, "expired")
        now = time.time()
        found = self.locations.table(table.encode()).items()
        return sum(0 < b.expires <= now for _, bindings in found for b in bindings)

    def _remove(
        self, table: str, aor: str, unwanted: Callable[[Binding], bool], fault: str
    ) -> object:
        found = False

        def drop(bindings: list[Binding]) -> list[Binding]:
            nonlocal found
            kept = [binding for binding in bindings if not unwanted(binding)]
            found = len(kept) < len(bindings)
            return kept

        def answer(done: bool) -> object:
            if not found:
                raise RpcFault(500, fault)
            return _taken(done)

        return self.change(table.encode(), aor.encode(), drop, answer)

    async def _count(self, table: str, what: str) -> object:
        assert self.rows is not None and self.database is not None
        parameters = self.rows.expired_parameters(int(time.time()))
        rows = await self.database.fetch(self.rows.count(table, what), parameters)
        if not rows:
            kind = "AoR" if what == "users" else "contact"
            raise RpcFault(500, f"Failed to query {kind} count")
        return rows[0][0]

    async def _count_stored(self, stored: StoredLocations, table: str, what: str) -> object:
        items = await stored.all(table.encode())
        if items is None:
            raise RpcFault(500, _FAILED)
        now = time.time()
        counts = [(len(bindings), len(live(bindings, now))) for _, bindings in items]
        if what == "users":
            return sum(alive > 0 for _, alive in counts)
        return sum(every - alive if what == "expired" else alive for every, alive in counts)

    async def _dump_stored(self, stored: StoredLocations, detail: str) -> object:
        now = time.time()
        shown = []
        for name in self.locations.names():
            items = await stored.all(name)
            if items is None:
                raise RpcFault(500, _FAILED)
            shown.append(shown_table(name, items, detail, now))
        return {"Domains": shown}

    async def _lookup_stored(self, stored: StoredLocations, table: bytes, aor: str) -> object:
        found = await stored.read(table, aor.encode())
        if found is None:
            raise RpcFault(500, _FAILED)
        return _shown(aor, live(found, time.time()))


def _shown(aor: str, bindings: list[Binding]) -> object:
    if not bindings:
        raise RpcFault(500, _NOT_FOUND)
    return shown_user(aor, bindings, time.time())


def _taken(done: bool) -> object:
    if not done:
        raise RpcFault(500, "No room for the contact")
    return ""


def _absent(text: str) -> bytes:
    return b"" if text in (".", "0") else text.encode()
