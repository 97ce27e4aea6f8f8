"""Module sl: stateless replies, and `send_reply`, which is stateful once there is a transaction.

Owns the filter for the ACKs of stateless replies, which stateless_replies/ makes; knows tm only by
the context's transaction.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from kamailiod.modules.stateless_replies.replies import StatelessReplies
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, kemi, pseudo_variable, rpc
from kamailiod.script.services import Services
from kamailiod.sip.build import REASONS, build_relayed_reply
from kamailiod.sip.message import SipMessage

_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "6xx")


@dataclass(frozen=True, slots=True)
class SlParams(Params):
    """modparams of sl."""

    default_code: int = 500
    default_reason: str = "Internal Server Error"
    bind_tm: int = 1
    rich_redirect: int = 0
    event_callback_fl_ack: str = ""
    event_callback_lres_sent: str = ""


class Sl(Module):
    """Answers requests without a transaction of their own."""

    name = "sl"
    Params: ClassVar[type[Params]] = SlParams
    without_effect: ClassVar[tuple[str, ...]] = (
        "bind_tm", "rich_redirect", "event_callback_fl_ack", "event_callback_lres_sent",
    )  # fmt: skip
    event_routes = ("filtered-ack",)
    statistics = (
        *(f"sl:{number}_replies" for number in _CLASSES), "sl:sent_replies", "sl:sent_err_replies",
        "sl:received_ACKs", "sl:failures",
    )  # fmt: skip
    params: SlParams

    def __init__(self, params: SlParams, services: Services) -> None:
        super().__init__(params, services)
        self._tag_start = os.urandom(8).hex().encode()
        self._stateful: Callable[..., bool] | None = None
        self._replies: StatelessReplies
        self._acked: Callable[..., None] = lambda: None

    def use_transactions(self, reply: Callable[..., bool]) -> None:
        """Take tm's reply(transaction, code, reason, lines, body), for requests that have one."""
        self._stateful = reply

    def child_init(self, rank: int) -> None:
        """Open the counters."""
        statistics = self.services.statistics
        self._acked = statistics.counter("sl:received_ACKs")
        self._replies = StatelessReplies(
            self.services.network, self.services.reply_signature, self._tag_start,
            statistics.counter("sl:sent_replies"),
            [statistics.counter(f"sl:{name}_replies") for name in _CLASSES],
        )  # fmt: skip

    def send_reply(
        self, context: Context, code: int, reason: bytes, headers: Sequence[bytes] = (),
        body: bytes = b"",
    ) -> int:  # fmt: skip
        """Answer a request: by its transaction when it has one, else statelessly.

        Returns 1, or -1 for an ACK, a reply, or when a final answer was sent already.
        """
        message = context.message
        if not message.is_request or message.method == b"ACK" or not 100 <= code <= 699:
            return -1
        reason = reason or REASONS.get(code, b"Unknown")
        if context.transaction is not None and self._stateful is not None:
            done = self._stateful(context.transaction, code, reason, headers, body)
            context.replied = context.replied or (done and code >= 200)
            return 1 if done else -1
        return self._replies.send(context, code, reason, headers, body)

    def tag(self, message: SipMessage) -> bytes:
        """Return the To tag for stateless replies to a request: the same for retransmissions."""
        return self._replies.tag(message)

    def is_own_ack(self, message: SipMessage) -> bool:
        """Whether an ACK is for a stateless reply of ours: it ends here."""
        if self._tag_start not in message.data or not message.to_tag.startswith(self._tag_start):
            return False
        self._acked()
        return True

    @kemi(
        "sl.sl_send_reply",
        native=("sl_send_reply", "sl_reply"),
        routes=Route.REQUEST | Route.FAILURE | Route.ONREPLY | Route.EVENT,
    )
    def sl_send_reply(self, context: Context, code: int, reason: bytes) -> int:
        """Answer a request statelessly; 1 when sent, -1 when not (an ACK, or answered already)."""
        message = context.message
        if not message.is_request or message.method == b"ACK" or not 100 <= code <= 699:
            return -1
        if context.transaction is not None and context.transaction.final_code:
            return -1
        return self._replies.send(context, code, reason or REASONS.get(code, b"Unknown"), (), b"")

    @kemi("sl.send_reply")
    def script_send_reply(self, context: Context, code: int, reason: bytes) -> int:
        """Answer a request, statefully when there is a transaction; an empty reason is refused."""
        return self.send_reply(context, code, reason) if reason else -1

    @kemi("sl.sl_reply_error")
    def sl_reply_error(self, context: Context) -> int:
        """Answer with what went wrong last, 500 unless known; -2 when it was answered already."""
        if context.replied:
            return -2
        error = context.shared.notes.pop("tm_error", None)
        code, reason = error if isinstance(error, tuple) else (
            500, b"I'm terribly sorry, server error occurred (1/SL)",
        )  # fmt: skip
        return self.send_reply(context, code, reason)

    @kemi("sl.send_reply_error")
    def send_reply_error(self, context: Context) -> int:
        """Do as sl_reply_error, by the transaction when there is one."""
        return self.sl_reply_error(context)

    @kemi("sl.send_reply_mode")
    def send_reply_mode(self, context: Context, code: int, reason: bytes, mode: int) -> int:
        """Answer a request; mode bit 1 makes a transaction's hooks unarmed first."""
        if mode & 1:
            context.shared.on_failure = b""
        return self.send_reply(context, code, reason)

    @kemi("sl.sl_forward_reply", routes=Route.ONREPLY | Route.REPLY)
    def sl_forward_reply(self, context: Context, code: bytes = b"", reason: bytes = b"") -> int:
        """Send a reply on by its second Via, without its transaction, as another code and reason.

        Returns 1, or -1 when it cannot go anywhere; a final reply cannot become a provisional one.
        """
        message = context.message
        vias = message.vias
        status = int(code) if code.isdigit() and len(code) == 3 else message.status
        if message.is_request or len(vias) < 2 or status // 100 == 1 < message.status // 100:
            return -1
        target = self.services.network.via_target(vias[1], context.source.local)
        if target is None:
            return -1
        data = build_relayed_reply(message, context.edits, target.transport != b"udp")
        start = b"SIP/2.0 %d %s" % (status, reason or message.reason)
        sent = self.services.network.send(target, start + data[len(message.lines[0]) :])
        return 1 if sent else -1

    @pseudo_variable("ltt")
    def local_tag(self, context: Context, inner: bytes, index: object) -> bytes | None:
        """The To tag that a local reply has: $ltt(s) stateless, $ltt(t) of the transaction."""
        if inner == b"t":
            return context.transaction.to_tag if context.transaction is not None else None
        return self.tag(context.message)

    @rpc("sl.stats")
    def stats(self) -> object:
        """Counts of stateless replies by class and of filtered ACKs."""
        total = self.services.statistics.total
        answer: dict[str, int] = {name: total(f"sl:{name}_replies") for name in _CLASSES}
        return {**answer, "xxx": total("sl:sent_err_replies"), "acks": total("sl:received_ACKs")}
