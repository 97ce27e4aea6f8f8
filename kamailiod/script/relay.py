"""The proxy core (RFC 3261 16): destinations become branches, replies go back upstream.

Owns forwarding, forking, CANCEL and the choice of the final reply; it knows transactions, context
and network, no module and no Lua.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kamailiod.net.address import Target
from kamailiod.net.network import Network
from kamailiod.net.resolver import Choice
from kamailiod.script.context import Branch, Context, Happening, Route
from kamailiod.script.forwarded_request import forwarded_request
from kamailiod.script.transactions import Transactions, invite_key, loop_value, tell
from kamailiod.sip.build import (
    REASONS,
    build_cancel,
    build_relayed_reply,
    build_reply,
)
from kamailiod.sip.edits import Edits
from kamailiod.sip.fork import best_branch, challenges
from kamailiod.sip.message import SipMessage
from kamailiod.sip.transaction import ClientTransaction, Timing, Transaction
from kamailiod.sip.transaction_tables import COMPLETED

UNRESOLVABLE, SEND_FAILED, BAD_URI, NO_BRANCH, TOO_MANY, FAILED = -478, -477, -479, -6, -12, -1
"""Kamailio's error codes of t_relay."""

AUTO_TRYING, NO_6XX, NO_CANCEL_REASON, NO_INTERNAL_REPLY, DROPPED = (
    "tm_auto_trying", "tm_no_6xx", "tm_no_cancel_reason", "tm_no_internal_reply", "tm_dropped",
)  # fmt: skip
"""Shared notes by which a script makes one transaction different; DROPPED are branch indexes."""

_REPLY_FOR = {
    UNRESOLVABLE: (478, b"Unresolvable destination"),
    SEND_FAILED: (477, b"Send failed"),
    BAD_URI: (479, b"Regretfully, we were not able to process the URI"),
    -480: (480, b"Unsupported protocol"),
}


class RouteRunner(Protocol):
    """Runs the routes that a transaction has armed."""

    def run_route(
        self, context: Context, name: bytes, done: Callable[[bool], None] | None = None
    ) -> bool:
        """Run a route; calls done when it has ended, returns whether it ended at once."""


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """What tm's modparams and the core parameters say about relaying."""

    timing: Timing
    signature: tuple[bytes, ...]
    max_branches: int = 12
    auto_trying: bool = True
    trying_reason: bytes = b"trying -- your call is important to us"
    remap_503: bool = True
    aggregate_challenges: bool = True
    cancel_reason: bool = True
    local_cancel_reason: bool = True
    default_code: int = 500
    default_reason: bytes = b"Server Internal Error"


class Relay:
    """Forwards requests and replies of transactions; the user of all transactions of a worker.

    `counters` maps tm's statistics to increments; `send_up` is called for each reply that a
    transaction sends.
    """

    def __init__(
        self, network: Network, settings: RelaySettings, runner: RouteRunner,
        count: Callable[[str], Callable[..., None]], to_tag: Callable[[], bytes],
    ) -> None:  # fmt: skip
        self.network = network
        self.settings = settings
        self.runner = runner
        self.transactions: Transactions
        self._to_tag = to_tag
        self._relayed = count("tm:relayed_replies")
        self._retransmitted = count("tm:retransmissions")
        self._generated = count("tm:sent_replies")
        self._forwarded = count("core:fwd_requests")

    def timing(self, context: Context) -> Timing:
        """Return the timers of a context: those of t_set_fr and t_set_retr, else the settings'."""
        timing = context.shared.notes.get("tm_timing")
        return timing if isinstance(timing, Timing) else self.settings.timing

    def transaction(self, context: Context) -> Transaction:
        """Return the context's transaction, made when there is none."""
        if context.transaction is not None:
            return context.transaction
        target = self.network.reply_target(context.source, context.message)
        if context.force_rport and target.transport == b"udp":
            target = Target(b"udp", context.source.host, context.source.port, target.local)
        return self.transactions.create(context, target, self.timing(context))

    def destinations(self, context: Context) -> list[Branch]:
        """Return the destinations that a context has not been sent to yet."""
        main = Branch(
            context.uri, context.destination, context.path, -1, context.branch_flags,
            context.socket, context.ruid, context.location_ua, context.instance,
        )  # fmt: skip
        if context.shared.notes.get("tm_sent") == (context.uri, context.destination):
            return list(context.branches)
        return [main, *context.branches]

    def forward(
        self, context: Context, branches: Sequence[Branch],
        choices: Sequence[Sequence[Choice] | None],
    ) -> int:  # fmt: skip
        """Send a request to its destinations, whose addresses are known by now.

        Returns 1, or an error code when it could be sent to none.
        """
        if context.message.method == b"ACK":
            return self.forward_statelessly(context, branches[0], choices[0])
        server = self.transaction(context)
        if server.canceled or server.final_code:
            return FAILED
        if len(server.branches) + len(branches) > self.settings.max_branches:
            return self._failed(context, TOO_MANY)
        if server.is_invite and not server.last_reply and context.shared.notes.get(
            AUTO_TRYING, self.settings.auto_trying
        ):
            self.reply(server, 100, self.settings.trying_reason)
        value = loop_value(context.message)
        result = NO_BRANCH
        for branch, found in zip(branches, choices, strict=True):
            sent = self._add_branch(context, server, branch, found, value)
            result = 1 if sent == 1 or result == 1 else sent
        context.branches = []
        context.shared.notes["tm_sent"] = (context.uri, context.destination)
        if result != 1:
            return self._failed(context, result)
        context.relayed = True
        return 1

    def _failed(self, context: Context, code: int) -> int:
        context.shared.notes["tm_error"] = _REPLY_FOR.get(
            code, (self.settings.default_code, self.settings.default_reason)
        )
        return code

    def forward_statelessly(
        self, context: Context, branch: Branch, found: Sequence[Choice] | None
    ) -> int:
        """Forward a request without a transaction: the ACK of a 2xx, a CANCEL of no INVITE here."""
        target = self._target(context, branch, found)
        if target is None:
            return UNRESOLVABLE
        branch_id = self.transactions.next_branch_id(loop_value(context.message), 0)
        data = forwarded_request(context, branch, target, branch_id, context.edits)
        context.relayed = True
        if context.message.method == b"ACK":
            server = self.transactions.find_accepted(context.message)
            if server is not None:
                tell(server, Happening.ACK_IN, context.message, server.final_code)
        return 1 if self.network.send(target, data) else SEND_FAILED

    def _add_branch(
        self, context: Context, server: Transaction, branch: Branch,
        found: Sequence[Choice] | None, value: int,
    ) -> int:  # fmt: skip
        edits = context.edits
        if context.shared.on_branch:
            run = self._branch_context(context, server, branch)
            self.runner.run_route(run, context.shared.on_branch)
            if run.dropped:
                return NO_BRANCH
            edits = run.edits
            if (run.uri, run.destination) != (branch.uri, branch.destination):
                branch.uri, branch.destination = run.uri, run.destination
                resolved = self.network.resolve(run.next_hop)
                found = resolved if isinstance(resolved, list) else found
            branch.socket = run.socket
        target = self._target(context, branch, found)
        if target is None:
            return UNRESOLVABLE
        index = len(server.branches)
        branch_id = self.transactions.next_branch_id(value, index)
        data = forwarded_request(context, branch, target, branch_id, edits)
        client = self.transactions.add_client(
            server, branch_id, data, target, self.timing(context), server.is_invite, index
        )
        client.uri = branch.uri
        client.flags = branch.flags
        client.ruid = branch.ruid
        client.on_failure = context.shared.on_branch_failure
        server.branches.append(client)
        if not client.start():
            client.code = 503
            client.state = 6
            self.transactions.clients.pop(branch_id, None)
            return SEND_FAILED
        self._forwarded()
        tell(server, Happening.BRANCH_SENT, None, index)
        return 1

    def _branch_context(self, context: Context, server: Transaction, branch: Branch) -> Context:
        run = context.derive(Route.BRANCH)
        run.uri = branch.uri
        run.destination = branch.destination
        run.path = branch.path
        run.socket = branch.socket
        run.branch_flags = branch.flags
        run.ruid = branch.ruid
        run.branch = len(server.branches)
        return run

    def _target(
        self, context: Context, branch: Branch, found: Sequence[Choice] | None
    ) -> Target | None:
        if not found:
            return None
        transport, host, port = found[0]
        local = branch.socket
        if local is None or local.transport != transport:
            local = self.network.socket_for(transport, host, context.source.local)
        if local is None:
            return None
        return Target(transport, host, port, local)

    def reply(
        self, server: Transaction, code: int, reason: bytes, lines: Sequence[bytes] = (),
        body: bytes = b"",
    ) -> bool:  # fmt: skip
        """Answer a transaction ourselves; a final answer calls all pending branches off."""
        if code > 100 and not server.to_tag:
            server.to_tag = self._to_tag()
        shared: list[bytes] = server.context.shared.reply_lines
        data = build_reply(
            server.request, server.via_line, code, reason, server.to_tag if code > 100 else b"",
            (*shared, *lines, *self.settings.signature), body,
        )  # fmt: skip
        if not server.reply(code, data):
            return False
        if server.is_invite and 200 <= code < 300:
            self._accepted(server)
        self._generated()
        if code >= 200:
            self.cancel_branches(server)
        tell(server, Happening.REPLY_OUT, None, code)
        return True

    def _accepted(self, server: Transaction) -> None:
        request = server.request
        self.transactions.accepted[request.call_id, request.cseq[0]] = server

    def cancel_branches(
        self, server: Transaction, but: ClientTransaction | None = None,
        reason: Sequence[bytes] = (),
    ) -> None:  # fmt: skip
        """Call off every INVITE branch that has no final reply yet (RFC 3261 16.10)."""
        if not server.is_invite:
            return
        if reason:
            server.context.shared.notes["tm_cancel_reason"] = reason
        for client in server.branches:
            if client is not but:
                self.cancel_branch(client)

    def cancel_branch(self, client: ClientTransaction) -> None:
        """Call one INVITE branch off, as soon as it has had a provisional reply (9.1)."""
        if client.has_final or client.canceled or not client.is_invite:
            return
        client.canceled = True
        if client.code >= 100:
            self._send_cancel(client)

    def _send_cancel(self, client: ClientTransaction) -> None:
        if client.cancel is not None:
            return
        notes = client.server.context.shared.notes
        reason: Sequence[bytes] = notes.get("tm_cancel_reason", ())
        data = build_cancel(client.sent, reason)
        client.cancel = self.transactions.add_client(
            client.server, client.branch_id + b"C", data, client.target, client.timing, False, -1
        )
        client.cancel.start()
        if not client.has_final:
            # A branch that never answers its CANCEL must not ring on until fr_inv_timer (9.1).
            client._start_timeout(None)

    def reply_received(self, client: ClientTransaction, reply: SipMessage) -> None:
        """Do with a reply what a proxy must (RFC 3261 16.7)."""
        server = client.server
        if client.index < 0:
            return
        tell(server, Happening.REPLY_IN, reply, reply.status)
        code = reply.status
        if code < 200:
            if client.canceled and client.cancel is None:
                self._send_cancel(client)
            if code > 100 and not server.final_code:
                self._relay_reply(server, client, reply)
            return
        if server.local_callback is not None:
            server.local_callback(code, reply)
            return
        if code < 300:
            if server.is_invite or not server.final_code:
                self._relay_reply(server, client, reply)
                self.cancel_branches(server, client, self._answered_elsewhere(code))
            return
        if code >= 600 and not server.context.shared.notes.get(NO_6XX):
            self.cancel_branches(server, client, self._answered_elsewhere(code))
        self._branch_failed(server, client)

    def _branch_failed(self, server: Transaction, client: ClientTransaction) -> None:
        name = client.on_failure
        if not name or server.final_code or server.canceled or server.suspended:
            self._conclude(server)
            return
        context: Context = server.context.derive(Route.BRANCH_FAILURE)
        context.branches = []
        context.branch = client.index
        context.uri = client.uri
        context.shared.notes["tm_sent"] = (context.uri, context.destination)
        # What the route sends has no such route, unless it arms one.
        context.shared.on_branch_failure = b""
        # The last branch that fails must not end the transaction before its route has.
        server.suspended = True
        self.runner.run_route(context, name, lambda ok: self._after_branch_failure(server))

    def _after_branch_failure(self, server: Transaction) -> None:
        server.suspended = False
        self._conclude(server)

    def _answered_elsewhere(self, code: int) -> Sequence[bytes]:
        # The other phones then list no missed call (RFC 3326 3.1).
        if not self.settings.local_cancel_reason:
            return ()
        text = b';text="Call completed elsewhere"' if code == 200 else b""
        return (b"Reason: SIP;cause=%d%b" % (code, text),)

    def client_failed(self, client: ClientTransaction, code: int) -> None:
        """A branch timed out (408) or could not be sent (503)."""
        server = client.server
        if client.index < 0:
            return
        if server.local_callback is not None:
            server.local_callback(code, None)
            return
        if code == 408:
            tell(server, Happening.TIMEOUT, None, client.index)
        if client.is_invite and not client.canceled and client.state == COMPLETED:
            # Timer C: a callee that rang too long is called off (RFC 3261 16.8); one that never
            # answered is not, because there a CANCEL is not allowed (9.1).
            client.canceled = True
            self._send_cancel(client)
        self._branch_failed(server, client)

    def client_ended(self, client: ClientTransaction) -> None:
        """Forget a client transaction."""
        self.transactions.drop_client(client)

    def server_ended(self, server: Transaction) -> None:
        """Forget a server transaction once its branches have ended, too."""
        if server.is_done:
            self.transactions.drop(server)

    def retransmitted(self) -> None:
        """Count a retransmission."""
        self._retransmitted()

    def _conclude(self, server: Transaction) -> None:
        if server.final_code or server.suspended:
            return
        if any(not client.has_final for client in server.branches):
            return
        shared = server.context.shared
        winner = _best(server)
        server.winner = winner
        name = shared.on_failure
        if not name:
            self._answer(server, winner)
            return
        shared.on_failure = b""
        context: Context = server.context.derive(Route.FAILURE)
        context.branches = []
        shared.notes["tm_sent"] = (context.uri, context.destination)
        server.suspended = True
        self.runner.run_route(context, name, lambda ok: self._after_failure_route(server, winner))

    def _after_failure_route(self, server: Transaction, winner: ClientTransaction | None) -> None:
        server.suspended = False
        if server.final_code or any(not client.has_final for client in server.branches):
            return
        self._answer(server, _best(server) if DROPPED in server.context.shared.notes else winner)

    def _answer(self, server: Transaction, winner: ClientTransaction | None) -> None:
        if winner is None:
            self.reply(server, self.settings.default_code, self.settings.default_reason)
        elif winner.reply is not None:
            self._relay_reply(server, winner, winner.reply)
        elif server.canceled:
            self.reply(server, 487, REASONS[487])
        else:
            self.reply(server, winner.code, REASONS.get(winner.code, b"Request Timeout"))

    def _relay_reply(
        self, server: Transaction, client: ClientTransaction, reply: SipMessage
    ) -> None:
        edits: Edits | None = client.edits
        code = reply.status
        if self.settings.aggregate_challenges and len(server.branches) > 1:
            more = challenges(server.branches, reply)
            if more:
                edits = edits.copy() if edits is not None else Edits()
                edits.end.extend(more)
        stream = server.reliable
        data = build_relayed_reply(reply, edits, stream)
        if code == 503 and self.settings.remap_503:
            # A 503 would make the caller avoid this proxy altogether (RFC 3261 16.7 step 6).
            code = 500
            data = data.replace(b"SIP/2.0 503", b"SIP/2.0 500", 1)
        if server.reply(code, data):
            if server.is_invite and 200 <= code < 300:
                self._accepted(server)
            self._relayed()
            tell(server, Happening.REPLY_OUT, reply, code)

    def cancel(self, context: Context) -> bool:
        """Process a CANCEL (RFC 3261 16.10); False when it matches no INVITE here."""
        server = self.transactions.find_invite(context.message)
        if server is None:
            waiting = self.transactions.pending.get(invite_key(context.message))
            if waiting is None:
                return False
            server = self.transaction(waiting)
        answer = self.transaction(context)
        self.reply(answer, 200, b"canceling")
        if server.final_code:
            return True
        server.canceled = True
        tell(server, Happening.CANCELED, context.message, 0)
        reason: list[bytes] = []
        if self.settings.cancel_reason and not server.context.shared.notes.get(NO_CANCEL_REASON):
            message = context.message
            reason = [message.lines[n] for n in message.index.get(b"reason", ())]
        self.cancel_branches(server, None, reason)
        if all(client.has_final for client in server.branches):
            self.reply(server, 487, REASONS[487])
        return True

    def finish(self, context: Context) -> None:
        """Settle a request's transaction when its script has ended.

        An error of t_relay that the script did not answer is answered; a transaction that nothing
        was done with is forgotten.
        """
        server = context.transaction
        if server is None or server.suspended:
            return
        error = context.shared.notes.pop("tm_error", None)
        silent = context.shared.notes.get(NO_INTERNAL_REPLY)
        if isinstance(error, tuple) and not server.final_code and not silent:
            self.reply(server, error[0], error[1])
        elif not server.branches and not server.final_code:
            if server.last_reply:
                # Answered by a 1xx and left: the caller must not wait, nor the transaction stay.
                server.effects.schedule(server.timing.fr_inv_timer, self._abandoned, server)
                return
            server.state = 6
            server.effects.schedule(
                server.timing.wt_timer, self.transactions.drop, server
            )

    def _abandoned(self, server: Transaction) -> None:
        if not (server.final_code or server.suspended or server.branches):
            self.reply(server, 408, REASONS[408])


def _best(server: Transaction) -> ClientTransaction | None:
    notes = server.context.shared.notes
    dropped = notes.get(DROPPED, ())
    branches = server.branches
    if dropped:
        branches = [branch for branch in branches if branch.index not in dropped]
    return best_branch(branches, not notes.get(NO_6XX))
