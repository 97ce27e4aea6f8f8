"""Module tmx: further functions and pseudo-variables of transactions.

Owns nothing of its own; all state is in tm's transactions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kamailiod.modules.tm import Tm
from kamailiod.net.ownership import owner_rank
from kamailiod.script.context import Context, Route, Value
from kamailiod.script.module import Module, Params, kemi, pseudo_variable
from kamailiod.script.services import Services
from kamailiod.sip.message import SipMessage
from kamailiod.sip.transaction import Transaction
from kamailiod.sip.transaction_tables import TERMINATED


@dataclass(frozen=True, slots=True)
class TmxParams(Params):
    """modparams of tmx."""

    precheck_trans: int = 1


class Tmx(Module):
    """Extensions of tm."""

    name = "tmx"
    Params: ClassVar[type[Params]] = TmxParams
    without_effect = ("precheck_trans",)
    params: TmxParams

    def __init__(self, params: TmxParams, services: Services) -> None:
        super().__init__(params, services)
        self._tm = services.module(Tm)
        services.on_worker("tmx.cancel", self._cancel_here)
        services.on_worker("tmx.reply", self._reply_here)

    @kemi("tmx.t_precheck_trans", routes=Route.REQUEST)
    def t_precheck_trans(self, context: Context) -> int:
        """Return 1 when the same request is being processed already, else -1.

        Retransmissions are absorbed before the script runs, so a script sees -1.
        """
        return -1

    @kemi("tmx.t_is_branch_route")
    def t_is_branch_route(self, context: Context) -> int:
        """Return 1 in a branch route, else -1."""
        return 1 if context.route is Route.BRANCH else -1

    @kemi("tmx.t_is_failure_route")
    def t_is_failure_route(self, context: Context) -> int:
        """Return 1 in a failure route, else -1."""
        return 1 if context.route is Route.FAILURE else -1

    @kemi("tmx.t_is_reply_route")
    def t_is_reply_route(self, context: Context) -> int:
        """Return 1 in a reply route, else -1."""
        return 1 if context.route & (Route.REPLY | Route.ONREPLY) else -1

    @kemi("tmx.t_is_request_route")
    def t_is_request_route(self, context: Context) -> int:
        """Return 1 in the request route, else -1."""
        return 1 if context.route is Route.REQUEST else -1

    @kemi("tmx.t_suspend", "tm.t_suspend")
    def t_suspend(self, context: Context) -> int:
        """Keep the transaction until t_continue or fr_timer; -1 when it was answered already."""
        if not context.message.is_request or context.message.method == b"ACK":
            return -1
        return 1 if self._tm.suspension.suspend(context) else -1

    @kemi("tmx.t_continue", "tm.t_continue")
    def t_continue(self, context: Context, index: int, label: int, name: bytes) -> int:
        """Run a route over a suspended transaction of any worker; -1 when there is none such."""
        return 1 if self._tm.suspension.resume_anywhere(index, label, name) else -1

    @kemi("tmx.t_cancel_suspended", "tm.t_cancel_suspended")
    def t_cancel_suspended(self, context: Context, index: int, label: int) -> int:
        """Undo t_suspend; -1 when there is no such transaction in this worker."""
        return 1 if self._tm.suspension.take(index, label) is not None else -1

    @kemi("tmx.t_cancel_branches", native="t_cancel_branches")
    def t_cancel_branches(self, context: Context, which: bytes) -> int:
        """Call off branches of the transaction: `all`, `others` or `this`."""
        server = context.transaction
        if server is None:
            return -1
        this = server.branches[context.branch] if context.branch < len(server.branches) else None
        if which == b"this":
            if this is not None:
                self._tm.relay.cancel_branch(this)
        else:
            self._tm.relay.cancel_branches(server, this if which == b"others" else None)
        return 1

    @kemi("tmx.t_cancel_callid", native=())
    def t_cancel_callid(self, context: Context, call_id: bytes, cseq: bytes, flag: int) -> int:
        """Call off the INVITE of a Call-ID and CSeq number, a flag (>= 0) being set on it: 1, -1.

        In another worker it is only asked for, and 1 in any case.
        """
        return self.t_cancel_callid_reason(context, call_id, cseq, flag, 0)

    @kemi("tmx.t_cancel_callid_reason", native="t_cancel_callid")
    def t_cancel_callid_reason(
        self, context: Context, call_id: bytes, cseq: bytes, flag: int, code: int = 0
    ) -> int:
        """Do as t_cancel_callid, with the code as the cause of a Reason header."""
        return self._there(call_id, "tmx.cancel", cseq, flag, code)

    @kemi("tmx.t_reply_callid")
    def t_reply_callid(
        self, context: Context, call_id: bytes, cseq: bytes, code: int, reason: bytes
    ) -> int:
        """Answer the transaction of a Call-ID and CSeq number: 1, or -1 when there is none here.

        In another worker it is only asked for, and 1 in any case.
        """
        return self._there(call_id, "tmx.reply", cseq, code, reason)

    @kemi("tmx.t_reuse_branch", routes=Route.BRANCH_FAILURE | Route.EVENT)
    def t_reuse_branch(self, context: Context) -> int:
        """Have the next t_relay send to the destination of the branch that failed, again: 1, -1."""
        if context.route is not Route.BRANCH_FAILURE:
            return -1
        context.shared.notes.pop("tm_sent", None)
        return 1

    @kemi("tmx.t_flush_flags")
    def t_flush_flags(self, context: Context) -> int:
        """Return 1 in a transaction, else -1: message and transaction share their flags."""
        return 1 if context.transaction is not None else -1

    @kemi("tmx.t_flush_xflags")
    def t_flush_xflags(self, context: Context) -> int:
        """Return 1 in a transaction, else -1: message and transaction share their flags."""
        return self.t_flush_flags(context)

    @kemi("tmx.t_drop", native=())
    def t_drop(self, context: Context) -> int:
        """End the transaction without an answer; -1 when there is none or it has one."""
        return self.t_drop_rcode(context, 500)

    @kemi("tmx.t_drop_rcode", native="t_drop")
    def t_drop_rcode(self, context: Context, code: int = 500) -> int:
        """End the transaction as if it had been answered by a code; nothing is sent."""
        server = context.transaction
        if server is None or server.final_code or not 200 <= code <= 699:
            return -1
        server.final_code = server.last_code = code
        self._tm.relay.cancel_branches(server)
        server.stop()
        server.state = TERMINATED
        server.effects.schedule(server.timing.wt_timer, self._tm.transactions.drop, server)
        return 1

    def _there(self, call_id: bytes, function: str, *arguments: bytes | int) -> int:
        services = self.services
        offset = max(0, services.settings.call_id_hash_offset)
        rank = owner_rank(call_id, services.worker_count, offset)
        if rank == services.rank or services.worker_count == 1:
            run = self._cancel_here if function == "tmx.cancel" else self._reply_here
            return run(call_id, *arguments)  # type: ignore[arg-type]  # each has its own arguments
        return 1 if services.tell_worker(rank, function, call_id, *arguments) else -1

    def _cancel_here(self, call_id: bytes, cseq: bytes, flag: int, code: int) -> int:
        server = self._find(call_id, cseq)
        if server is None or not server.is_invite or server.final_code:
            return -1
        if 0 <= flag < 32:
            server.context.shared.flags |= 1 << flag
        reason = (b"Reason: SIP;cause=%d" % code,) if code else ()
        self._tm.relay.cancel_branches(server, None, reason)
        return 1

    def _reply_here(self, call_id: bytes, cseq: bytes, code: int, reason: bytes) -> int:
        server = self._find(call_id, cseq)
        return 1 if server is not None and self._tm.relay.reply(server, code, reason) else -1

    def _find(self, call_id: bytes, cseq: bytes) -> Transaction | None:
        for server in self._tm.transactions.servers.values():
            request = server.request
            if request.call_id == call_id and b"%d" % request.cseq[0] == cseq.strip():
                return server
        return None

    @pseudo_variable("T")
    def transaction(self, context: Context, inner: bytes, index: object) -> Value:
        """$T(id_index), $T(id_label), $T(reply_code), $T(reply_reason), $T(branch_index)..."""
        server = context.transaction
        if inner == b"branch_index":
            return context.branch
        if server is None:
            return None
        if inner in (b"id_index", b"id_index_n"):
            return server.identity[0]
        if inner in (b"id_label", b"id_label_n"):
            return server.identity[1]
        if inner == b"reply_code":
            return self._tm.reply_code(context, b"", None)
        if inner == b"reply_reason":
            return self._tm.reply_reason(context, b"", None)
        if inner == b"reply_type":
            return 1 if server.winner is None or server.winner.reply is None else 0
        if inner == b"ruid" and server.branches:
            return server.branches[min(context.branch, len(server.branches) - 1)].ruid
        return None

    @pseudo_variable("T_reply_last")
    def reply_last(self, context: Context, inner: bytes, index: object) -> int | None:
        """The code of the last reply that any branch has had."""
        server = context.transaction
        codes = [branch.code for branch in server.branches] if server is not None else []
        return codes[-1] if codes else None

    @pseudo_variable("T_req")
    def of_request(self, context: Context, inner: bytes, index: object) -> Value:
        """$T_req($pv): a pseudo-variable of the transaction's request."""
        server = context.transaction
        return self._evaluate(context, inner, server.request if server is not None else None)

    @pseudo_variable("T_rpl")
    def of_reply(self, context: Context, inner: bytes, index: object) -> Value:
        """$T_rpl($pv): a pseudo-variable of the winning reply."""
        winner = context.transaction.winner if context.transaction is not None else None
        return self._evaluate(context, inner, winner.reply if winner is not None else None)

    def _evaluate(self, context: Context, inner: bytes, message: SipMessage | None) -> Value:
        accessor = self.services.variables.compile(inner)
        if message is None or accessor is None:
            return None
        return accessor.get(context.derive(context.route, message))
