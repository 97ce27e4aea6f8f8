"""The databases of one process: one object a URL, connected when first used.

Owns the choice of the kind by the URL; it knows no statements.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable
from dataclasses import replace

from kamailiod.script.database import (
    Database,
    DatabaseOptions,
    DatabaseUrl,
    Health,
    parse_url,
)
from kamailiod.script.log import Log
from kamailiod.script.server_database import ServerDatabase
from kamailiod.script.sqlite_database import SqliteDatabase

SERVERS_CONNECTIONS = 80
"""How many connections of one database the workers have together: PostgreSQL allows 100."""

_MOST, _FEWEST = 32, 4


class Databases:
    """The databases of one process; `loop` gives its event loop, None before the fork.

    `workers` gives how many processes share what a server allows.
    """

    def __init__(
        self,
        loop: Callable[[], AbstractEventLoop | None],
        log: Log,
        workers: Callable[[], int] = lambda: 1,
    ) -> None:
        self._loop = loop
        self._log = log
        self._workers = workers
        self._open: dict[str, Database] = {}
        self._options: dict[str, DatabaseOptions] = {}

    def configure(self, schemes: tuple[str, ...], options: DatabaseOptions) -> None:
        """Use these options for the databases of some schemes; before the first connection."""
        self._options.update(dict.fromkeys(schemes, options))

    def database(self, url: str) -> Database:
        """Return the database of a URL; nothing is connected yet. Raises DatabaseError."""
        found = self._open.get(url)
        if found is None:
            found = self._open[url] = self._make(parse_url(url))
        return found

    def _make(self, url: DatabaseUrl) -> Database:
        health = Health(self._log, str(url))
        if url.scheme == "sqlite":
            return SqliteDatabase(url.name, health)
        return ServerDatabase(url, health, self._loop, lambda: self._options_of(url.scheme))

    def _options_of(self, scheme: str) -> DatabaseOptions:
        options = self._options.get(scheme) or DatabaseOptions()
        if options.connections > 0:
            return options
        share = SERVERS_CONNECTIONS // max(1, self._workers())
        return replace(options, connections=max(_FEWEST, min(_MOST, share)))
