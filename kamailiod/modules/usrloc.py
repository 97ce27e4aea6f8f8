"""Module usrloc: where users can be reached, in shared memory, a database or a Redis.

Owns the choice of where (db_mode, db_url), expiry and counts; it must not know REGISTER.
"""

from __future__ import annotations

import time
from asyncio import Task
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import ClassVar, TypeVar

from kamailiod.modules.registration.backing import Backing
from kamailiod.modules.registration.commands import LocationCommands
from kamailiod.modules.registration.database_only import DatabaseLocations
from kamailiod.modules.registration.keepalive import (
    KeepAliveRound,
    KeepAliveRules,
    KeepAliveSender,
)
from kamailiod.modules.registration.location_rows import LocationRows
from kamailiod.modules.registration.locations import Locations, Matching
from kamailiod.modules.registration.redis_only import RedisLocations
from kamailiod.modules.registration.stored_locations import StoredLocations, live
from kamailiod.modules.registration.usrloc_params import WITHOUT_EFFECT, UsrlocParams
from kamailiod.modules.tm import Tm
from kamailiod.script.database import Database, DatabaseError, parse_url
from kamailiod.script.log import DEBUG
from kamailiod.script.module import Params
from kamailiod.script.redis_address import RedisAddressError, is_redis_url
from kamailiod.script.services import Services
from kamailiod.script.table_layouts import LAYOUTS, create_tables
from kamailiod.sip.message import SipMessage
from lua import Wait
from shm import Binding, ChangeJournal, LocationStore

T = TypeVar("T")

MEMORY, WRITE_THROUGH, WRITE_BACK, DATABASE_ONLY, READ_ONLY = range(5)
"""db_mode."""

_DEFAULT_TABLE = b"location"
_EXPIRED_A_SLICE = 2000
_MAP_SHARE = 0.4
_JOURNAL_SHARE = 0.05
_LEAST_BUCKETS = 65536
_JOURNAL_BUCKETS = 4096
_SECOND = 1.0
_AGAIN = 5.0
"""How often a table that could not be read is asked for again."""

_AT_ONCE = 0.1
"""How often write-through looks for changes: they wait no longer than this."""

Expired = Callable[[bytes, bytes, Binding], None]
"""Called as expired(table, aor, contact)."""


class Usrloc(LocationCommands):
    """The location tables of the registrar, and the commands to look into them.

    Expired contacts are invisible at once and removed by the timer process.  `stored` is None
    unless a database or a Redis is the only place of contacts (db_mode 3).
    """

    name: ClassVar[str] = "usrloc"
    Params: ClassVar[type[Params]] = UsrlocParams
    params: UsrlocParams
    event_routes: ClassVar[tuple[str, ...]] = ("usrloc:contact-expired",)
    without_effect: ClassVar[tuple[str, ...]] = WITHOUT_EFFECT

    def __init__(self, params: UsrlocParams, services: Services) -> None:
        super().__init__(params, services)
        self.use_domain = bool(params.use_domain)
        self.keepalive_flag = params.keepalive_flag()
        self.locations: Locations
        self.stored: StoredLocations | None = None
        self.rows: LocationRows | None = None
        self.database: Database | None = None
        self._names = tuple(name.encode() for name in params.preload) or (_DEFAULT_TABLE,)
        self._counted = Counted(self._names)
        self.statistics = self._counted.names  # type: ignore[misc]  # the tables are modparams
        self.gauges = self._counted.gauges  # type: ignore[misc]  # as above
        self._journal: ChangeJournal | None = None
        self._backing: Backing | None = None
        self._expired: list[Expired] = []
        self._tasks: dict[Callable[..., object], Task[None]] = {}
        self._not_before = 0.0
        self._keepalive: KeepAliveSender | None = None
        self._tm = services.module(Tm) if params.ka_mode else None
        services.on_worker("usrloc.flush", self._flush_soon)
        services.on_worker("usrloc.keepalive", self._send_keepalive)

    def on_expired(self, callback: Expired) -> None:
        """Have callback(table, aor, contact) called for each expired contact, by the timer."""
        self._expired.append(callback)

    def mod_init(self) -> None:
        """Make the shared map, and bring back what the database holds."""
        params = self.params
        if params.matching_mode not in list(Matching):
            raise ValueError(f"usrloc: matching_mode {params.matching_mode} is not known")
        if params.db_mode not in range(READ_ONLY + 1):
            raise ValueError(f"usrloc: db_mode {params.db_mode} is not known")
        if params.db_mode in (WRITE_THROUGH, WRITE_BACK):
            self._journal = ChangeJournal(
                self.services.hash_map("location_changes", _JOURNAL_BUCKETS, _JOURNAL_SHARE),
                self.services.words("location_overflow", 1),
            )
        buckets = max(1 << min(params.hash_size, 24), _LEAST_BUCKETS)
        self.locations = Locations(
            self.services.hash_map("location", buckets, _MAP_SHARE, weigh=LocationStore.weigh),
            Matching(params.matching_mode),
            bool(params.desc_time_order),
            self._journal,
            getattr(self.services.settings, "server_id", 0),
        )
        for name in params.preload:
            self.locations.table(name.encode())
        if params.db_mode == MEMORY:
            return
        if is_redis_url(params.db_url):
            self._open_redis()
        else:
            self._open_database()

    def _open_redis(self) -> None:
        params = self.params
        if params.db_mode != DATABASE_ONLY:
            raise ValueError("usrloc: a Redis holds the contacts alone: db_mode must be 3")
        try:
            redis = self.services.redis.server(params.db_url)
        except RedisAddressError as error:
            raise ValueError(f"usrloc: {error}") from error
        for name in self._names:
            self.locations.table(name)
        # What has expired is found by the second round at the latest.
        grace = params.rm_expired_delay + 2 * max(params.timer_interval, 1)
        server_id = getattr(self.services.settings, "server_id", 0)
        self.stored = RedisLocations(
            redis, self.locations.bring_into_order, grace,
            server_id if params.server_id_filter else None, self.services.log,
        )  # fmt: skip

    def _open_database(self) -> None:
        params = self.params
        try:
            url = parse_url(params.db_url)
            server_id = getattr(self.services.settings, "server_id", 0)
            rows = self.rows = LocationRows(
                params.columns(), params.row_rules(url.scheme, server_id)
            )
            database = self.database = self.services.databases.database(params.db_url)
        except DatabaseError as error:
            raise ValueError(f"usrloc: {error}") from error
        if url.scheme == "sqlite":
            self._create_tables()
        for name in self._names:
            self.locations.table(name)
        if params.db_mode == DATABASE_ONLY:
            self.stored = DatabaseLocations(rows, database, self.locations.bring_into_order)
            return
        self._backing = Backing(
            self.locations, self._journal, rows, database, params.fetch_rows, self._is_wanted
        )
        for name in self._names:
            if not params.db_load and params.db_mode != READ_ONLY:
                self._backing.skip(name)
            elif not self._backing.load_blocking(name):
                text = f"table {name.decode()} cannot be read: trying again later"
                self.services.log.error("usrloc", text)

    def _create_tables(self) -> None:
        known = [name.decode() for name in self._names if name.decode() in LAYOUTS]
        try:
            create_tables(self.params.db_url, [*known, "location_attrs"])
        except DatabaseError as error:
            self.services.log.error("usrloc", f"cannot make the tables: {error}")

    def _is_wanted(self, binding: Binding) -> bool:
        """Whether a stored contact is to be brought back (db_clean_tcp, skip_remote_socket)."""
        params = self.params
        if params.db_clean_tcp and not binding.socket.startswith(b"udp:") and binding.socket:
            return False
        if params.skip_remote_socket and binding.socket:
            return any(binding.socket == own.text for own in self.services.network.sockets)
        return True

    def child_init(self, rank: int) -> None:
        """Name this process's contacts; the timer process starts to expire, count and write."""
        self.locations.start_process(shared=self.stored is not None)
        self._counted.open(self.services.statistics.counter)
        if rank > 0 and self._tm is not None:
            self._keepalive = KeepAliveSender(
                self._keepalive_rules(), self.locations, self._tm.send_request, self._log_keepalive
            )
        if rank != -1:
            return
        every = self.services.timers.every
        every(_SECOND, self.expire)
        every(_SECOND, self._count_now)
        interval = max(float(self.params.timer_interval), _AT_ONCE)
        if self._tm is not None:
            ask = KeepAliveRound(
                self._keepalive_rules(), self.locations, self.services.worker_count, self._ask
            )
            every(interval, ask.begin)
            every(_SECOND, ask.go_on)
        if self.stored is not None:
            every(interval, self._start, self._expire_stored)
        backing = self._backing
        if backing is None:
            return
        every(_AGAIN, self._load_again, backing)
        if self._journal is not None:
            is_back = self.params.db_mode == WRITE_BACK
            every(interval if is_back else _AT_ONCE, self._write_soon, self._journal)
        if self.params.db_timer_clean:
            every(interval, self._start, backing.remove_expired)

    def child_exit(self, rank: int) -> None:
        """Write what is not written yet, when all processes that could change it have ended."""
        if rank == 0 and self._backing is not None and not self._backing.flush_blocking():
            count = len(self._journal) if self._journal is not None else 0
            text = f"{count} users' contacts could not be written to the database"
            self.services.log.error("usrloc", text)

    def read(
        self, table: bytes, aor: bytes, then: Callable[[list[Binding]], T], failed: T, now: float
    ) -> T | Wait:
        """Return then(contacts that are not expired at `now`) of a user, or a Wait for it.

        `failed` is what comes of a database that does not work.
        """
        stored = self.stored
        if stored is None:
            return then(self.locations.table(table).bindings(aor, now))
        found = stored.read_at_once(table, aor)
        if found is not None:
            return then(live(found, now))

        async def later() -> T:
            fetched = await stored.read(table, aor)
            return failed if fetched is None else then(live(fetched, now))

        return Wait(later)

    def change(
        self,
        table: bytes,
        aor: bytes,
        function: Callable[[list[Binding]], list[Binding]],
        then: Callable[[bool], T],
    ) -> T | Wait:
        """Replace a user's contacts by what `function` makes of them, expired ones included.

        Returns then(whether that was done), or a Wait for it.
        """
        stored = self.stored
        if stored is None:
            return then(self.locations.table(table).update(aor, function))

        async def later() -> T:
            done = await stored.update(table, aor, lambda fetched: fetched.update(aor, function))
            return then(bool(done))

        return Wait(later)

    def contacts(self, flags: int = 0) -> Iterator[tuple[bytes, bytes, Binding]]:
        """Go through (table, aor, contact) of all that is not expired, with one of these flags.

        `flags` is a mask of branch flags, 0 for all contacts.  Blocks nobody, and sees shared
        memory only: with db_mode 3 it gives nothing, see `stored_contacts`.
        """
        now = time.time()
        for name in self.locations.names():
            for aor, bindings in self.locations.memory(name).items():
                for binding in live(bindings, now):
                    if not flags or binding.cflags & flags:
                        yield name, aor, binding

    async def stored_contacts(self, flags: int = 0) -> Sequence[tuple[bytes, bytes, Binding]]:
        """Return what `contacts` gives, also with db_mode 3."""
        if self.stored is None:
            return list(self.contacts(flags))
        now = time.time()
        return [
            (name, aor, binding)
            for name in self.locations.names()
            for aor, bindings in await self.stored.all(name) or ()
            for binding in live(bindings, now)
            if not flags or binding.cflags & flags
        ]

    def expire(self) -> None:
        """Remove what has expired from every table, and tell who wants to know."""
        now = int(time.time())
        for name in self.locations.names():
            removed = self.locations.table(name).expire(now, _EXPIRED_A_SLICE)
            self._tell_expired(name, removed)

    def write_now(self) -> None:
        """Have the timer process write all changes to the database."""
        self.services.tell_worker(-1, "usrloc.flush")

    def _tell_expired(self, table: bytes, removed: Sequence[tuple[bytes, Binding]]) -> None:
        self._counted.expired(table, len(removed))
        for aor, binding in removed:
            for callback in self._expired:
                callback(table, aor, binding)

    async def _expire_stored(self) -> None:
        assert self.stored is not None
        now = int(time.time()) - self.params.rm_expired_delay
        for name in self.locations.names():
            self._tell_expired(name, await self.stored.remove_expired(name, now))

    def _count_now(self) -> None:
        self._counted.show(self.locations)

    def _keepalive_rules(self) -> KeepAliveRules:
        return self.params.keepalive_rules(getattr(self.services.settings, "server_id", 0))

    def _ask(self, rank: int, *contact: bytes) -> None:
        self.services.tell_worker(rank, "usrloc.keepalive", *contact)

    def _send_keepalive(self, table: bytes, aor: bytes, ruid: bytes, call_id: bytes) -> None:
        if self._keepalive is not None:
            self._keepalive.send(table, aor, ruid, call_id)

    def _log_keepalive(self, took: int, contact: Binding, reply: SipMessage) -> None:
        level = self.params.ka_loglevel
        if not -5 <= level <= DEBUG or not self.services.log.enabled(level):
            return
        context = self.services.faked_context()
        context.message = reply
        text = self.services.variables.formatter(self.params.ka_logmsg.encode())(context)
        seconds, rest = divmod(took, 1_000_000)
        ruid = contact.ruid.decode("utf-8", "replace")
        line = f"keepalive roundtrip: {seconds}.{rest:06} sec - ruid [{ruid}]"
        self.services.log.line(level, "usrloc", line + text.decode("utf-8", "replace"))

    def _load_again(self, backing: Backing) -> None:
        if backing.lacks(self.locations.names()):
            self._start(backing.load_missing)

    def _write_soon(self, journal: ChangeJournal) -> None:
        if journal.is_pending() and self.services.timers.now() >= self._not_before:
            self._flush_soon()

    def _flush_soon(self) -> None:
        if self._backing is not None:
            self._start(self._flush)

    async def _flush(self) -> None:
        assert self._backing is not None
        if not await self._backing.flush():
            self._not_before = self.services.timers.now() + _SECOND

    def _start(self, work: Callable[[], Coroutine[object, object, None]]) -> None:
        """Begin work with the database in the timer process, unless it is still going on."""
        if work not in self._tasks:
            task = self._tasks[work] = self.services.loop.create_task(work())
            task.add_done_callback(lambda ended: self._ended(work, ended))

    def _ended(self, work: Callable[..., object], task: Task[None]) -> None:
        self._tasks.pop(work, None)
        if not task.cancelled() and task.exception() is not None:
            text = f"work with the database failed: {task.exception()!r}"
            self.services.log.error("usrloc", text)


class Counted:
    """Kamailio's statistics of location tables; one process shows them for all."""

    def __init__(self, tables: Sequence[bytes]) -> None:
        self._tables = [table.decode() for table in tables]
        kinds = ("users", "contacts")
        self.gauges = (
            "usrloc:registered_users",
            *(f"usrloc:{table}-{kind}" for table in self._tables for kind in kinds),
        )
        self.names = (*self.gauges, *(f"usrloc:{table}-expires" for table in self._tables))
        self._shown: dict[str, int] = {}
        self._counters: dict[str, Callable[..., None]] = {}

    def open(self, counter: Callable[[str], Callable[..., None]]) -> None:
        """Take this process's cells."""
        self._counters = {name: counter(name) for name in self.names}

    def expired(self, table: bytes, count: int) -> None:
        """Count contacts that expired."""
        increment = self._counters.get(f"usrloc:{table.decode('utf-8', 'replace')}-expires")
        if count and increment is not None:
            increment(count)

    def show(self, locations: Locations) -> None:
        """Show how many users and contacts there are now."""
        self._set("usrloc:registered_users", locations.total().records)
        for table, counts in locations.counts().items():
            self._set(f"usrloc:{table}-users", counts.records)
            self._set(f"usrloc:{table}-contacts", counts.contacts)

    def _set(self, name: str, value: int) -> None:
        counter = self._counters.get(name)
        if counter is not None and value != self._shown.get(name, 0):
            counter(value - self._shown.get(name, 0))
            self._shown[name] = value
