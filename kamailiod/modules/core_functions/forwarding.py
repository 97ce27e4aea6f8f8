"""Stateless forwarding (KSR.forward and the native forward functions).

Owns finding the next hop; building and sending is the relay's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from kamailiod.modules.tm import Tm
from kamailiod.net.address import bracketed
from kamailiod.script.context import Branch, Context, Route
from kamailiod.script.module import kemi
from kamailiod.script.services import Services
from lua import Wait

Choices = Sequence[tuple[bytes, bytes, int]]
_ROUTES = Route.REQUEST | Route.FAILURE


class Forwarding:
    """Forwards the request without a transaction: 1 when it was sent, else negative."""

    services: Services

    @kemi("forward", native=(), waits=True)
    def forward(self, context: Context) -> int | Wait:
        """Forward the request statelessly to $du or the request URI."""
        return self._forward_to(context, context.next_hop)

    @kemi("forward_uri", native=(), waits=True)
    def forward_uri(self, context: Context, uri: bytes) -> int | Wait:
        """Forward the request statelessly to a URI, leaving the request URI as it is."""
        return self._forward_to(context, uri)

    @kemi(native="forward", routes=_ROUTES, waits=True)
    def native_forward(
        self, context: Context, host: bytes = b"", port: bytes = b""
    ) -> int | Wait:
        """Forward the request statelessly, to a host and port when they are given."""
        return self._forward_over(context, b"", host, port)

    @kemi(native="forward_udp", routes=_ROUTES, waits=True)
    def forward_udp(self, context: Context, host: bytes = b"", port: bytes = b"") -> int | Wait:
        """Forward the request statelessly over UDP."""
        return self._forward_over(context, b"udp", host, port)

    @kemi(native="forward_tcp", routes=_ROUTES, waits=True)
    def forward_tcp(self, context: Context, host: bytes = b"", port: bytes = b"") -> int | Wait:
        """Forward the request statelessly over TCP."""
        return self._forward_over(context, b"tcp", host, port)

    @kemi(native="forward_tls", routes=_ROUTES, waits=True)
    def forward_tls(self, context: Context, host: bytes = b"", port: bytes = b"") -> int | Wait:
        """Forward the request statelessly over TLS."""
        return self._forward_over(context, b"tls", host, port)

    def _forward_over(
        self, context: Context, transport: bytes, host: bytes, port: bytes
    ) -> int | Wait:
        uri = context.next_hop
        if host and host not in (b"uri:host", b"uri:port"):
            uri = b"sip:" + bracketed(host) + (b":" + port if port.isdigit() else b"")
        if transport:
            uri += b";transport=" + transport
        return self._forward_to(context, uri)

    def _forward_to(self, context: Context, uri: bytes) -> int | Wait:
        if not context.message.is_request:
            return -1
        found = self.services.network.resolve(uri)
        if isinstance(found, Awaitable):
            awaited = found
            return Wait(lambda: self._forward_later(context, uri, awaited))
        return self._send(context, uri, found)

    async def _forward_later(
        self, context: Context, uri: bytes, found: Awaitable[Choices | None]
    ) -> int:
        return self._send(context, uri, await found)

    def _send(self, context: Context, uri: bytes, found: Choices | None) -> int:
        branch = Branch(context.uri, uri, context.path, socket=context.socket)
        return self.services.module(Tm).relay.forward_statelessly(context, branch, found)
