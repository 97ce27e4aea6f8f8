"""Module sqlops: SQL statements of scripts, while which the worker goes on with other requests.

Owns the script functions, variables and modparams; connections and results are in sql_operations/.
A statement stands alone: a transaction does not outlive it, as connections are everybody's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

from kamailiod.modules.sql_operations.connection import Connection, connections
from kamailiod.modules.sql_operations.results import NONE, Results, asked, cell, value_of
from kamailiod.script.context import Context, Value
from kamailiod.script.database import QueryResult
from kamailiod.script.module import Module, Params, Variable, kemi, pseudo_variable
from kamailiod.script.services import Services
from kamailiod.script.variables.accessor import Accessor
from kamailiod.script.variables.records import push_record
from kamailiod.script.variables.specification import parse
from lua import Wait

OK, ERROR, NO_ROWS, NO_RESULT = 1, -1, 2, 3
_AFFECTED = "sqlops_affected"
_LAST_SECONDS = 1.0

Taken = Callable[[QueryResult], int]


@dataclass(frozen=True, slots=True)
class SqlopsParams(Params):
    """Kamailio's modparams: a connection is "name=>url", a result of `sqlres` its name."""

    sqlcon: list[str] = field(default_factory=list)
    sqlres: list[str] = field(default_factory=list)
    tr_buf_size: int = 2048
    log_buf_size: int = 128
    connect_mode: int = 0
    results_maxsize: int = 32


class Sqlops(Module):
    """Runs statements and keeps their results for the request."""

    name: ClassVar[str] = "sqlops"
    Params: ClassVar[type[SqlopsParams]] = SqlopsParams
    params: SqlopsParams
    # A server that is away is no reason not to start, whatever connect_mode says.
    without_effect: ClassVar[tuple[str, ...]] = ("tr_buf_size", "log_buf_size", "connect_mode")

    def __init__(self, params: SqlopsParams, services: Services) -> None:
        super().__init__(params, services)
        self._connections = connections(params.sqlcon, services.databases.database)
        if len(params.sqlres) > params.results_maxsize:
            raise ValueError("sqlops: more results by sqlres than results_maxsize")
        self._results = Results(max(1, params.results_maxsize))
        self._targets = lru_cache(maxsize=1024)(self._compiled)

    def child_init(self, rank: int) -> None:
        """Let queries run in the background of each process that has a loop."""
        if rank == 0:
            return
        for connection in self._connections.values():
            connection.queue.start(self.services.loop)

    def child_exit(self, rank: int) -> None:
        """Run the queries that are left, for a second at most."""
        for connection in self._connections.values():
            lost = connection.queue.finish(_LAST_SECONDS)
            if lost:
                self._error(f"{lost} queries in the background of [{connection.name}] are lost")

    @kemi("sqlops.sql_query", native=(), waits=True)
    def sql_query(
        self, context: Context, connection: bytes, query: bytes, result: bytes
    ) -> int | Wait:
        """Run a query, its result readable as $dbr(result=>...): 0, or -1 when it failed.

        $avp(result) becomes the first value of the first row, nothing when there is none.
        """
        taken = self._keeper(context, result, 0, 0)
        return self._run(context, connection, query, taken, result)

    @kemi(native="sql_query", waits=True)
    def native_sql_query(
        self, context: Context, connection: bytes, query: bytes, result: bytes = b""
    ) -> int | Wait:
        """Run a query: 1 there are rows, 2 there are none, 3 no result was asked for, -1 failed."""
        if not result:
            return self._run(context, connection, query, lambda found: NO_RESULT)
        taken = self._keeper(context, result, OK, NO_ROWS)
        return self._run(context, connection, query, taken, result)

    @kemi("sqlops.sql_query_bind", native=(), waits=True)
    def sql_query_bind(
        self, context: Context, connection: bytes, query: bytes, result: bytes,
        value1: object = None, value2: object = None, value3: object = None,
        value4: object = None, value5: object = None, value6: object = None,
        value7: object = None, value8: object = None,
    ) -> int | Wait:  # fmt: skip
        """Run a query with values for its `?`, which cannot become SQL: 0, or -1 when it failed.

        `sql_query_bind("db", "SELECT credit FROM accounts WHERE username = ?", "ra", user)`: texts,
        numbers, or nil for NULL, one for each question mark outside of quotes; what is missing is
        NULL.  The result is kept as sql_query keeps it.
        """
        given = (value1, value2, value3, value4, value5, value6, value7, value8)
        taken = self._keeper(context, result, 0, 0)
        return self._run(context, connection, query, taken, result, list(map(_bound, given)))

    @kemi(native="sql_query_bind", waits=True)
    def native_sql_query_bind(
        self, context: Context, connection: bytes, query: bytes, result: bytes,
        value1: object = None, value2: object = None, value3: object = None,
        value4: object = None, value5: object = None, value6: object = None,
        value7: object = None, value8: object = None,
    ) -> int | Wait:  # fmt: skip
        """Do as KSR.sqlops.sql_query_bind: 1 there are rows, 2 there are none, -1 it failed."""
        given = (value1, value2, value3, value4, value5, value6, value7, value8)
        taken = self._keeper(context, result, OK, NO_ROWS)
        return self._run(context, connection, query, taken, result, list(map(_bound, given)))

    @kemi("sqlops.sql_xquery", native=(), waits=True)
    def sql_xquery(
        self, context: Context, connection: bytes, query: bytes, xavp: bytes
    ) -> int | Wait:
        """Run a query, each row a $xavp(xavp[row]=>column): 1, or -1 when it failed."""
        return self._run(context, connection, query, self._pusher(context, xavp, OK))

    @kemi(native="sql_xquery", waits=True)
    def native_sql_xquery(
        self, context: Context, connection: bytes, query: bytes, xavp: bytes
    ) -> int | Wait:
        """Run a query, each row a $xavp(xavp[row]=>column): 1, 2 there are no rows, -1 failed."""
        return self._run(context, connection, query, self._pusher(context, xavp, NO_ROWS))

    @kemi("sqlops.sql_pvquery", waits=True)
    def sql_pvquery(
        self, context: Context, connection: bytes, query: bytes, variables: Variable
    ) -> int | Wait:
        """Run a query, its columns put into variables: 1, 2 there are no rows, -1 it failed.

        `variables` are separated by commas; a NULL leaves its variable as it is.  Of several rows
        the first is put last, on top of the others where the variable keeps them.
        """
        accessors = self._targets(variables)
        if not accessors:
            self._error("sql_pvquery: not a list of variables")
            return ERROR
        return self._run(
            context, connection, query, lambda found: self._assign(context, accessors, found)
        )

    @kemi("sqlops.sql_query_async", waits=True)
    def sql_query_async(self, context: Context, connection: bytes, query: bytes) -> int | Wait:
        """Run a query in the background, after those before it: 1, -1 when too many wait."""
        found = self._connection(connection, query)
        if found is None:
            return ERROR
        if not found.queue.started:
            return self._run(context, connection, query, lambda result: OK)
        if found.queue.put(query):
            return OK
        self._error(f"too many queries wait for connection [{found.name}]")
        return ERROR

    @kemi("sqlops.sql_result_free")
    def sql_result_free(self, context: Context, result: bytes) -> int:
        """Forget a result, also one that is not there: 1."""
        self._results.free(context, result)
        return OK

    @kemi("sqlops.sql_result_get", native=())
    def sql_result_get(self, context: Context, result: bytes, row: int, column: int) -> Value:
        """Return a value of a result; nil for NULL and for what is not there."""
        return cell(self._results.find(context, result), row, column)

    @kemi("sqlops.sql_result_gete", native=())
    def sql_result_gete(self, context: Context, result: bytes, row: int, column: int) -> Value:
        """Return a value of a result; an empty string for NULL and for what is not there."""
        value = self.sql_result_get(context, result, row, column)
        return b"" if value is None else value

    @kemi("sqlops.sql_result_getz", native=())
    def sql_result_getz(self, context: Context, result: bytes, row: int, column: int) -> Value:
        """Return a value of a result; 0 for NULL and for what is not there."""
        value = self.sql_result_get(context, result, row, column)
        return 0 if value is None else value

    @kemi("sqlops.sql_num_rows", native=())
    def sql_num_rows(self, context: Context, result: bytes) -> int:
        """Return how many rows a result has; 0 when there is none."""
        return len(self._results.find(context, result).rows)

    @kemi("sqlops.sql_num_columns", native=())
    def sql_num_columns(self, context: Context, result: bytes) -> int:
        """Return how many columns a result has; 0 when there is none or it has no rows."""
        found = self._results.find(context, result)
        return len(found.columns) if found.rows else 0

    @kemi("sqlops.sql_is_null", native=())
    def sql_is_null(self, context: Context, result: bytes, row: int, column: int) -> int:
        """Whether a value of a result is NULL: 1 or 0; -1 for what is not there."""
        found = self._results.find(context, result)
        if not 0 <= row < len(found.rows):
            self._error(f"row index out of bounds [{row}/{len(found.rows)}]")
            return ERROR
        if not 0 <= column < len(found.columns):
            self._error(f"column index out of bounds [{column}/{len(found.columns)}]")
            return ERROR
        return int(cell(found, row, column) is None)

    @pseudo_variable("$dbr")
    def dbr(self, context: Context, inner: bytes, index: object) -> Value:
        """$dbr(result=>[row,column]), =>rows, =>cols, =>colname[column]: of a query's result."""
        return asked(self._results, context, inner)

    @pseudo_variable("$sqlrows")
    def sqlrows(self, context: Context, inner: bytes, index: object) -> Value:
        """$sqlrows(connection): how many rows the request's last query changed there."""
        counts = context.shared.notes.get(_AFFECTED)
        return counts.get(inner.strip()) if isinstance(counts, dict) else None

    def _run(
        self,
        context: Context,
        name: bytes,
        query: bytes,
        taken: Taken,
        result: bytes = b"",
        values: Sequence[object] | None = None,
    ) -> int | Wait:
        connection = self._connection(name, query)
        if result:
            self._results.free(context, result)
            context.shared.avps.pop(result, None)
        if connection is None:
            return ERROR
        if result and not self._results.has_room(context, result):
            self._error(f"more than {self.params.results_maxsize} results")
            return ERROR

        async def work() -> int:
            found = await connection.query(query, values)
            if found is None:
                self._error(f"cannot do the query on connection [{connection.name}]")
                return ERROR
            counts = context.shared.notes.setdefault(_AFFECTED, {})
            assert isinstance(counts, dict)
            counts[name] = found.affected
            return taken(found)

        return Wait(work)

    def _connection(self, name: bytes, query: bytes) -> Connection | None:
        connection = self._connections.get(name)
        if connection is None:
            self._error(f"invalid connection [{name[:64].decode('ascii', 'replace')}]")
        elif not query.strip() or b"\0" in query:
            self._error(f"not a query, on connection [{connection.name}]")
        else:
            return connection
        return None

    def _keeper(self, context: Context, name: bytes, rows: int, no_rows: int) -> Taken:
        def keep(found: QueryResult) -> int:
            if not name:
                return rows
            self._results.keep(context, name, found if found.rows else NONE)
            first = cell(found, 0, 0)
            if first is not None:
                context.shared.avps[name] = [first]
            return rows if found.rows else no_rows

        return keep

    def _pusher(self, context: Context, name: bytes, no_rows: int) -> Taken:
        def push(found: QueryResult) -> int:
            columns = [column.encode() for column in found.columns]
            for row in reversed(found.rows):
                fields = zip(columns, map(value_of, row), strict=True)
                push_record(context.shared.xavps, name, fields)
            return OK if found.rows else no_rows

        return push

    def _assign(
        self, context: Context, accessors: Sequence[Accessor], found: QueryResult
    ) -> int:
        for row in reversed(found.rows):
            for accessor, value in zip(accessors, map(value_of, row), strict=False):
                if value is not None:
                    accessor.set(context, value)
        if found.rows and len(found.columns) > len(accessors):
            self._error(f"sql_pvquery: no variable for column {len(accessors) + 1}")
            return ERROR
        return OK if found.rows else NO_ROWS

    def _compiled(self, variables: bytes) -> tuple[Accessor, ...]:
        found = [self.services.variables.compile(spec) for spec in _specifications(variables)]
        return tuple(accessor for accessor in found if accessor) if all(found) else ()

    def _error(self, text: str) -> None:
        self.services.log.error("sqlops", text)


def _specifications(text: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(text):
        start = position + len(text[position:]) - len(text[position:].lstrip(b" \t,"))
        parsed = parse(text, start)
        if parsed is None:
            # What is none, so that the whole list is none.
            yield text[start:]
            return
        yield text[start : parsed.end]
        position = parsed.end


def _bound(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float):
        return int(value) if value.is_integer() else str(value)
    return value if value is None else int(value) if isinstance(value, int) else str(value)
