"""Stateless replies (RFC 3261 8.2.7): their bytes, their To tag, where they go.

Owns no script function and no transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zlib import crc32

from kamailiod.net.address import Target
from kamailiod.net.network import Network
from kamailiod.script.context import Context
from kamailiod.sip.build import build_reply, stamped_via
from kamailiod.sip.message import SipMessage


class StatelessReplies:
    """Sends them from one process; `sent` and `by_class` (from 1xx on) count.

    `tag_start` begins every To tag, so that the ACKs of these replies are known; `signature` are
    header lines of each reply.
    """

    def __init__(
        self, network: Network, signature: tuple[bytes, ...], tag_start: bytes,
        sent: Callable[..., None], by_class: list[Callable[..., None]],
    ) -> None:  # fmt: skip
        self._network = network
        self._signature = signature
        self._tag_start = tag_start
        self._sent = sent
        self._by_class = by_class

    def send(
        self, context: Context, code: int, reason: bytes, headers: Sequence[bytes], body: bytes
    ) -> int:
        """Answer a request: 1, or -1 when it was answered already or could not be sent."""
        message = context.message
        source = context.source
        if context.replied or source.port == 0:
            return -1
        via = message.top_via
        line = None
        if via is not None:
            line = stamped_via(message, via, source.host, source.port, context.force_rport)
        data = build_reply(
            message, line, code, reason, self.tag(message) if code > 100 else b"",
            (*context.shared.reply_lines, *headers, *self._signature), body,
        )  # fmt: skip
        target = self._network.reply_target(source, message)
        if context.force_rport and target.transport == b"udp":
            target = Target(b"udp", source.host, source.port, target.local)
        context.replied = code >= 200
        if not self._network.send(target, data):
            return -1
        self._sent()
        self._by_class[code // 100 - 1]()
        return 1

    def tag(self, message: SipMessage) -> bytes:
        """Return the To tag of replies to a request: the same for its retransmissions."""
        numbers = message.index.get(b"via")
        first = message.lines[numbers[0]] if numbers else b""
        return b"%s.%08x" % (self._tag_start, crc32(first + message.call_id))
