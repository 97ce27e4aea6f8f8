"""The databases of one process: one object a URL, connected when first used.

Owns the choice of the kind by the URL; it knows no statements.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable

from kamailiod.script.database import Database, DatabaseUrl, Health, parse_url
from kamailiod.script.log import Log
from kamailiod.script.server_database import ServerDatabase
from kamailiod.script.sqlite_database import SqliteDatabase


class Databases:
    """The databases of one process; `loop` gives its event loop, after the fork."""

    def __init__(self, loop: Callable[[], AbstractEventLoop], log: Log) -> None:
        self._loop = loop
        self._log = log
        self._open: dict[str, Database] = {}

    def database(self, url: str) -> Database:
        """Return the database of a URL; nothing is connected yet. Raises DatabaseError."""
        found = self._open.get(url)
        if found is None:
            found = self._open[url] = self._make(parse_url(url))
        return found

    def _make(self, url: DatabaseUrl) -> Database:
        health = Health(self._log, str(url))
        if url.scheme == "sqlite":
            return SqliteDatabase(url.name, self._loop, health)
        return ServerDatabase(url, health)
