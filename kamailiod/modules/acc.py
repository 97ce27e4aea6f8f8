"""The acc module: log lines for answered, failed and missed transactions, and for whole calls.

Owns what is accounted and the lines' shape; transactions come from tm, calls from dialog.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from kamailiod.modules.accounting.extra import ExtraAttributes, LegAttributes
from kamailiod.modules.accounting.params import WITHOUT_EFFECT, AccParams
from kamailiod.modules.dialog import Dialogs
from kamailiod.modules.rr import Rr
from kamailiod.modules.tm import Tm
from kamailiod.script.context import Context, Happening, Route
from kamailiod.script.module import Module, kemi
from kamailiod.sip.build import REASONS
from kamailiod.sip.dialog import Event
from kamailiod.sip.message import SipMessage
from shm import Dialog

if TYPE_CHECKING:
    from kamailiod.script.services import Services
    from kamailiod.sip.transaction import Transaction

_COMMENT = re.compile(rb"([1-6][0-9]{2})(?:\s+(.*))?\Z", re.DOTALL)
_UPSTREAM = 2
_LINE = b"ACC: %s: timestamp=%d;method=%s;from_tag=%s;to_tag=%s;call_id=%s;code=%s;reason=%s"


class Acc(Module):
    """Accounting to the log."""

    name: ClassVar[str] = "acc"
    Params: ClassVar[type[AccParams]] = AccParams
    without_effect: ClassVar[tuple[str, ...]] = WITHOUT_EFFECT
    statistics: ClassVar[tuple[str, ...]] = ("acc:transactions", "acc:missed", "acc:cdrs")

    params: AccParams

    def __init__(self, params: AccParams, services: Services) -> None:
        super().__init__(params, services)
        self.clock: Callable[[], float] = time.time
        self._rr = services.module(Rr) if params.detect_direction else None
        self._tm = services.module(Tm)
        self._dialogs = services.module(Dialogs) if params.cdr_enable else None
        self._count_transaction: Callable[[], object] = lambda: None
        self._count_missed: Callable[[], object] = lambda: None
        self._count_cdr: Callable[[], object] = lambda: None

    def mod_init(self) -> None:
        """Read the attributes' definitions and ask tm and dialog to call."""
        params, variables = self.params, self.services.variables
        self._extra = ExtraAttributes(params.log_extra, variables)
        self._legs = LegAttributes(params.multi_leg_info, variables)
        self._cdr_extra = ExtraAttributes(params.cdr_extra, variables)
        self._flag = _mask(params.log_flag)
        self._missed = _mask(params.log_missed_flag)
        self._failed = _mask(params.failed_transaction_flag)
        self._filtered = frozenset(
            int(code) for code in re.split(r"[\s,;]+", params.failed_filter) if code.isdigit()
        )
        if self._flag or self._missed or self._failed:
            self._tm.on_transaction(self._on_transaction)
        if self._dialogs is not None:
            self._dialogs.on_change(self._on_dialog)

    def child_init(self, rank: int) -> None:
        """Open the counters."""
        counter = self.services.statistics.counter
        self._count_transaction = counter("acc:transactions")
        self._count_missed = counter("acc:missed")
        self._count_cdr = counter("acc:cdrs")

    def _on_transaction(self, context: Context, transaction: Transaction) -> None:
        if transaction.request.method != b"CANCEL" or self.params.report_cancels:
            context.shared.listeners.append(self._listen)

    def _listen(
        self, what: Happening, transaction: Transaction, message: SipMessage | None, code: int
    ) -> None:
        flags = transaction.context.shared.flags
        if what is Happening.REPLY_OUT:
            if code >= 300 and transaction.is_invite and flags & self._missed:
                self._report_missed(transaction, message, code)
            if self._is_wanted(flags, code):
                self._count_transaction()
                self._report(transaction, b"transaction answered", message, code)
        elif what is Happening.ACK_IN:
            if self.params.report_ack and flags & self._flag and message is not None:
                self._report(transaction, b"request acknowledged", None, code, message)
        elif (
            what is Happening.BRANCH_SENT
            and flags & self._missed
            and transaction.winner is not None
        ):
            # A new branch after a failure: the call goes on elsewhere, who was called missed it.
            winner = transaction.winner
            self._report_missed(transaction, winner.reply, winner.code)

    def _is_wanted(self, flags: int, code: int) -> bool:
        if code >= 300:
            return bool(flags & self._failed) and code not in self._filtered
        if not flags & self._flag:
            return False
        return code >= 200 or (code == 183 and bool(self.params.early_media))

    def _report_missed(
        self, transaction: Transaction, reply: SipMessage | None, code: int
    ) -> None:
        # Once a call: the flag is taken back, as Kamailio does.
        transaction.context.shared.flags &= ~self._missed
        self._count_missed()
        self._report(transaction, b"call missed", reply, code)

    def _report(
        self,
        transaction: Transaction,
        what: bytes,
        reply: SipMessage | None,
        code: int,
        acknowledgement: SipMessage | None = None,
    ) -> None:
        request = transaction.request
        to_tag = request.to_tag
        reason = REASONS.get(code, b"")
        if acknowledgement is not None:
            request = acknowledgement
            to_tag = request.to_tag
        elif reply is not None:
            to_tag = reply.to_tag or to_tag
            reason = self._reason(reply)
        else:
            to_tag = to_tag or transaction.to_tag
        self._write(transaction.context, what, request, to_tag, b"%d" % code, reason)

    def _reason(self, reply: SipMessage) -> bytes:
        if self.params.reason_from_hf:
            return reply.header(b"reason") or reply.reason
        return reply.reason

    def _write(
        self, context: Context, what: bytes, request: SipMessage, to_tag: bytes, code: bytes,
        reason: bytes,
    ) -> None:  # fmt: skip
        log, level = self.services.log, self.params.log_level
        if not log.enabled(level):
            return
        tags = [request.from_tag, to_tag]
        if self._rr is not None and self._rr.direction(context) == _UPSTREAM:
            tags.reverse()
        line = _LINE % (
            what, int(self.clock()), request.method, *tags, request.call_id, code, reason,
        )  # fmt: skip
        extra = self._extra.read(context) + self._legs.read(context)
        line += b"".join([b";%s=%s" % attribute for attribute in extra])
        log.line(level, "acc", line.decode("utf-8", "backslashreplace"))

    @kemi("acc.setflag", native=())
    def setflag(self, context: Context, flag: int) -> bool:
        """Set a message flag; the same as KSR.setflag."""
        if not 0 <= flag < 32:
            return False
        context.shared.flags |= 1 << flag
        return True

    @kemi("acc.acc_log_request", routes=Route.REQUEST | Route.FAILURE)
    def acc_log_request(self, context: Context, comment: bytes) -> int:
        """Account this request now; a comment like "486 busy" gives code and reason."""
        request = context.message
        if not request.is_request:
            return -1
        match = _COMMENT.match(comment)
        code, reason = match.groups(b"") if match else (b"", comment)
        self._write(context, b"request accounted", request, request.to_tag, code, reason)
        return 1

    def _on_dialog(self, context: Context, dialog: Dialog, event: Event | None) -> None:
        params, now = self.params, self.clock()
        variables = dialog.variables
        start, end = params.cdr_start_id.encode(), params.cdr_end_id.encode()
        duration = params.cdr_duration_id.encode()
        if event is None:
            variables[start] = variables[end] = b"%.3f" % now
            variables[duration] = b"0"
            return
        if event is Event.ANSWERED:
            if params.cdr_start_on_confirmed:
                variables[start] = b"%.3f" % now
            return
        if event is not Event.FAILED:
            variables[end] = b"%.3f" % now
            variables[duration] = b"%.3f" % (now - _seconds(variables.get(start), now))
        if self._is_call_wanted(variables, event):
            self._write_call(context, variables, (start, end, duration))

    def _is_call_wanted(self, variables: dict[bytes, bytes], event: Event) -> bool:
        params = self.params
        if params.cdr_skip and params.cdr_skip.encode() in variables:
            return False
        if event is Event.FAILED:
            return bool(params.cdr_on_failed)
        return event is not Event.TIMEOUT or bool(params.cdr_expired_dlg_enable)

    def _write_call(
        self, context: Context, variables: dict[bytes, bytes], times: tuple[bytes, ...]
    ) -> None:
        self._count_cdr()
        log, level = self.services.log, self.params.log_level
        if not self.params.cdr_log_enable or not log.enabled(level):
            return
        attributes = [(name, variables.get(name, b"")) for name in times]
        attributes += self._cdr_extra.read(context)
        line = b"; ".join([b"%s=%s" % attribute for attribute in attributes])
        log.line(level, "acc", line.decode("utf-8", "backslashreplace"))


def _seconds(value: bytes | None, otherwise: float) -> float:
    # A script may have set a dialog variable of this name to anything.
    try:
        return float(value) if value is not None else otherwise
    except ValueError:
        return otherwise


def _mask(flag: int) -> int:
    return 1 << flag if 0 <= flag < 32 else 0
