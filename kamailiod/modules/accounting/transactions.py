"""Which transactions are accounted, when, and as what.

Owns the rules on flags, codes and methods; how a record is written is LogLines' and Rows'.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from kamailiod.modules.accounting.entry import Entry
from kamailiod.modules.accounting.log_lines import LogLines
from kamailiod.modules.accounting.rows import Rows
from kamailiod.script.context import Context, Happening
from kamailiod.sip.build import REASONS
from kamailiod.sip.message import SipMessage

if TYPE_CHECKING:
    from kamailiod.modules.accounting.params import AccParams
    from kamailiod.modules.rr import Rr
    from kamailiod.sip.transaction import Transaction

_UPSTREAM = 2


class TransactionAccounting:
    """Accounts the transactions whose requests a script has flagged.

    `rows` is None without a database, `rr` unless the direction is to be detected.
    """

    def __init__(
        self, params: AccParams, lines: LogLines, rows: Rows | None, rr: Rr | None,
        clock: Callable[[], float],
    ) -> None:  # fmt: skip
        self.clock = clock
        self.count_transaction: Callable[[], object] = lambda: None
        self.count_missed: Callable[[], object] = lambda: None
        self._params = params
        self._lines = lines
        self._rows = rows
        self._rr = rr
        self._log = _mask(params.log_flag)
        self._log_missed = _mask(params.log_missed_flag)
        self._database = _mask(params.db_flag) if rows is not None else 0
        self._database_missed = _mask(params.db_missed_flag) if rows is not None else 0
        self._failed = _mask(params.failed_transaction_flag)
        self._wanted = self._log | self._database
        self._missed = self._log_missed | self._database_missed
        self._any = self._wanted | self._missed | _mask(params.acc_prepare_flag)
        self._filtered = frozenset(
            int(code) for code in re.split(r"[\s,;]+", params.failed_filter) if code.isdigit()
        )

    @property
    def is_used(self) -> bool:
        """Whether any flag would have something accounted."""
        return bool(self._wanted | self._missed)

    def on_transaction(self, context: Context, transaction: Transaction) -> None:
        """Listen to a transaction whose request is flagged, or is prepared to be so later."""
        if context.shared.flags & self._any or self._params.acc_prepare_always:
            if transaction.request.method == b"CANCEL" and not self._params.report_cancels:
                return
            context.shared.listeners.append(self._listen)

    def account_request(
        self, context: Context, code: bytes, reason: bytes, in_log: bool, table: str = ""
    ) -> bool:
        """Account a request now, in the log, in a table, or both; False when a row was lost."""
        request = context.message
        tags = (request.from_tag, request.to_tag)
        entry = self._entry(b"request accounted", context, request, tags, code, reason)
        if in_log:
            self._lines.write(entry)
        return not table or (self._rows is not None and self._rows.write(entry, table))

    def _listen(
        self, what: Happening, transaction: Transaction, message: SipMessage | None, code: int
    ) -> None:
        flags = transaction.context.shared.flags
        if what is Happening.REPLY_OUT:
            if code >= 300 and flags & self._missed and transaction.is_invite:
                self._account_missed(transaction, message, code)
            if self._is_wanted(flags, code):
                self.count_transaction()
                entry = self._answered(b"transaction answered", transaction, message, code)
                self._write(entry, flags & self._log, flags & self._database)
        elif what is Happening.ACK_IN:
            if self._params.report_ack and flags & self._wanted and message is not None:
                self._write(
                    self._acknowledged(transaction, message, code),
                    flags & self._log,
                    flags & self._database,
                )
        elif (
            what is Happening.BRANCH_SENT
            and flags & self._missed
            and transaction.winner is not None
        ):
            # A new branch after a failure: the call goes on elsewhere, who was called missed it.
            winner = transaction.winner
            self._account_missed(transaction, winner.reply, winner.code)

    def _is_wanted(self, flags: int, code: int) -> bool:
        if not flags & self._wanted:
            return False
        if code >= 300:
            return bool(flags & self._failed) and code not in self._filtered
        return code >= 200 or (code == 183 and bool(self._params.early_media))

    def _account_missed(
        self, transaction: Transaction, reply: SipMessage | None, code: int
    ) -> None:
        flags = transaction.context.shared.flags
        # Once a call: the flags are taken back, as Kamailio does.
        transaction.context.shared.flags = flags & ~self._missed
        self.count_missed()
        entry = self._answered(b"call missed", transaction, reply, code)
        table = self._params.db_table_missed_calls
        self._write(entry, flags & self._log_missed, flags & self._database_missed, table)

    def _write(self, entry: Entry, in_log: int, in_database: int, table: str = "") -> None:
        if in_log:
            self._lines.write(entry)
        if in_database and self._rows is not None:
            self._rows.write(entry, table or self._params.db_table_acc)

    def _answered(
        self, what: bytes, transaction: Transaction, reply: SipMessage | None, code: int
    ) -> Entry:
        request = transaction.request
        to_tag = request.to_tag
        reason = REASONS.get(code, b"")
        if reply is not None:
            to_tag = reply.to_tag or to_tag
            reason = reply.reason
            if self._params.reason_from_hf:
                reason = reply.header(b"reason") or reason
        else:
            to_tag = to_tag or transaction.to_tag
        tags = (request.from_tag, to_tag)
        return self._entry(what, transaction.context, request, tags, b"%d" % code, reason)

    def _acknowledged(self, transaction: Transaction, ack: SipMessage, code: int) -> Entry:
        return self._entry(
            b"request acknowledged", transaction.context, ack, (ack.from_tag, ack.to_tag),
            b"%d" % code, REASONS.get(code, b""),
        )  # fmt: skip

    def _entry(
        self, what: bytes, context: Context, request: SipMessage, tags: tuple[bytes, bytes],
        code: bytes, reason: bytes,
    ) -> Entry:  # fmt: skip
        if self._rr is not None and self._rr.direction(context) == _UPSTREAM:
            tags = (tags[1], tags[0])
        return Entry(what, context, request, tags, code, reason, self.clock())


def _mask(flag: int) -> int:
    return 1 << flag if 0 <= flag < 32 else 0
