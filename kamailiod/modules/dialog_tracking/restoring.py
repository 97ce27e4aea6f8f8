"""Dialogs of before a restart: read from the database at the start, written whole at the end.

Owns which rows become dialogs again and whose they are; what a row holds is dialog_rows.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from kamailiod.modules.dialog_tracking.dialog_rows import ROWS_AT_ONCE, DialogRows, Statement
from kamailiod.script.database import Database, Row
from kamailiod.script.log import Log
from kamailiod.sip.dialog import State
from shm import Dialog, DialogStore


class _Unreadable(Exception):
    """The database did not answer."""


class Restoring:
    """Moves dialogs between the store and the tables; `owner` gives the rank of a Call-ID."""

    def __init__(
        self, rows: DialogRows, database: Database, store: DialogStore,
        owner: Callable[[bytes], int], log: Log,
    ) -> None:  # fmt: skip
        self._rows = rows
        self._database = database
        self._store = store
        self._owner = owner
        self._log = log

    def load(self, page: int) -> int | None:
        """Restore all dialogs, `page` rows at a time; how many, None when it failed. Blocks."""
        try:
            variables = self._all_variables(page)
            restored = 0
            for row in self._pages(self._rows.page, page):
                dialog = self._rows.read(row)
                dialog.variables = variables.get((dialog.h_entry, dialog.h_id), {})
                restored += self.restore(dialog)
        except _Unreadable:
            self._log.error("dialog", "dialogs could not be read from the database")
            return None
        return restored

    def restore(self, dialog: Dialog) -> bool:
        """Store a dialog that was read; False when it is there, has ended, or finds no room."""
        if not State.UNCONFIRMED <= dialog.state < State.DELETED:
            return False
        dialog.owner = self._owner(dialog.call_id)
        # A deadline of 0 would be none at all.
        dialog.expires = max(dialog.expires, 1)
        return self._store.restore(dialog)

    def dump(self) -> None:
        """Write all answered dialogs, in place of the rows they have. Blocks.

        Other rows stay: they may be another server's, or not have been read at the start.
        """
        rows = self._rows
        answered = (held for held in self._store.items() if held.state >= State.UNACKNOWLEDGED)
        while chunk := list(islice(answered, ROWS_AT_ONCE)):
            numbers = [(dialog.h_entry, dialog.h_id) for dialog in chunk]
            variables = rows.insert_variables(chunk)
            statements = [rows.delete(numbers), rows.delete_variables(numbers), rows.insert(chunk)]
            statements += [] if variables is None else [variables]
            if not all(self._write(statement) for statement in statements):
                return  # the server must end in time

    def empty(self) -> None:
        """Delete all rows; they are in the store now. Blocks."""
        for statement in self._rows.delete_all():
            self._write(statement)

    def _write(self, statement: Statement) -> bool:
        if self._database.execute_blocking(*statement) is None:
            self._log.error("dialog", "dialogs could not be written to the database")
            return False
        return True

    def _all_variables(self, page: int) -> dict[tuple[int, int], dict[bytes, bytes]]:
        found: dict[tuple[int, int], dict[bytes, bytes]] = {}
        for _, entry, identity, key, value in self._pages(self._rows.variables_page, page):
            numbers = (int(str(entry)), int(str(identity)))
            found.setdefault(numbers, {})[str(key).encode()] = str(value).encode()
        return found

    def _pages(
        self, select: Callable[[int, int], Statement], count: int
    ) -> Iterator[Row]:
        last = 0
        while True:
            rows = self._database.fetch_blocking(*select(last, count))
            if rows is None:
                raise _Unreadable
            yield from rows
            if len(rows) < count:
                return
            last = int(str(rows[-1][0]))
