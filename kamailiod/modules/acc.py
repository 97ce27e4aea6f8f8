"""The acc module: records of answered, failed and missed transactions, and of whole calls.

Owns the script functions and what the parts are made of; transactions come from tm, calls from
dialog, and rows go to the database behind a queue.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from kamailiod.modules.accounting.calls import CallAccounting
from kamailiod.modules.accounting.log_lines import LogLines
from kamailiod.modules.accounting.params import WITHOUT_EFFECT, AccParams
from kamailiod.modules.accounting.rows import Rows
from kamailiod.modules.accounting.transactions import TransactionAccounting
from kamailiod.modules.dialog import Dialogs
from kamailiod.modules.rr import Rr
from kamailiod.modules.tm import Tm
from kamailiod.script.context import Context
from kamailiod.script.database import DatabaseError
from kamailiod.script.module import Module, kemi
from kamailiod.script.write_queue import WriteQueue
from shm import HashMap, Spool

if TYPE_CHECKING:
    from kamailiod.script.services import Services

_COMMENT = re.compile(rb"([1-6][0-9]{2})(?:\s+(.*))?\Z", re.DOTALL)
_ROWS = 10_000
"""How many rows of a process wait for a database that is away."""

_GATHER_SECONDS = 0.1
_LAST_SECONDS = 1.0


class Acc(Module):
    """Accounting to the log and to a database."""

    name: ClassVar[str] = "acc"
    Params: ClassVar[type[AccParams]] = AccParams
    without_effect: ClassVar[tuple[str, ...]] = WITHOUT_EFFECT
    statistics: ClassVar[tuple[str, ...]] = (
        "acc:transactions", "acc:missed", "acc:cdrs", "acc:db_lost",
    )  # fmt: skip

    params: AccParams

    def __init__(self, params: AccParams, services: Services) -> None:
        super().__init__(params, services)
        self.clock: Callable[[], float] = time.time
        self._rr = services.module(Rr) if params.detect_direction else None
        self._tm = services.module(Tm)
        self._dialogs = services.module(Dialogs) if params.cdr_enable else None
        self._queue: WriteQueue
        self._call_queue: WriteQueue
        self._spooled: HashMap | None = None
        self._transactions: TransactionAccounting
        self._calls: CallAccounting

    def mod_init(self) -> None:
        """Read the attributes' definitions and ask tm and dialog to call."""
        params, services = self.params, self.services
        lines = LogLines(params, services.variables, services.log)
        rows = None
        if params.db_url:
            rows = Rows(
                params, services.variables, lambda: self._queue, lambda: self._call_queue
            )
            self._spooled = services.hash_map("acc", 1024, 0.03)
            self._open_queues(0)
        self._transactions = TransactionAccounting(params, lines, rows, self._rr, self._now)
        self._calls = CallAccounting(params, lines, rows, self._now)
        if self._transactions.is_used:
            self._tm.on_transaction(self._transactions.on_transaction)
        if self._dialogs is not None:
            self._dialogs.on_change(self._calls.on_dialog)

    def child_init(self, rank: int) -> None:
        """Open the counters, and the queue with what a killed process of this rank left."""
        counter = self.services.statistics.counter
        self._transactions.count_transaction = counter("acc:transactions")
        self._transactions.count_missed = counter("acc:missed")
        self._calls.count = counter("acc:cdrs")
        if self._spooled is not None and rank != 0:
            self._open_queues(rank, counter("acc:db_lost"))
            self._queue.start(self.services.loop)
            self._call_queue.start(self.services.loop)

    def child_exit(self, rank: int) -> None:
        """Write what is not written yet."""
        if self._spooled is None:
            return
        queues = (self._queue, self._call_queue)
        drained = [queue.drain_blocking(_LAST_SECONDS / 2) for queue in queues]
        if not all(drained):
            self.services.log.error("acc", "rows are lost: the database is away at the end")

    @kemi("acc.setflag", native=())
    def setflag(self, context: Context, flag: int) -> bool:
        """Set a message flag; the same as KSR.setflag."""
        if not 0 <= flag < 32:
            return False
        context.shared.flags |= 1 << flag
        return True

    @kemi("acc.acc_log_request")
    def acc_log_request(self, context: Context, comment: bytes) -> int:
        """Account this request in the log now; a comment like "486 busy" gives code and reason."""
        return self._account(context, comment, True, b"")

    @kemi("acc.acc_db_request")
    def acc_db_request(self, context: Context, comment: bytes, table: bytes) -> int:
        """Account this request in a table now; -1 without a database, or with its queue full."""
        return self._account(context, comment, False, table) if table else -1

    @kemi("acc.acc_request")
    def acc_request(self, context: Context, comment: bytes, table: bytes) -> int:
        """Account this request in the log, and in a table when there is a database."""
        return self._account(context, comment, True, table if self.params.db_url else b"")

    def _account(self, context: Context, comment: bytes, in_log: bool, table: bytes) -> int:
        if not context.message.is_request:
            return -1
        match = _COMMENT.match(comment)
        code, reason = match.groups(b"") if match else (b"", comment)
        name = table.decode("latin-1")
        try:
            done = self._transactions.account_request(context, code, reason, in_log, name)
        except DatabaseError as error:
            self.services.log.error("acc", str(error))
            return -1
        return 1 if done else -1

    def _now(self) -> float:
        return self.clock()

    def _open_queues(self, rank: int, lost: Callable[[], object] = lambda: None) -> None:
        assert self._spooled is not None
        database = self.services.databases.database(self.params.db_url)
        self._queue, self._call_queue = (
            WriteQueue(database, _ROWS, lost, Spool(self._spooled, number), _GATHER_SECONDS)
            for number in (2 * rank, 2 * rank + 1)
        )
