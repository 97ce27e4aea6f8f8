"""Module htable: tables of keys and values that all processes share, for scripts and commands.

Owns the script functions, the variables and the modparams; the machinery is in hash_tables/.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from kamailiod.modules.hash_tables import matching, variables
from kamailiod.modules.hash_tables.commands import TableCommands
from kamailiod.modules.hash_tables.iterator_functions import IteratorFunctions
from kamailiod.modules.hash_tables.key_locks import KeyLocks
from kamailiod.modules.hash_tables.lock_functions import LockFunctions
from kamailiod.modules.hash_tables.matching import Match, Wanted
from kamailiod.modules.hash_tables.table_database import TableDatabase
from kamailiod.modules.hash_tables.table_rows import Columns
from kamailiod.modules.hash_tables.variables import TableVariables, split_key
from kamailiod.script.context import Context, Value
from kamailiod.script.database import DatabaseError
from kamailiod.script.module import Params, kemi, pseudo_variable, variable_factory
from kamailiod.script.services import Services
from kamailiod.script.variables.accessor import Accessor, Specification

_SHARE = 0.15
_LOCKS_SHARE = 0.01
_LOCKS_BUCKETS = 1024
_EXPIRED_A_SLICE = 500
_NO_NUMBER = -255
_RECORD = "htable record"


@dataclass(frozen=True, slots=True)
class HtableParams(Params):
    """Kamailio's modparams of htable; `htable` defines a table: "name=>size=8;autoexpire=30"."""

    htable: list[str] = field(default_factory=list)
    db_url: str = ""
    key_name_column: str = "key_name"
    key_type_column: str = "key_type"
    value_type_column: str = "value_type"
    key_value_column: str = "key_value"
    expires_column: str = "expires"
    array_size_suffix: str = "::size"
    fetch_rows: int = 100
    timer_interval: int = 20
    db_expires: int = 0
    enable_dmq: int = 0
    dmq_init_sync: int = 0
    timer_procs: int = 0
    event_callback: str = ""
    event_callback_mode: int = 0


class Htable(TableCommands, IteratorFunctions, LockFunctions):
    """Hash tables in shared memory, one memory for all of them."""

    name: ClassVar[str] = "htable"
    Params: ClassVar[type[HtableParams]] = HtableParams
    params: HtableParams
    without_effect: ClassVar[tuple[str, ...]] = (
        "fetch_rows", "enable_dmq", "dmq_init_sync", "timer_procs",
    )  # fmt: skip
    event_routes: ClassVar[tuple[str, ...]] = ("htable:mod-init", "htable:expired:NAME")

    def __init__(self, params: HtableParams, services: Services) -> None:
        super().__init__(params, services)
        self._variables = TableVariables(self.tables, services.variables.formatter)

    def mod_init(self) -> None:
        """Make the tables and load those that have one in a database."""
        services = self.services
        self.tables.define(self.params.htable)
        self.tables.open(
            lambda buckets, code: services.hash_map("htable", buckets, _SHARE, code=code)
        )
        if self.tables.definitions:
            self.locks = KeyLocks(
                services.hash_map("htable_locks", _LOCKS_BUCKETS, _LOCKS_SHARE)
            )
        for table in self.tables:
            if table.definition.replicated:
                name = table.name.decode()
                services.log.warning("htable", f"table {name}: dmqreplicate has no effect here")
        if self.params.db_url:
            self._load_tables()

    def _load_tables(self) -> None:
        params, services = self.params, self.services
        columns = Columns(
            params.key_name_column, params.key_type_column, params.value_type_column,
            params.key_value_column, params.expires_column, bool(params.db_expires),
            (params.array_size_suffix or "::size").encode(),
        )  # fmt: skip
        self.database = TableDatabase(
            services.databases.database(params.db_url), columns,
            lambda text: services.log.error("htable", text),
        )  # fmt: skip
        for table in self.tables:
            if not table.definition.database_table:
                continue
            try:
                self.database.check(table)
            except DatabaseError as error:
                raise ValueError(f"htable: {error}") from error
            if self.database.load_at_start(table):
                self.loaded.add(table.name)

    def script_init(self) -> None:
        """Run event_route[htable:mod-init], once, before any message."""
        if self.params.event_callback_mode == 0:
            self.services.script.run_event("htable", "mod-init")

    def child_init(self, rank: int) -> None:
        """Open the locks; the timer process starts to expire."""
        if self.locks is not None:
            self.locks.open()
        if rank == 1 and self.params.event_callback_mode != 0:
            self.services.script.run_event("htable", "mod-init")
        if rank == -1 and self.tables.definitions:
            interval = self.params.timer_interval
            self.services.timers.every(float(interval if interval > 0 else 20), self.expire)

    def child_exit(self, rank: int) -> None:
        """Write tables with dbmode=1 back, when the server ends."""
        if rank != 0 or self.database is None:
            return
        for table in self.tables:
            # What was never read is not to be replaced by what little there is now.
            if table.definition.database_mode and table.name in self.loaded:
                self.database.save_at_end(table)

    def expire(self) -> None:
        """Remove what has expired, a slice at a time, and tell the script of each value."""
        found = self.tables.expire(_EXPIRED_A_SLICE)
        script = self.services.script
        for table, name, value in found:
            event = f"expired:{table.name.decode()}"
            if script.hears("htable", event):
                context = self.services.faked_context()
                context.shared.notes[_RECORD] = (name, value)
                script.run_event("htable", event, context)
        if len(found) == _EXPIRED_A_SLICE:
            self.services.timers.schedule(0.0, self.expire)
        elif self.locks is not None:
            self.locks.expire()

    @variable_factory("$sht")
    def sht(self, specification: Specification) -> Accessor | None:
        """$sht(table=>key): a value; null removes it."""
        return self._variables.accessor(specification, variables.value)

    @variable_factory("$shtex")
    def shtex(self, specification: Specification) -> Accessor | None:
        """$shtex(table=>key): the seconds that a value lives on."""
        return self._variables.accessor(specification, variables.lifetime)

    @variable_factory("$shtinc")
    def shtinc(self, specification: Specification) -> Accessor | None:
        """$shtinc(table=>key): a number, after 1 was added."""
        return self._variables.accessor(specification, variables.increment)

    @variable_factory("$shtdec")
    def shtdec(self, specification: Specification) -> Accessor | None:
        """$shtdec(table=>key): a number, after 1 was taken off."""
        return self._variables.accessor(specification, variables.decrement)

    @variable_factory("$shtcn")
    def shtcn(self, specification: Specification) -> Accessor | None:
        """$shtcn(table=>expression): how many names fit."""
        return self._variables.accessor(specification, variables.count_names)

    @variable_factory("$shtcv")
    def shtcv(self, specification: Specification) -> Accessor | None:
        """$shtcv(table=>expression): how many values fit."""
        return self._variables.accessor(specification, variables.count_values)

    @pseudo_variable("$shtrecord")
    def shtrecord(self, context: Context, inner: bytes, index: object) -> Value:
        """$shtrecord(key) and $shtrecord(value): what has expired, in its event route."""
        record = context.shared.notes.get(_RECORD)
        if not isinstance(record, tuple) or inner not in (b"key", b"value"):
            return None
        name, value = record
        found: Value = name if inner == b"key" else value
        return found

    @kemi("htable.sht_get", native=())
    def sht_get(self, context: Context, table: bytes, key: bytes) -> Value:
        """Return a value, or the table's initial one, or nil."""
        found = self.table(table)
        return None if found is None else found.get(key)

    @kemi("htable.sht_gete", native=())
    def sht_gete(self, context: Context, table: bytes, key: bytes) -> Value:
        """Return a value, or the empty string."""
        found = self.sht_get(context, table, key)
        return b"" if found is None else found

    @kemi("htable.sht_getw", native=())
    def sht_getw(self, context: Context, table: bytes, key: bytes) -> Value:
        """Return a value, or `<null>`."""
        found = self.sht_get(context, table, key)
        return b"<null>" if found is None else found

    @kemi("htable.sht_sets", native=())
    def sht_sets(self, context: Context, table: bytes, key: bytes, value: bytes) -> int:
        """Set a text: 1, or -1 without such a table or without room."""
        return self._set(table, key, value)

    @kemi("htable.sht_seti", native=())
    def sht_seti(self, context: Context, table: bytes, key: bytes, value: int) -> int:
        """Set a number: 1, or -1 without such a table or without room."""
        return self._set(table, key, value)

    @kemi("htable.sht_setex", native=())
    def sht_setex(self, context: Context, table: bytes, key: bytes, seconds: int) -> int:
        """Let a value live so many seconds from now: 1, or -1 without such a table."""
        found = self.table(table)
        return 1 if found is not None and found.set_lifetime(key, seconds) else -1

    @kemi("htable.sht_setxs")
    def sht_setxs(
        self, context: Context, table: bytes, key: bytes, value: bytes, seconds: int
    ) -> int:
        """Set a text to live so many seconds: 1, or -1 without such a table or room."""
        return self._set(table, key, value, seconds)

    @kemi("htable.sht_setxi", native=())
    def sht_setxi(
        self, context: Context, table: bytes, key: bytes, value: int, seconds: int
    ) -> int:
        """Set a number to live so many seconds: 0 (as Kamailio has it), or -1."""
        return min(0, self._set(table, key, value, seconds))

    @kemi(native="sht_setxi")
    def native_setxi(
        self, context: Context, table: bytes, key: bytes, value: int, seconds: int
    ) -> int:
        """Set a number to live so many seconds: 1, or -1 without such a table or room."""
        return self._set(table, key, value, seconds)

    @kemi("htable.sht_is_null")
    def sht_is_null(self, context: Context, table: bytes, key: bytes) -> int:
        """1 when there is no value, 2 when there is no table, -1 for a value, -2 initial one."""
        found = self.tables.get(table)
        if found is None:
            return 2
        if found.stored(key) is not None:
            return -1
        return 1 if found.definition.initial is None else -2

    @kemi("htable.sht_inc")
    def sht_inc(self, context: Context, table: bytes, key: bytes) -> int:
        """Add 1 to a number and return it; -255 when there is none."""
        return self._add(table, key, 1)

    @kemi("htable.sht_dec")
    def sht_dec(self, context: Context, table: bytes, key: bytes) -> int:
        """Take 1 off a number and return it; -255 when there is none."""
        return self._add(table, key, -1)

    @kemi("htable.sht_rm")
    def sht_rm(self, context: Context, table: bytes, key: bytes) -> int:
        """Remove a value: 1, whether there was one or not, or -1 without such a table."""
        found = self.table(table)
        if found is None:
            return -1
        found.delete(key)
        return 1

    @kemi("htable.sht_reset", native=())
    def sht_reset(self, context: Context, table: bytes) -> int:
        """Remove all values of a table: 0 (as Kamailio has it), or -1 without such a table."""
        found = self.table(table)
        if found is None:
            return -1
        found.clear()
        return 0

    @kemi(native="sht_reset")
    def native_reset(self, context: Context, table: bytes) -> int:
        """Remove all values of a table: 1, or -1 without such a table."""
        return 1 if self.sht_reset(context, table) == 0 else -1

    @kemi("htable.sht_rm_name_re", native=())
    def sht_rm_name_re(self, context: Context, table: bytes, expression: bytes) -> int:
        """Remove what has a name that a regular expression fits: 1, or -1 for a malformed one."""
        return self._remove(table, matching.matches(expression), by_value=False)

    @kemi("htable.sht_rm_value_re", native=())
    def sht_rm_value_re(self, context: Context, table: bytes, expression: bytes) -> int:
        """Remove what has a text that a regular expression fits: 1, or -1 for a malformed one."""
        return self._remove(table, matching.matches(expression), by_value=True)

    @kemi(native="sht_rm_name_re")
    def native_rm_name_re(self, context: Context, key: bytes) -> int:
        """Remove by `table=>regular expression` of the name."""
        table, expression = split_key(key) or (b"", b"")
        return self.sht_rm_name_re(context, table, expression)

    @kemi(native="sht_rm_value_re")
    def native_rm_value_re(self, context: Context, key: bytes) -> int:
        """Remove by `table=>regular expression` of the value."""
        table, expression = split_key(key) or (b"", b"")
        return self.sht_rm_value_re(context, table, expression)

    @kemi("htable.sht_rm_name")
    def sht_rm_name(self, context: Context, table: bytes, operator: bytes, text: bytes) -> int:
        """Remove by name, operator re or sw: 1, or -1 without such a table or operator."""
        return self._remove_by(table, operator, text, by_value=False)

    @kemi("htable.sht_rm_value")
    def sht_rm_value(self, context: Context, table: bytes, operator: bytes, text: bytes) -> int:
        """Remove by value, operator re or sw: 1, or -1 without such a table or operator."""
        return self._remove_by(table, operator, text, by_value=True)

    @kemi("htable.sht_match_name", native=("sht_match_name", "sht_has_name"))
    def sht_match_name(self, context: Context, table: bytes, operator: bytes, text: bytes) -> int:
        """Whether any name fits, operator eq, ne, re or sw: 1 or -1."""
        return self._match(table, operator, text, by_value=False)

    @kemi("htable.sht_match_str_value", native=("sht_match_str_value", "sht_has_str_value"))
    def sht_match_str_value(
        self, context: Context, table: bytes, operator: bytes, text: bytes
    ) -> int:
        """Whether any text fits, operator eq, ne, re or sw: 1 or -1."""
        return self._match(table, operator, text, by_value=True)

    @kemi(native="sht_print")
    def sht_print(self, context: Context) -> int:
        """Log all tables with their values, at level error as in Kamailio."""
        for table in self.tables:
            self.services.log.error("htable", f"htable[{table.name.decode()}]")
            for name, value in table.items():
                self.services.log.error("htable", f"\tcell: {name!r} => {value!r}")
        return 1

    def _set(self, table: bytes, key: bytes, value: bytes | int, seconds: int = 0) -> int:
        found = self.table(table)
        if found is None:
            return -1
        if not found.set(key, value, seconds):
            self.services.log.error("htable", f"cannot set {table!r}=>{key!r}: no memory left")
            return -1
        return 1

    def _add(self, table: bytes, key: bytes, by: int) -> int:
        found = self.tables.get(table)
        result = None if found is None else found.add(key, by)
        return _NO_NUMBER if result is None else result

    def _remove(self, table: bytes, match: Match | None, by_value: bool) -> int:
        found = self.tables.get(table)
        if found is None:
            return 1
        if match is None:
            self.services.log.error("htable", "bad regular expression")
            return -1
        found.remove(_wanted(match, by_value))
        return 1

    def _remove_by(self, table: bytes, operator: bytes, text: bytes, by_value: bool) -> int:
        match = matching.remove(operator, text)
        found = self.table(table)
        if found is None or match is None:
            self.services.log.warning("htable", f"cannot remove by {operator!r} {text!r}")
            return -1
        found.remove(_wanted(match, by_value))
        return 1

    def _match(self, table: bytes, operator: bytes, text: bytes, by_value: bool) -> int:
        match = matching.compare(operator, text)
        found = self.table(table)
        if found is None or match is None:
            self.services.log.warning("htable", f"cannot match by {operator!r} {text!r}")
            return -1
        return 1 if found.has(_wanted(match, by_value)) else -1


def _wanted(match: Match, by_value: bool) -> Wanted:
    return matching.of_value(match) if by_value else matching.of_name(match)
