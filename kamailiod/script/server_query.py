"""Any statement on a connection to a database server, as it is or with values for its `?`.

Owns how PostgreSQL's and MySQL's drivers are given one; pools, time-outs and errors are
server_database.py's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kamailiod.script.database import QueryResult
from kamailiod.script.placeholders import fitting, for_mysql, for_postgres

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_COUNT = re.compile(r" (\d+)\Z")


async def run_on_postgres(
    connection: AsyncConnection, statement: str, values: Sequence[object] | None
) -> QueryResult:
    """Run a statement by asyncpg; a value becomes what the server wants in its place."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    count = 0
    if values is not None:
        statement, count = for_postgres(statement)
    try:
        prepared = await driver.prepare(statement)
        wanted = prepared.get_parameters()
        if len(wanted) != count:
            raise ValueError(f"{count} values for {len(wanted)} places")
        given = fitting(values or (), count)
        rows = await prepared.fetch(*map(_postgres_value, given, (type.name for type in wanted)))
        columns = tuple(attribute.name for attribute in prepared.get_attributes())
        changed = _COUNT.search(prepared.get_statusmsg() or "")
    finally:
        # A transaction does not outlive its statement: the connection is everybody's.
        if not driver.is_closed() and driver.is_in_transaction():
            await driver.execute("ROLLBACK")
    return QueryResult(columns, list(map(tuple, rows)), int(changed[1]) if changed else 0)


async def run_on_mysql(
    connection: AsyncConnection, statement: str, values: Sequence[object] | None
) -> QueryResult:
    """Run a statement by aiomysql, which writes the values into it, escaped."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    if values is not None:
        statement, count = for_mysql(statement)
        values = fitting(values, count)
    try:
        async with driver.cursor() as cursor:
            await cursor.execute(statement, tuple(values) if values is not None else None)
            described = cursor.description or ()
            rows = await cursor.fetchall() if described else ()
            return QueryResult(
                tuple(column[0] for column in described), list(map(tuple, rows)), cursor.rowcount
            )
    finally:
        if not driver.closed and driver.get_transaction_status():
            await driver.rollback()


def _postgres_value(value: object, kind: str) -> object:
    convert = _CONVERSIONS.get(kind)
    if value is None or convert is None:
        return value
    try:
        return convert(value)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ValueError(f"no {kind}") from error


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def _boolean(value: object) -> bool:
    return _text(value).lower() in ("1", "t", "true", "y", "yes", "on")


_CONVERSIONS: dict[str, Callable[[Any], object]] = {
    "int2": int, "int4": int, "int8": int, "oid": int, "float4": float, "float8": float,
    "numeric": lambda value: Decimal(_text(value)), "bool": _boolean,
    "text": _text, "varchar": _text, "bpchar": _text, "name": _text, "char": _text,
    "json": _text, "jsonb": _text, "xml": _text, "uuid": _text, "inet": _text, "cidr": _text,
    "bytea": lambda value: _text(value).encode(),
    "timestamp": lambda value: datetime.fromisoformat(_text(value)),
    "timestamptz": lambda value: datetime.fromisoformat(_text(value)),
    "date": lambda value: date.fromisoformat(_text(value)),
    "time": lambda value: time.fromisoformat(_text(value)),
}  # fmt: skip
"""What asyncpg takes for PostgreSQL's types; a script has texts and whole numbers only."""
