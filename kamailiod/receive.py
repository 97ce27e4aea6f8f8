"""The way of a message through a worker: to its transaction, its script or another worker.

Owns the order of the steps; each step is somebody else's.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from kamailiod.metrics.core_statistics import REQUEST_STATISTICS
from kamailiod.modules.sl import Sl
from kamailiod.modules.tm import Tm
from kamailiod.net.address import Source
from kamailiod.net.network import Network
from kamailiod.net.ownership import owner_rank
from kamailiod.script.context import Context, Route
from kamailiod.script.engine import Engine
from kamailiod.script.log import DEBUG, Log
from kamailiod.script.transactions import request_key
from kamailiod.sip.build import REASONS, build_relayed_reply
from kamailiod.sip.message import SipMessage, parse

HandOver = Callable[[int, bytes, Source], bool]
Counter = Callable[..., None]


class Receiver:
    """Takes every message that this worker's sockets, streams and mailbox bring."""

    def __init__(
        self, rank: int, workers: int, hash_offset: int, network: Network, engine: Engine,
        tm: Tm, sl: Sl, log: Log, counter: Callable[[str], Counter],
        observe: Callable[[float], None], hand_over: HandOver,
        max_waiting: int, force_rport: bool,
    ) -> None:  # fmt: skip
        self._rank = rank
        self._workers = workers
        self._hash_offset = hash_offset
        self._network = network
        self._engine = engine
        self._tm = tm
        self._sl = sl
        self._log = log
        self._observe = observe
        self._hand_over = hand_over
        self._max_waiting = max_waiting
        self._force_rport = force_rport
        self._datagrams = counter("core:datagrams_rcvd")
        self._requests = counter("core:rcv_requests")
        self._replies = counter("core:rcv_replies")
        self._by_method = {
            method: counter(name) for method, name in REQUEST_STATISTICS.items()
        }
        self._by_class = {n: counter(f"core:rcv_replies_{n}xx") for n in range(1, 7)}
        self._malformed_requests = counter("core:malformed_requests")
        self._malformed_replies = counter("core:malformed_replies")
        self._keepalives = counter("core:keepalives")
        self._handed_over = counter("core:handed_over")
        self._steered = counter("core:steered")
        self._dropped_requests = counter("core:drop_requests")
        self._dropped_replies = counter("core:drop_replies")
        self._forwarded_replies = counter("core:fwd_replies")
        self._refused = counter("core:waits_refused")

    def receive(self, data: bytes, source: Source) -> None:
        """Take one datagram or one message of a stream."""
        started = perf_counter()
        self._datagrams()
        if len(data) < 16 and not data.strip(b"\r\n \t\0"):
            self._keepalives()
            return
        message = parse(data, source.connection_id != 0)
        if message.fault is not None:
            self._refuse(message, source)
            return
        if self._workers > 1:
            owner = owner_rank(message.call_id, self._workers, self._hash_offset)
            if owner != self._rank:
                self._handed_over()
                self._hand_over(owner, data, source)
                return
            self._steered()
        self.process(message, source)
        self._observe(perf_counter() - started)

    def process(self, message: SipMessage, source: Source) -> None:
        """Process a message that belongs to this worker."""
        if message.is_request:
            self._request(message, source)
        else:
            self._reply(message, source)

    def _request(self, message: SipMessage, source: Source) -> None:
        self._requests()
        count = self._by_method.get(message.method)
        if count is not None:
            count()
        if message.method == b"ACK" and self._sl.is_own_ack(message):
            return
        if self._tm.absorb(message):
            return
        pending = self._tm.transactions.pending
        if pending and request_key(message) in pending and message.method != b"ACK":
            return
        context = Context(message, source)
        context.force_rport = self._force_rport
        route = self._engine.request_route
        if route is None:
            self._dropped_requests()
            return
        if self._engine.waiting >= self._max_waiting:
            self._refused()
            self._sl.send_reply(context, 503, REASONS[503], (b"Retry-After: 5",))
            return
        ended = self._engine.run(context, route, lambda ok: self._request_done(context, ok))
        if not ended:
            pending[request_key(message)] = context

    def _request_done(self, context: Context, ok: bool) -> None:
        pending = self._tm.transactions.pending
        if pending:
            key = request_key(context.message)
            if pending.get(key) is context:
                del pending[key]
        if not ok and not context.replied and not context.relayed:
            self._sl.send_reply(context, 500, REASONS[500])
        if (
            context.message.method == b"CANCEL" and not context.relayed and not context.replied
            and not context.dropped
        ):  # fmt: skip
            # A script that leaves CANCEL to the server, as the guide's does, must not leave the
            # callee ringing (RFC 3261 16.10).
            self._tm.relay.cancel(context)
        self._tm.relay.finish(context)

    def _reply(self, message: SipMessage, source: Source) -> None:
        self._replies()
        self._by_class[message.status // 100]()
        filters = self._tm.reply_filters
        if filters and any(takes(message) for takes in filters):
            return
        context = Context(message, source, Route.REPLY)
        route = self._engine.reply_route
        if route is None:
            self._reply_done(context, True)
            return
        self._engine.run(context, route, lambda ok: self._reply_done(context, ok))

    def _reply_done(self, context: Context, ok: bool) -> None:
        if context.dropped:
            self._dropped_replies()
            return
        client = self._tm.reply_client(context.message)
        if client is not None:
            self._tm.receive_reply(client, context)
        else:
            self._forward_stateless(context)

    def _forward_stateless(self, context: Context) -> None:
        # RFC 3261 16.7 and 18.1.2: a reply without a transaction goes on by its second Via, if the
        # first one is ours.
        message = context.message
        vias = message.vias
        local = context.source.local
        if len(vias) < 2 or not self._network.is_myself(vias[0].host, vias[0].port or 5060):
            self._dropped_replies()
            return
        target = self._network.via_target(vias[1], local)
        if target is None or _is_broadcast(target.host):
            self._dropped_replies()
            return
        data = build_relayed_reply(message, context.edits if context.edits else None)
        if self._network.send(target, data):
            self._forwarded_replies()

    def _refuse(self, message: SipMessage, source: Source) -> None:
        if self._log.enabled(DEBUG):
            self._log.debug("core", f"malformed message from {source.host!r}: {message.fault}")
        if not message.is_request:
            self._malformed_replies()
            return
        self._malformed_requests()
        if message.fault_status == 0 or message.method == b"ACK" or b"via" not in message.index:
            return
        context = Context(message, source)
        reason = REASONS.get(message.fault_status, b"Bad Request")
        self._sl.send_reply(context, message.fault_status, reason)


def _is_broadcast(host: bytes) -> bool:
    return host == b"255.255.255.255"

