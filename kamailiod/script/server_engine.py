"""SQLAlchemy's engine for one database of a server, with a pool that grows when it is needed.

Owns how connections are made and how many; it must not know statements.
"""

from __future__ import annotations

import contextlib
import importlib
import warnings
from typing import TYPE_CHECKING, Any

from kamailiod.script.database import DatabaseOptions, DatabaseUrl

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_DRIVERS = {
    "mysql": "mysql+aiomysql",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}
_RECYCLE_SECONDS = 1800
_CONNECTIONS = 4


def load_drivers(scheme: str) -> None:
    """Import what an engine needs; takes a good half second: to be run in a thread."""
    import sqlalchemy.ext.asyncio  # noqa: F401  # what is loaded is what the engine will need

    with contextlib.suppress(ImportError):
        if scheme != "mysql":
            importlib.import_module("asyncpg")
            return
        driver = importlib.import_module("aiomysql")
        # The server's warnings quote values; Python would print them.
        warnings.simplefilter("ignore", driver.Warning)


def make_engine(url: DatabaseUrl, options: DatabaseOptions, seconds: float) -> AsyncEngine:
    """Return the engine of a database; nothing is connected yet."""
    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import create_async_engine

    parts = (url.user or None, url.password or None, url.host or None, url.port, url.name)
    arguments: dict[str, Any] = {"connect_args": dict(options.connect)}
    if url.scheme == "mysql":
        arguments = {"async_creator": lambda: _mysql_connection(url, options)}
    elif options.connect_timeout:
        arguments["connect_args"].setdefault("timeout", options.connect_timeout)
    return create_async_engine(
        URL.create(_DRIVERS[url.scheme], *parts),
        # Connections are opened when all others are busy; the last one used is used first.
        pool_size=options.connections or _CONNECTIONS,
        max_overflow=0,
        pool_use_lifo=True,
        pool_timeout=seconds,
        pool_recycle=_RECYCLE_SECONDS,
        pool_pre_ping=True,
        # Each statement is a transaction: two messages less than BEGIN and COMMIT take.
        isolation_level="AUTOCOMMIT",
        **arguments,
    )


async def _mysql_connection(url: DatabaseUrl, options: DatabaseOptions) -> Any:
    import aiomysql  # type: ignore[import-untyped]  # it has no types
    from pymysql.constants import CLIENT  # type: ignore[import-untyped]  # it has no types

    connection = aiomysql.Connection(
        host=url.host or "localhost", port=url.port or 3306, user=url.user or None,
        password=url.password, db=url.name, charset="utf8mb4",
        # How many rows a statement found, not how many of them it left as they were.
        client_flag=CLIENT.FOUND_ROWS, connect_timeout=options.connect_timeout or None,
        **options.connect,
    )  # fmt: skip
    # aiomysql asks for it always: what is put behind a `;` must not run.
    connection.client_flag &= ~CLIENT.MULTI_STATEMENTS
    await connection._connect()
    return connection
