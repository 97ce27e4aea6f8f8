"""Dialogs in a database: db_mode, the load at the start, and the functions that load on demand.

Owns when what is read and written in which process; the rows are dialog_rows.py's.
"""

from __future__ import annotations

from asyncio import Task
from collections.abc import Sequence

from kamailiod.modules.dialog_tracking.dialog_rows import DialogRows, Statement
from kamailiod.modules.dialog_tracking.endings import Endings
from kamailiod.modules.dialog_tracking.params import DialogParams
from kamailiod.modules.dialog_tracking.restoring import Restoring
from kamailiod.modules.dialog_tracking.saving import DELAYED, REALTIME, SHUTDOWN, DialogSaving
from kamailiod.modules.dialog_tracking.tracker import Tracker
from kamailiod.net.ownership import owner_rank
from kamailiod.script.context import Context
from kamailiod.script.database import Database, Row
from kamailiod.script.module import Module, kemi
from kamailiod.script.write_queue import WriteQueue
from lua import Wait
from shm import Dialog, DialogStore

_WAITING_ROWS = 100_000
_LAST_SECONDS = 1.0
_LOSSES_A_LINE = 1000


class DialogPersistence(Module):
    """The database of dialogs; the attributes are the module's."""

    params: DialogParams
    store: DialogStore
    tracker: Tracker
    endings: Endings
    _database: Database | None = None
    _saving: DialogSaving | None = None
    _rows: DialogRows
    _restoring: Restoring
    _cleaning: Task[None]
    _losses: int = 0
    first_id: int

    def restore(self) -> None:
        """Open the database and bring its dialogs back, in the supervisor."""
        params, services = self.params, self.services
        self.services.on_worker("dialog.adopt", self._adopt)
        if params.db_mode not in (REALTIME, DELAYED, SHUTDOWN):
            if params.db_mode:
                services.log.error("dialog", f"unsupported db_mode {params.db_mode}: not used")
            return
        self._database = services.databases.database(params.db_url)
        self._rows = DialogRows(params)
        self._restoring = Restoring(
            self._rows, self._database, self.store,
            lambda call_id: owner_rank(call_id, services.worker_count), services.log,
        )  # fmt: skip
        if not params.db_skip_load:
            count = self._restoring.load(max(params.db_fetch_rows, 1))
            if count is None:
                return
            services.log.info("dialog", f"{count} dialogs are back from the database")
            if params.db_mode == SHUTDOWN:
                self._restoring.empty()

    def start_saving(self) -> None:
        """Begin to write this worker's dialogs."""
        mode = self.params.db_mode
        if self._database is None or mode == SHUTDOWN:
            return
        queue = WriteQueue(self._database, _WAITING_ROWS, self._lost)
        queue.start(self.services.loop)
        self._saving = self.tracker.records.saving = DialogSaving(self._rows, queue, mode)
        self.endings.on_adopted = self._saving.adopted
        if not self.params.db_skip_load:
            self._cleaning = self.services.loop.create_task(self._clean())
        if mode == DELAYED:
            period = float(max(self.params.db_update_period, 1))
            self.services.timers.every(period, self._saving.flush)

    def finish_saving(self, rank: int) -> None:
        """Write what a process has left to write: the supervisor all, a worker its queue."""
        if rank == 0 and self._database is not None and self.params.db_mode != REALTIME:
            self._restoring.dump()
        if self._saving is not None:
            self._saving.queue.drain_blocking(_LAST_SECONDS)

    async def _clean(self) -> None:
        # A worker that died may have left rows of dialogs that had ended: a restart of the server
        # must not bring those back. Rows with numbers that are not ours are another server's.
        assert self._database is not None
        assert self._saving is not None
        params, services = self.params, self.services
        step = max(params.h_id_step, 1)
        for row in await self._database.fetch(*self._rows.numbers()) or ():
            entry, identity, call_id = int(str(row[0])), int(str(row[1])), str(row[2]).encode()
            ours = owner_rank(call_id, services.worker_count) == services.rank
            if ours and (identity - self.first_id) % step == 0:
                self._saving.forget_unless_stored(entry, identity, self.store)

    def _lost(self) -> None:
        if self._losses % _LOSSES_A_LINE == 0:
            self.services.log.error("dialog", "rows of dialogs could not be written")
        self._losses += 1

    def _adopt(self, h_entry: int, h_id: int) -> None:
        self.endings.adopt_one(h_entry, h_id)

    @kemi("dialog.dlg_db_load_callid", waits=True)
    def dlg_db_load_callid(self, context: Context, callid: bytes) -> int | Wait:
        """Bring the dialogs of a Call-ID back from the database that are not here."""
        if self._database is None:
            return -1
        return self._load(self._rows.of_call(callid))

    @kemi("dialog.dlg_db_load_extra", waits=True)
    def dlg_db_load_extra(self, context: Context) -> int | Wait:
        """Bring all dialogs back from the database that are not here."""
        if self._database is None:
            return -1
        return self._load(self._rows.all())

    def _load(self, statement: Statement) -> int | Wait:
        return Wait(lambda: self._fetch_and_restore(statement))

    async def _fetch_and_restore(self, statement: Statement) -> int:
        assert self._database is not None, "checked by the functions"
        rows = await self._database.fetch(*statement)
        if rows is None:
            return -1
        for row in rows:
            dialog = self._rows.read(row)
            found = await self._database.fetch(*self._rows.variables_of(dialog))
            dialog.variables = _variables(found or ())
            self._take(dialog)
        return 1

    def _take(self, dialog: Dialog) -> None:
        if self._restoring.restore(dialog):
            self.services.tell_worker(dialog.owner, "dialog.adopt", dialog.h_entry, dialog.h_id)


def _variables(rows: Sequence[Row]) -> dict[bytes, bytes]:
    return {str(row[3]).encode(): str(row[4]).encode() for row in rows}
