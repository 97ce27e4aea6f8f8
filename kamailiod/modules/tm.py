"""Module tm: stateful relaying; what scripts call of the transaction layer.

Owns modparams, script functions and RPCs; the state machines are in sip/transaction.py, the proxy
core in script/relay.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar

from kamailiod.modules.sl import Sl
from kamailiod.modules.tm_functions.elsewhere import RelayingElsewhere
from kamailiod.modules.tm_functions.local_request import LocalRequest, RequestSender
from kamailiod.modules.tm_functions.own_requests import OwnRequests
from kamailiod.modules.tm_functions.params import WITHOUT_EFFECT, TmParams
from kamailiod.modules.tm_functions.serial_forking import SerialForking
from kamailiod.modules.tm_functions.switches import TransactionSwitches
from kamailiod.net.resolver import Resolution
from kamailiod.script.arrivals import Arrivals
from kamailiod.script.context import Branch, Context, Route
from kamailiod.script.module import Module, Params, kemi, pseudo_variable, rpc
from kamailiod.script.relay import FAILED, Relay, RelaySettings
from kamailiod.script.services import Services
from kamailiod.script.suspension import Suspension
from kamailiod.script.transaction_statistics import TransactionStatistics
from kamailiod.script.transactions import Transactions, is_loop
from kamailiod.sip.build import REASONS
from kamailiod.sip.message import SipMessage
from kamailiod.sip.transaction import ClientTransaction, Timing, Transaction
from lua import Wait

__all__ = ["LocalRequest", "Tm", "TmParams"]


class _Effects:
    """Sending and timers for the transactions of this process."""

    __slots__ = ("schedule", "send")

    def __init__(self, services: Services) -> None:
        self.send: Callable[..., bool] = services.network.send
        self.schedule: Callable[..., Any] = services.timers.schedule


class Tm(TransactionSwitches, RelayingElsewhere, SerialForking, OwnRequests, Module):
    """The transaction module of one process.

    `reply_filters` are asked for every reply before anybody else sees it; the first that returns
    True has taken it: the answer to a request that was sent without a transaction.
    """

    name = "tm"
    Params: ClassVar[type[Params]] = TmParams
    without_effect = WITHOUT_EFFECT
    event_routes = ("local-request", "branch-failure")
    statistics = (
        "tm:UAS_transactions", "tm:UAC_transactions", "tm:inuse_transactions",
        *(f"tm:{number}xx_transactions" for number in range(2, 7)), "tm:received_replies",
        "tm:relayed_replies", "tm:sent_replies", "tm:retransmissions", "tm:absorbed",
        "tm:freed", "tm:loops", "tm:canceled",
    )  # fmt: skip
    params: TmParams

    def __init__(self, params: TmParams, services: Services) -> None:
        super().__init__(params, services)
        self._created: list[Callable[[Context, Transaction], object]] = []
        self.reply_filters: list[Callable[[SipMessage], bool]] = []
        self._sl = services.module(Sl)
        services.on_worker("tm.continue", self._continue)
        self.relay: Relay
        self.transactions: Transactions
        self.arrivals: Arrivals
        self.suspension: Suspension
        self._sender: RequestSender
        self._tag_start = b""
        self._tags = 0

    def on_transaction(self, callback: Callable[[Context, Transaction], object]) -> None:
        """Have callback(context, transaction) called for each new server transaction."""
        self._created.append(callback)

    def child_init(self, rank: int) -> None:
        """Make this process's transaction tables; the supervisor has none."""
        if rank == 0:
            return
        services = self.services
        self._tag_start = os.urandom(6).hex().encode()
        self.relay = Relay(
            services.network, self._relay_settings(), services.script,
            services.statistics.counter, self._to_tag,
        )  # fmt: skip
        self.transactions = Transactions(_Effects(services), self.relay, services.rank)
        self.relay.transactions = self.transactions
        counter = services.statistics.counter
        self.suspension = Suspension(
            self.relay, services.script, services.rank, self._continue_elsewhere
        )
        self.arrivals = Arrivals(self.transactions, services.script, counter)
        self.transactions.created.append(TransactionStatistics(counter).created)
        self.transactions.created.append(self._start_lifetime)
        self.transactions.created.extend(self._created)
        self._sender = RequestSender(services, self.transactions, self._timing())
        self._sl.use_transactions(self.relay.reply)
        self._loops = counter("tm:loops")

    def _continue(self, index: int, label: int, route: bytes) -> None:
        self.suspension.resume(index, label, route)

    def _continue_elsewhere(self, rank: int, index: int, label: int, route: bytes) -> bool:
        if not 0 < rank <= self.services.worker_count:
            return False
        return self.services.tell_worker(rank, "tm.continue", index, label, route)

    def _timing(self) -> Timing:
        params = self.params
        return Timing(
            params.retr_timer1 / 1000, params.retr_timer2 / 1000, params.fr_timer / 1000,
            params.fr_inv_timer / 1000, params.wt_timer / 1000,
        )  # fmt: skip

    def _relay_settings(self) -> RelaySettings:
        params = self.params
        settings = self.services.settings
        return RelaySettings(
            timing=self._timing(),
            signature=self.services.reply_signature,
            max_branches=settings.max_branches,
            auto_trying=bool(params.auto_inv_100),
            trying_reason=params.auto_inv_100_reason.encode(),
            remap_503=bool(params.remap_503_500),
            aggregate_challenges=bool(params.aggregate_challenges),
            cancel_reason=bool(params.e2e_cancel_reason),
            local_cancel_reason=bool(params.local_cancel_reason),
            default_code=params.default_code,
            default_reason=params.default_reason.encode(),
        )

    def _to_tag(self) -> bytes:
        self._tags += 1
        return b"%s-%x" % (self._tag_start, self._tags)

    def absorb(self, message: SipMessage) -> bool:
        """Take a retransmission or the ACK of a negative reply; True when it ends here."""
        return self.arrivals.absorb(message)

    def reply_client(self, reply: SipMessage) -> ClientTransaction | None:
        """Return the client transaction of a reply, None when it belongs to none."""
        return self.transactions.find_client(reply)

    def receive_reply(self, client: ClientTransaction, context: Context) -> None:
        """Run the onreply route that is armed, then let the transaction have the reply."""
        self.arrivals.receive_reply(client, context)

    def send_request(
        self, request: LocalRequest, callback: Callable[[int, SipMessage | None], object]
    ) -> bool:
        """Send a request of our own; callback(status, reply or None) hears of its final reply."""
        return self._sender.send(request, callback)

    def send_ack(self, request: LocalRequest) -> bool:
        """Send the ACK of a 2xx to an INVITE of our own."""
        return self._sender.send_ack(request)

    @kemi(
        "tm.t_relay",
        routes=Route.REQUEST | Route.FAILURE | Route.BRANCH_FAILURE,
        waits=True,
    )
    def t_relay(self, context: Context) -> int | Wait:
        """Forward the request to its destinations; 1 when it went to at least one."""
        message = context.message
        if not message.is_request or context.source.port == 0:
            return 0 if not message.is_request else FAILED
        if message.method == b"CANCEL":
            if self.relay.cancel(context):
                context.relayed = True
                return 1
            return self._sender.forward_statelessly(context, self.relay)
        refused = self._refusal(context)
        if refused is not None:
            return FAILED if self._sl.send_reply(context, *refused) < 0 else 1
        branches = self.relay.destinations(context)
        if not branches:
            return FAILED
        resolve = self.services.network.resolve
        found = [resolve(branch.destination or branch.uri) for branch in branches]
        choices = [choice for choice in found if choice is None or isinstance(choice, list)]
        if len(choices) < len(found):
            return Wait(lambda: self._resolve_and_forward(context, branches, found))
        return self.relay.forward(context, branches, choices)

    def _refusal(self, context: Context) -> tuple[int, bytes] | None:
        message = context.message
        if context.transaction is not None:
            return None
        if message.number(b"max-forwards") == 0:
            return 483, REASONS[483]
        if is_loop(message, context.source.local.sent_by):
            self._loops()
            return 482, REASONS[482]
        return None

    async def _resolve_and_forward(
        self, context: Context, branches: list[Branch], found: Sequence[Resolution]
    ) -> int:
        choices = [
            choice if choice is None or isinstance(choice, list) else await choice
            for choice in found
        ]
        return self.relay.forward(context, branches, choices)

    @kemi("tm.t_newtran", routes=Route.REQUEST)
    def t_newtran(self, context: Context) -> int:
        """Make the transaction now; 1 made, -10 there is one, 1 for ACK."""
        if context.message.method == b"ACK":
            return 1
        if context.transaction is not None:
            return -10
        self.relay.transaction(context)
        return 1

    @kemi("tm.t_check_trans", native=("t_check_trans", "t_lookup_request"))
    def t_check_trans(self, context: Context) -> int:
        """Return 1 when the message belongs to a transaction (or CANCEL to its INVITE), else -1."""
        if context.route & (Route.FAILURE | Route.BRANCH | Route.ONREPLY):
            return 1
        message = context.message
        if not message.is_request:
            return 1 if self.transactions.find_client(message) is not None else -1
        if message.method == b"CANCEL":
            return 1 if self._canceled_invite(context) else -1
        if message.method == b"ACK":
            return 1 if self.transactions.find_accepted(message) is not None else -1
        return 1 if context.transaction is not None else -1

    def _canceled_invite(self, context: Context) -> bool:
        return self.transactions.find_invite(context.message) is not None

    @kemi("tm.t_exists")
    def t_exists(self, context: Context) -> int:
        """Return 1 when the message has a transaction, else -1."""
        return 1 if context.transaction is not None else -1

    @kemi("tm.t_lookup_cancel")
    def t_lookup_cancel(self, context: Context) -> int:
        """Return 1 when a CANCEL matches an INVITE here, else -1."""
        if context.message.method != b"CANCEL":
            return -1
        return 1 if self._canceled_invite(context) else -1

    @kemi("tm.t_on_failure")
    def t_on_failure(self, context: Context, name: bytes) -> int:
        """Arm a failure route, native or Lua; an empty name disarms."""
        context.shared.on_failure = name
        return 1

    @kemi("tm.t_on_branch_failure")
    def t_on_branch_failure(self, context: Context, name: bytes) -> int:
        """Arm a route for each branch that fails, while others may still ring.

        Natively it is event_route[tm:branch-failure:NAME]; an empty name disarms, and branches
        sent by the route itself have it only when it is armed there again.
        """
        context.shared.on_branch_failure = name
        return 1

    @kemi("tm.t_on_branch")
    def t_on_branch(self, context: Context, name: bytes) -> int:
        """Arm a branch route, run for each branch before it is sent."""
        context.shared.on_branch = name
        return 1

    @kemi("tm.t_on_reply")
    def t_on_reply(self, context: Context, name: bytes) -> int:
        """Arm a route for the replies of this transaction."""
        context.shared.on_reply = name
        return 1

    @kemi("tm.t_reply", "tm.t_send_reply", native=("t_reply", "t_send_reply"))
    def t_reply(self, context: Context, code: int, reason: bytes) -> int:
        """Answer by the transaction; a final answer calls off all branches.  -1 when not sent."""
        server = context.transaction
        if server is None or server.request.method == b"ACK":
            return -1
        if not self.relay.reply(server, code, reason or REASONS.get(code, b"Unknown")):
            return -1
        context.replied = context.replied or code >= 200
        return 1

    @kemi("tm.t_check_status")
    def t_check_status(self, context: Context, pattern: bytes) -> int:
        """Return 1 when the status matches the regular expression, else -1.

        In a failure route it is the winning reply's, in a reply route the message's, else the
        last that the transaction sent.
        """
        status = self._status(context)
        return 1 if status and _status_pattern(pattern).search(b"%d" % status) else -1

    def _status(self, context: Context) -> int:
        if not context.message.is_request:
            return context.message.status
        server = context.transaction
        if server is None:
            return 0
        if context.route is Route.FAILURE and server.winner is not None:
            return server.winner.code
        if context.route is Route.BRANCH_FAILURE and context.branch < len(server.branches):
            return server.branches[context.branch].code
        return server.last_code

    @kemi("tm.t_get_status_code")
    def t_get_status_code(self, context: Context) -> int:
        """Return the transaction's current status code, -1 without one."""
        return self._status(context) or -1

    @kemi("tm.t_get_branch_index")
    def t_get_branch_index(self, context: Context) -> int:
        """Return the index of the branch that a branch or reply route is about."""
        return context.branch

    @kemi("tm.t_is_canceled")
    def t_is_canceled(self, context: Context) -> int:
        """Return 1 when the caller has canceled the transaction, else -1."""
        server = context.transaction
        return 1 if server is not None and server.canceled else -1

    @kemi("tm.t_is_set")
    def t_is_set(self, context: Context, kind: bytes) -> int:
        """Return 1 when a branch_route, failure_route or onreply_route is armed, else -1."""
        shared = context.shared
        armed = {b"b": shared.on_branch, b"f": shared.on_failure, b"o": shared.on_reply}
        return 1 if armed.get(kind[:1].lower()) else -1

    @kemi("tm.t_release", routes=Route.REQUEST)
    def t_release(self, context: Context) -> int:
        """Forget the transaction unless it was relayed or answered; -1 when there is none."""
        server = context.transaction
        if server is None:
            return -1
        self.relay.finish(context)
        return 1

    @kemi("tm.t_set_fr")
    def t_set_fr(self, context: Context, fr_inv: int, fr: int = 0) -> int:
        """Set fr_inv_timer and fr_timer (milliseconds, 0: unchanged) for this transaction."""
        changes = {}
        if fr_inv > 0:
            changes["fr_inv_timer"] = fr_inv / 1000
        if fr > 0:
            changes["fr_timer"] = fr / 1000
        return self._change_timing(context, changes)

    @kemi("tm.t_set_fr_inv", native=())
    def t_set_fr_inv(self, context: Context, fr_inv: int) -> int:
        """Set fr_inv_timer (milliseconds) for this transaction."""
        return self.t_set_fr(context, fr_inv, 0)

    @kemi("tm.t_reset_fr")
    def t_reset_fr(self, context: Context) -> int:
        """Undo t_set_fr."""
        timing = self.relay.settings.timing
        return self._change_timing(
            context, {"fr_inv_timer": timing.fr_inv_timer, "fr_timer": timing.fr_timer}
        )

    @kemi("tm.t_set_retr")
    def t_set_retr(self, context: Context, first: int, second: int) -> int:
        """Set retr_timer1 and retr_timer2 (milliseconds, 0: unchanged) for this transaction."""
        changes = {}
        if first > 0:
            changes["retr_timer1"] = first / 1000
        if second > 0:
            changes["retr_timer2"] = second / 1000
        return self._change_timing(context, changes)

    @kemi("tm.t_reset_retr")
    def t_reset_retr(self, context: Context) -> int:
        """Undo t_set_retr."""
        timing = self.relay.settings.timing
        return self._change_timing(
            context, {"retr_timer1": timing.retr_timer1, "retr_timer2": timing.retr_timer2}
        )

    def _change_timing(self, context: Context, changes: dict[str, float]) -> int:
        timing = replace(self.relay.timing(context), **changes)
        context.shared.notes["tm_timing"] = timing
        if context.transaction is not None:
            context.transaction.timing = timing
        return 1

    @kemi("tm.t_any_replied")
    def t_any_replied(self, context: Context) -> int:
        """Return 1 when any branch has had a reply, else -1."""
        return _any_branch(context, lambda branch: branch.reply is not None)

    @kemi("tm.t_any_timeout")
    def t_any_timeout(self, context: Context) -> int:
        """Return 1 when any branch has timed out, else -1."""
        return _any_branch(context, lambda branch: branch.code == 408 and branch.reply is None)

    @kemi("tm.t_branch_timeout")
    def t_branch_timeout(self, context: Context) -> int:
        """Return 1 when the failure route runs because the branch timed out, else -1."""
        winner = context.transaction.winner if context.transaction is not None else None
        return 1 if winner is not None and winner.code == 408 and winner.reply is None else -1

    @kemi("tm.t_branch_replied")
    def t_branch_replied(self, context: Context) -> int:
        """Return 1 when the failure route runs because of a reply that was received, else -1."""
        winner = context.transaction.winner if context.transaction is not None else None
        return 1 if winner is not None and winner.reply is not None else -1

    @kemi("tm.t_grep_status")
    def t_grep_status(self, context: Context, code: int) -> int:
        """Return 1 when any branch has this status, else -1."""
        return _any_branch(context, lambda branch: branch.code == code)

    @kemi("tm.t_retransmit_reply")
    def t_retransmit_reply(self, context: Context) -> int:
        """Send the transaction's last reply again; -1 when there is none."""
        server = context.transaction
        if server is None or not server.last_reply:
            return -1
        return 1 if self.services.network.send(server.target, server.last_reply) else -1

    @pseudo_variable("T_branch_idx")
    def branch_index(self, context: Context, inner: bytes, index: object) -> int:
        """The index of the branch that the route is about, 0 in the request route."""
        return context.branch

    @pseudo_variable("T_reply_code")
    def reply_code(self, context: Context, inner: bytes, index: object) -> int:
        """The code of the winning reply in a failure route, of the reply in a reply route."""
        return self._status(context) if context.route is not Route.REQUEST else 0

    @pseudo_variable("T_reply_reason")
    def reply_reason(self, context: Context, inner: bytes, index: object) -> bytes | None:
        """The reason phrase that goes with $T_reply_code."""
        if not context.message.is_request:
            return context.message.reason
        server = context.transaction
        winner = server.winner if server is not None else None
        if winner is None:
            return None
        if winner.reply is not None:
            return winner.reply.reason
        return REASONS.get(winner.code)

    @rpc("tm.stats")
    def stats(self) -> object:
        """Counts of transactions and replies."""
        total = self.services.statistics.total
        answer = {
            "current": total("tm:inuse_transactions"), "waiting": 0,
            "total": total("tm:UAS_transactions") + total("tm:UAC_transactions"),
            "total_local": total("tm:UAC_transactions"),
            "rpl_received": total("tm:received_replies"),
            "rpl_generated": total("tm:sent_replies"),
            "rpl_sent": total("tm:relayed_replies") + total("tm:sent_replies"),
        }  # fmt: skip
        for number in range(6, 1, -1):
            answer[f"{number}xx"] = total(f"tm:{number}xx_transactions")
        answer["created"] = total("tm:UAS_transactions")
        answer["freed"] = total("tm:freed")
        answer["delayed_free"] = 0
        return answer


def _any_branch(context: Context, test: Callable[[ClientTransaction], bool]) -> int:
    server = context.transaction
    return 1 if server is not None and any(test(branch) for branch in server.branches) else -1


@lru_cache(maxsize=256)
def _status_pattern(pattern: bytes) -> re.Pattern[bytes]:
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error:
        return re.compile(rb"(?!)")
