"""Requests that the server makes itself: BYE on a dialog's time-out, pings, uac.

Owns their bytes and their client transactions; who wants them and why is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kamailiod.net.address import ListenAddress, Target
from kamailiod.net.resolver import Choice
from kamailiod.script.context import Context, Route
from kamailiod.script.services import Services
from kamailiod.script.transactions import Transactions
from kamailiod.sip.build import CRLF
from kamailiod.sip.message import SipMessage, parse
from kamailiod.sip.name_addr import parse_name_addr
from kamailiod.sip.transaction import Timing

if TYPE_CHECKING:
    from kamailiod.script.relay import Relay


@dataclass(frozen=True, slots=True)
class LocalRequest:
    """One request to send: `from_` and `to` are whole header bodies with their tags.

    `routes` are Route header bodies, `headers` further header lines without CRLF; `next_hop`
    overrides where it goes (else the first route, else the URI), `socket` where from.
    """

    method: bytes
    uri: bytes
    from_: bytes
    to: bytes
    call_id: bytes
    cseq: int
    routes: tuple[bytes, ...] = ()
    headers: tuple[bytes, ...] = ()
    body: bytes = b""
    next_hop: bytes = b""
    socket: ListenAddress | None = None


Callback = Callable[[int, SipMessage | None], object]


class RequestSender:
    """Sends requests of our own, each in a client transaction of this worker."""

    def __init__(self, services: Services, transactions: Transactions, timing: Timing) -> None:
        self._services = services
        self._transactions = transactions
        self._timing = timing
        self._count = services.statistics.counter("tm:UAC_transactions")
        self._signature = services.request_signature

    def send(self, request: LocalRequest, callback: Callback) -> bool:
        """Send a request; callback(status, reply) hears its final reply, 408, or 478 and 503."""
        hop = request.next_hop or request.uri
        if request.routes and not request.next_hop:
            first = parse_name_addr(request.routes[0])
            hop = first.uri_text if first is not None else hop
        found = self._services.network.resolve(hop)
        if found is None or isinstance(found, list):
            return self._send_to(request, found, callback)

        async def resolve_and_send() -> None:
            self._send_to(request, await found, callback)

        task = self._services.loop.create_task(resolve_and_send())
        task.add_done_callback(lambda done: done.exception())
        return True

    def send_ack(self, request: LocalRequest) -> bool:
        """Send the ACK of a 2xx (RFC 3261 13.2.2.4): once, for no transaction answers it."""
        hop = request.uri
        if request.routes:
            first = parse_name_addr(request.routes[0])
            hop = first.uri_text if first is not None else hop
        found = self._services.network.resolve(hop)
        target = self._target(found, request.socket) if isinstance(found, (tuple, list)) else None
        if target is None:
            return False
        branch_id = self._transactions.next_branch_id(0, 0)
        return self._services.network.send(target, self._bytes(request, target, branch_id))

    def _send_to(
        self, request: LocalRequest, found: Sequence[Choice] | None, callback: Callback
    ) -> bool:
        target = self._target(found, request.socket)
        if target is None:
            callback(478, None)
            return False
        branch_id = self._transactions.next_branch_id(0, 0)
        data = self._bytes(request, target, branch_id)
        message = parse(data)
        context = self._services.faked_context()
        context.message = message
        context.route = Route.LOCAL
        server = self._transactions.create_local(context, self._timing)

        def final(status: int, reply: SipMessage | None) -> None:
            server.final_code = status
            callback(status, reply)

        server.local_callback = final
        client = self._transactions.add_client(
            server, branch_id, data, target, self._timing, request.method == b"INVITE", 0
        )
        server.branches.append(client)
        if client.start():
            self._count()
            return True
        client.state = 6
        self._transactions.drop_client(client)
        callback(503, None)
        return False

    def _target(
        self, found: Sequence[Choice] | None, socket: ListenAddress | None
    ) -> Target | None:
        if not found:
            return None
        transport, host, port = found[0]
        network = self._services.network
        local = network.socket_for(transport, host, socket or network.sockets[0])
        return None if local is None else Target(transport, host, port, local)

    def _bytes(self, request: LocalRequest, target: Target, branch_id: bytes) -> bytes:
        return CRLF.join((
            b"%s %s SIP/2.0" % (request.method, request.uri),
            target.local.via_start + branch_id,
            *(b"Route: " + route for route in request.routes),
            b"From: " + request.from_,
            b"To: " + request.to,
            b"Call-ID: " + request.call_id,
            b"CSeq: %d %s" % (request.cseq, request.method),
            b"Max-Forwards: 70",
            *request.headers,
            *self._signature,
            b"Content-Length: %d" % len(request.body),
            b"",
            request.body,
        ))  # fmt: skip

    def forward_statelessly(self, context: Context, relay: Relay) -> int:
        """Forward a CANCEL that matches nothing here by its URI (RFC 3261 16.10)."""
        found = self._services.network.resolve(context.next_hop)
        if found is None or not isinstance(found, list):
            return -1
        branches = relay.destinations(context)
        return relay.forward_statelessly(context, branches[0], found) if branches else -1
