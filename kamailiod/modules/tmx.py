"""Module tmx: further functions and pseudo-variables of transactions.

Owns nothing of its own; all state is in tm's transactions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kamailiod.modules.tm import Tm
from kamailiod.script.context import Context, Route, Value
from kamailiod.script.module import Module, Params, kemi, pseudo_variable
from kamailiod.script.services import Services
from kamailiod.sip.message import SipMessage


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
