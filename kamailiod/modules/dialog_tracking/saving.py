"""Keeping the database's rows of dialogs as this process changes them (db_mode 1 and 2).

Owns when a row is written; a queue writes them in their order. Early dialogs have no row, as in
Kamailio: a restart ends their transactions.
"""

from __future__ import annotations

from kamailiod.modules.dialog_tracking.dialog_rows import DialogRows, Statement
from kamailiod.script.write_queue import WriteQueue
from kamailiod.sip.dialog import State
from shm import Dialog, DialogStore

REALTIME, DELAYED, SHUTDOWN = 1, 2, 3
"""db_mode: at each change, every db_update_period seconds, or when the server ends."""

_Numbers = tuple[int, int]


class DialogSaving:
    """Hears of written and removed dialogs of one process (Records.saving)."""

    def __init__(self, rows: DialogRows, queue: WriteQueue, mode: int) -> None:
        self.queue = queue
        self._rows = rows
        self._mode = mode
        self._changed: dict[_Numbers, Dialog] = {}
        self._in_table: dict[_Numbers, dict[bytes, bytes]] = {}
        self._uncertain: set[_Numbers] = set()

    def adopted(self, dialog: Dialog) -> None:
        """Take note of a dialog that may have a row, as another process has had it."""
        self._uncertain.add((dialog.h_entry, dialog.h_id))
        self.written(dialog)

    def written(self, dialog: Dialog) -> None:
        """Write the row of a dialog, now or with the next flush."""
        if dialog.state < State.UNACKNOWLEDGED:
            return
        if self._mode == REALTIME:
            self._write(dialog)
        else:
            self._changed[dialog.h_entry, dialog.h_id] = dialog

    def removed(self, dialog: Dialog) -> None:
        """Delete the row of a dialog that has one."""
        numbers = (dialog.h_entry, dialog.h_id)
        self._changed.pop(numbers, None)
        variables = self._in_table.pop(numbers, None)
        if variables is not None or numbers in self._uncertain:
            self._uncertain.discard(numbers)
            self._put(self._rows.delete((numbers,)))
            if variables or variables is None:
                self._put(self._rows.delete_variables((numbers,)))

    def forget_unless_stored(self, h_entry: int, h_id: int, store: DialogStore) -> None:
        """Delete a row whose dialog is no more."""
        if store.get(h_entry, h_id) is None:
            self._put(self._rows.delete(((h_entry, h_id),)))
            self._put(self._rows.delete_variables(((h_entry, h_id),)))

    def flush(self) -> None:
        """Write the rows of dialogs that changed since the last time."""
        changed, self._changed = self._changed, {}
        for dialog in changed.values():
            if dialog.state != State.DELETED:
                self._write(dialog)

    def _write(self, dialog: Dialog) -> None:
        numbers = (dialog.h_entry, dialog.h_id)
        before = self._in_table.get(numbers)
        if numbers in self._uncertain:
            self._uncertain.discard(numbers)
            self._put(self._rows.delete((numbers,)))
            self._put(self._rows.delete_variables((numbers,)))
        self._put(self._rows.insert((dialog,)) if before is None else self._rows.update(dialog))
        if dialog.variables != (before or {}):
            if before:
                self._put(self._rows.delete_variables((numbers,)))
            self._put(self._rows.insert_variables((dialog,)))
        self._in_table[numbers] = dict(dialog.variables)

    def _put(self, statement: Statement | None) -> None:
        if statement is not None:
            self.queue.put(*statement)
