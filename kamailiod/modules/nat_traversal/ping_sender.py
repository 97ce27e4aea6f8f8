"""Sending NAT pings from a SIP worker, and knowing their answers.

Owns the bytes of a ping; which contacts get one is pings.py's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from kamailiod.modules.nat_traversal.pings import Ping
from kamailiod.net.address import ListenAddress, Target
from kamailiod.net.resolver import Choice
from kamailiod.script.services import Services
from kamailiod.sip.message import SipMessage

_FOUR_BYTES = b"\0\0\0\0"
_BRANCH = b"z9hG4bKnat"


class PingSender:
    """Sends pings without transactions: `source` is the From URI, `heard(tag)` hears answers.

    `socket` sends to contacts that do not say by which one they registered.
    """

    def __init__(
        self, services: Services, method: bytes, source: bytes,
        socket: ListenAddress | None, heard: Callable[[bytes], object],
    ) -> None:  # fmt: skip
        self._services = services
        self._method = method
        self._source = source
        self._socket = socket
        self._heard = heard
        self._sockets = {address.text: address for address in services.network.sockets}

    def send(self, ping: Ping, call_id: bytes) -> None:
        """Send one ping, once its next hop is resolved."""
        found = self._services.network.resolve(ping.hop)
        if found is None or isinstance(found, Sequence):
            self._send_to(ping, call_id, found)
            return

        async def resolve_and_send() -> None:
            self._send_to(ping, call_id, await found)

        task = self._services.loop.create_task(resolve_and_send())
        task.add_done_callback(lambda done: done.exception())

    def takes(self, reply: SipMessage) -> bool:
        """Whether a reply answers a ping: nobody else needs to see it."""
        via = reply.top_via
        if via is None or not via.branch.startswith(_BRANCH):
            return False
        if reply.status >= 200:
            self._heard(reply.from_tag)
        return True

    def _send_to(self, ping: Ping, call_id: bytes, found: Sequence[Choice] | None) -> None:
        if not found:
            return
        _, host, port = found[0]
        network = self._services.network
        wanted = self._sockets.get(ping.socket) or self._socket or network.sockets[0]
        local = network.socket_for(b"udp", host, wanted)
        if local is not None:
            data = self._request(ping, call_id, local) if ping.uri else _FOUR_BYTES
            network.send(Target(b"udp", host, port, local), data)

    def _request(self, ping: Ping, call_id: bytes, local: ListenAddress) -> bytes:
        return b"\r\n".join((
            b"%b %b SIP/2.0" % (self._method, ping.uri),
            local.via_start + _BRANCH + os.urandom(8).hex().encode(),
            *((b"Route: " + ping.path,) if ping.path else ()),
            b"From: <%b>;tag=%b" % (self._source, ping.tag),
            b"To: <%b>" % ping.uri,
            b"Call-ID: " + call_id,
            b"CSeq: 1 " + self._method,
            b"Max-Forwards: 70",
            b"Content-Length: 0\r\n\r\n",
        ))  # fmt: skip
