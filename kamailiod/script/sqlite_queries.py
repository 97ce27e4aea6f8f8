"""Any statement on a SQLite file, in a thread and with an end: scripts' own, which may be slow.

Owns the connections that such statements run on; look-ups by an index need none of it
(sqlite_database.py).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from kamailiod.script.database import QueryResult
from kamailiod.script.placeholders import fitting, for_sqlite

_INSTRUCTIONS = 2000
_KEPT = 8


class SqliteQueries:
    """Runs statements on one file, each for `seconds` at most; called in threads."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = (0, 0)
        self._idle: deque[sqlite3.Connection] = deque(maxlen=_KEPT)

    def run(
        self, statement: str, values: Sequence[object] | None, seconds: float
    ) -> QueryResult:
        """Run and commit a statement; raises sqlite3.Error, OSError, ValueError."""
        given = () if values is None else fitting(values, for_sqlite(statement)[1])
        connection = self._connection(seconds)
        deadline = time.monotonic() + seconds
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _INSTRUCTIONS)
        try:
            result = _run(connection, statement, given)
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return result

    def _connection(self, seconds: float) -> sqlite3.Connection:
        status = os.stat(self._path)
        file = (status.st_dev, status.st_ino)
        if file != self._file:
            self._file = file
            self._idle.clear()
        try:
            return self._idle.pop()
        except IndexError:
            uri = Path(self._path).absolute().as_uri() + "?mode=rw"
            made = sqlite3.connect(
                uri, uri=True, timeout=seconds, isolation_level=None, check_same_thread=False
            )
            # Texts need not be UTF-8: scripts have bytes.
            made.text_factory = bytes
            return made

    def _keep(self, connection: sqlite3.Connection) -> None:
        # A transaction does not outlive its statement: the connection is everybody's.
        if connection.in_transaction:
            connection.rollback()
        self._idle.append(connection)


def _run(
    connection: sqlite3.Connection, statement: str, values: Sequence[object]
) -> QueryResult:
    cursor = connection.execute(statement, values)
    try:
        columns = tuple(column[0] for column in cursor.description or ())
        return QueryResult(columns, cursor.fetchall(), max(cursor.rowcount, 0))
    finally:
        cursor.close()
