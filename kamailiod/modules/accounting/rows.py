"""Accounting records as rows of a database.

Owns columns and how a value is stored; the queue sees to it that a row arrives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kamailiod.modules.accounting.entry import Entry, TimeAttributes
from kamailiod.modules.accounting.extra import ExtraAttributes, LegAttributes
from kamailiod.modules.accounting.insert import Insert
from kamailiod.script.context import Context, Value
from kamailiod.script.database import parse_url
from kamailiod.script.kamailio_tables import TABLES

if TYPE_CHECKING:
    from kamailiod.modules.accounting.params import AccParams
    from kamailiod.script.pseudovariables import PseudoVariables
    from kamailiod.script.write_queue import WriteQueue

_DAY = 86400
_JULIAN_UNIX = 2440587.5
_SIZES = {column.name: column.size for t in TABLES if t.name == "acc" for column in t.columns}


class Rows:
    """Queues rows of transactions and of calls.

    Each has a queue of its own: rows of one table one after the other are written together.
    """

    def __init__(
        self, params: AccParams, variables: PseudoVariables, queue: Callable[[], WriteQueue],
        call_queue: Callable[[], WriteQueue],
    ) -> None:  # fmt: skip
        self._queue = queue
        self._call_queue = call_queue
        self._scheme = parse_url(params.db_url).scheme
        self._column_time = column_time(self._scheme)
        self._times = TimeAttributes(params)
        self._extra = ExtraAttributes(params.db_extra, variables)
        self._legs = LegAttributes(params.multi_leg_info, variables)
        self._cdr_extra = ExtraAttributes(params.cdr_extra, variables)
        self._null = None if params.acc_extra_nullable else ""
        self._cdr_null = None if params.cdr_extra_nullable else ""
        self._columns = (
            params.acc_method_column, params.acc_from_tag_column, params.acc_to_tag_column,
            params.acc_callid_column, params.acc_sip_code_column, params.acc_sip_reason_column,
            params.acc_time_column, *self._times.names, *self._extra.names, *self._legs.names,
        )  # fmt: skip
        self._inexact = self._times.names if params.time_mode == 2 else ()
        self._inserts: dict[str, Insert] = {}
        self.insert(params.db_table_acc)
        self.insert(params.db_table_missed_calls)
        cdr_times = (params.cdr_start_id, params.cdr_end_id, params.cdr_duration_id)
        self._cdr_insert = (
            Insert(
                self._scheme, params.cdrs_table, (*cdr_times, *self._cdr_extra.names),
                (params.cdr_duration_id,),
            )
            if params.cdrs_table
            else None
        )

    def insert(self, table: str) -> Insert:
        """Return the statement for a table of transactions; raises DatabaseError for a bad name."""
        found = self._inserts.get(table)
        if found is None:
            found = Insert(self._scheme, table, self._columns, self._inexact)
            self._inserts[table] = found
        return found

    def write(self, entry: Entry, table: str) -> bool:
        """Queue the row of a transaction, one for each leg; False when one was lost."""
        insert = self.insert(table)
        start: list[object] = [
            _text(entry.method)[: _SIZES["method"]], _text(entry.from_tag), _text(entry.to_tag),
            _text(entry.call_id), _text(entry.code), _text(entry.reason)[: _SIZES["sip_reason"]],
            self._column_time(entry.time),
        ]  # fmt: skip
        if self._times.names:
            start += self._times.values(entry.time)
        start += [_stored(value, self._null) for value in self._extra.values(entry.context)]
        queue = self._queue()
        kept = True
        for leg in self._legs.legs(entry.context) or ((),):
            row = start + [_stored(value, "") for value in leg]
            kept = _put(queue, insert, row) and kept
        return kept

    def write_call(self, context: Context, start: float, end: float, duration: float) -> None:
        """Queue the row of a whole call, when there is a table for them."""
        insert = self._cdr_insert
        if insert is None:
            return
        row: list[object] = [self._column_time(start), self._column_time(end), round(duration, 3)]
        row += [_stored(value, self._cdr_null) for value in self._cdr_extra.values(context)]
        _put(self._call_queue(), insert, row)


def column_time(scheme: str) -> Callable[[float], object]:
    """Return what makes the value of a time column of a unix time, by whole seconds.

    Kamailio keeps a Julian day in SQLite and local time in the others.
    """
    if scheme == "sqlite":
        return lambda moment: int(moment) / _DAY + _JULIAN_UNIX
    return lambda moment: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def _put(queue: WriteQueue, insert: Insert, row: Sequence[object]) -> bool:
    return queue.put(insert.statement, insert.parameters(row), insert.in_doubt)


def _text(value: bytes) -> str:
    # PostgreSQL takes no zero octet in a text.
    return value.decode("utf-8", "backslashreplace").replace("\0", "")


def _stored(value: Value, null: str | None) -> str | None:
    if value is None:
        return null
    return _text(value) if isinstance(value, bytes) else str(value)
