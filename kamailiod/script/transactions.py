"""The transactions of one worker: matching, making and forgetting them (RFC 3261 17.1.3, 17.2.3).

Owns the tables of server and client transactions; what is done with replies is the relay's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from zlib import crc32

from kamailiod.net.address import Target
from kamailiod.script.context import Context, Happening
from kamailiod.sip.build import stamped_via
from kamailiod.sip.message import SipMessage
from kamailiod.sip.transaction import (
    ClientTransaction,
    Effects,
    Timing,
    Transaction,
    TransactionUser,
)

COOKIE = b"z9hG4bK"
Key = tuple[object, ...]


class Transactions:
    """Server transactions by their key, client transactions by the branch of their Via.

    `pending` are requests whose script waits before there is a transaction: their
    retransmissions are absorbed and CANCEL finds them.  `accepted` are answered INVITEs by Call-ID
    and CSeq number, which the ACK of a 2xx has in common with them.  The worker's rank is in the
    upper half of each identity's index.
    """

    def __init__(self, effects: Effects, user: TransactionUser, rank: int = 0) -> None:
        self.effects = effects
        self.rank = rank
        self.user = user
        self.servers: dict[Key, Transaction] = {}
        self.clients: dict[bytes, ClientTransaction] = {}
        self.pending: dict[Key, Context] = {}
        self.accepted: dict[tuple[bytes, int], Transaction] = {}
        self.created: list[Callable[[Context, Transaction], object]] = []
        self._prefix = COOKIE + os.urandom(4).hex().encode()
        self._next = 0

    def find(self, message: SipMessage) -> Transaction | None:
        """Return the server transaction of a request; an ACK finds its INVITE."""
        return self.servers.get(request_key(message))

    def find_invite(self, cancel: SipMessage) -> Transaction | None:
        """Return the INVITE transaction that a CANCEL is for (RFC 3261 9.2)."""
        return self.servers.get(invite_key(cancel))

    def find_client(self, reply: SipMessage) -> ClientTransaction | None:
        """Return the client transaction that a reply is for, by Via branch and CSeq method."""
        via = reply.top_via
        if via is None:
            return None
        branch = via.branch
        if reply.cseq[1] == b"CANCEL":
            branch += b"C"
        return self.clients.get(branch)

    def find_accepted(self, ack: SipMessage) -> Transaction | None:
        """Return the answered INVITE that the ACK of a 2xx is for."""
        return self.accepted.get((ack.call_id, ack.cseq[0]))

    def create(self, context: Context, target: Target, timing: Timing) -> Transaction:
        """Make the server transaction of a context's request; `target` is where replies go."""
        message = context.message
        key = request_key(message)
        self._next += 1
        server = Transaction(
            key, message, context, target, target.transport != b"udp", timing, self.effects,
            self.user, (self.rank << 16 | crc32(message.call_id) & 0xFFFF, self._next),
        )  # fmt: skip
        via = message.top_via
        if via is not None:
            source = context.source
            server.via_line = stamped_via(
                message, via, source.host, source.port, context.force_rport
            )
        self.servers[key] = server
        context.transaction = server
        for callback in self.created:
            callback(context, server)
        return server

    def create_local(self, context: Context, timing: Timing) -> Transaction:
        """Make the context of a request of our own: its server side has ended already."""
        self._next += 1
        server = Transaction(
            ("local", self._next), context.message, context, None, True, timing, self.effects,
            self.user, (0, self._next),
        )  # fmt: skip
        server.state = 6
        self.servers[server.key] = server
        context.transaction = server
        return server

    def next_branch_id(self, loop_value: int, index: int) -> bytes:
        """Return a new Via branch; its last part tells a loop (RFC 3261 16.6 step 8)."""
        self._next += 1
        return b"%s.%x.%x.%08x" % (self._prefix, self._next, index, loop_value)

    def add_client(
        self, server: Transaction, branch_id: bytes, data: bytes, target: Target, timing: Timing,
        is_invite: bool, index: int,
    ) -> ClientTransaction:  # fmt: skip
        """Make a client transaction; the caller starts it."""
        client = ClientTransaction(
            server, index, branch_id, data, target, target.transport != b"udp", is_invite, timing,
            self.effects, self.user,
        )  # fmt: skip
        self.clients[branch_id] = client
        return client

    def drop_client(self, client: ClientTransaction) -> None:
        """Forget a client transaction, and its server transaction when that was the last."""
        self.clients.pop(client.branch_id, None)
        if client.server.is_done:
            self.drop(client.server)

    def drop(self, server: Transaction) -> None:
        """Forget a transaction that is done."""
        if self.servers.pop(server.key, None) is None:
            return
        server.stop()
        if server.is_invite and 200 <= server.final_code < 300:
            self.accepted.pop((server.request.call_id, server.request.cseq[0]), None)
        for client in server.branches:
            self.clients.pop(client.branch_id, None)
        tell(server, Happening.DESTROYED, None, server.final_code)
        # The cycle transaction - context - shared state is cut here, not left to the collector.
        server.context.transaction = None
        server.branches = []

    def __len__(self) -> int:
        return len(self.servers)


def request_key(message: SipMessage) -> Key:
    """Return what identifies a request's transaction (RFC 3261 17.2.3); an ACK has its INVITE's."""
    key = message.transaction_key
    if key is None:
        method = message.method
        key = _key(message, b"INVITE" if method == b"ACK" else method)
        message.transaction_key = key
    return key


def invite_key(cancel: SipMessage) -> Key:
    """Return what identifies the INVITE transaction that a CANCEL is for (RFC 3261 9.2)."""
    return _key(cancel, b"INVITE")


def _key(message: SipMessage, method: bytes) -> Key:
    via = message.top_via
    branch = via.branch if via is not None else b""
    if via is not None and len(branch) > len(COOKIE) and branch[:7] == COOKIE:
        return (branch, via.host, via.port, method)
    return (
        message.uri_text, message.from_tag, message.call_id, message.cseq[0],
        bytes(via) if via is not None else b"", method,
    )  # fmt: skip


def tell(
    server: Transaction, what: Happening, message: SipMessage | None, code: int
) -> None:
    """Tell a transaction's listeners what happened."""
    context: Any = server.context
    for listener in context.shared.listeners:
        listener(what, server, message, code)


def loop_value(message: SipMessage) -> int:
    """Return a hash of all that decides on a request's way (RFC 3261 16.6 step 8, RFC 5393)."""
    if message.loop_value >= 0:
        return message.loop_value
    index = message.index
    lines = message.lines
    parts = [message.uri_text, message.call_id, lines[index[b"from"][0]], lines[index[b"to"][0]],
             lines[index[b"cseq"][0]]]  # fmt: skip
    for name in (b"route", b"proxy-require", b"proxy-authorization"):
        if name in index:
            parts += [lines[number] for number in index[name]]
    return crc32(b"\n".join(parts))


def is_loop(message: SipMessage, sent_by: bytes) -> bool:
    """Whether this request was here before with nothing changed (RFC 3261 16.3 step 4)."""
    if sent_by + b";branch=" + COOKIE not in message.data:
        return False
    value = b".%08x" % loop_value(message)
    return any(
        via.branch.endswith(value) and via.branch[:7] == COOKIE and via.sent_by == sent_by
        for via in message.vias
    )
