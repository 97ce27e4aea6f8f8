"""tm: relaying to a next hop that the script names, and copies of requests to other servers.

Owns how a next hop is written; relaying is tm's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kamailiod.net.address import Target, bracketed
from kamailiod.net.resolver import Choice
from kamailiod.script.context import Branch, Context, Route
from kamailiod.script.forwarded_request import forwarded_request
from kamailiod.script.module import kemi
from kamailiod.script.relay import AUTO_TRYING, FAILED, Relay
from kamailiod.script.services import Services
from kamailiod.script.transactions import loop_value
from kamailiod.sip.uri import parse_uri
from lua import Wait

_ROUTES = Route.REQUEST | Route.FAILURE
_NO_TRYING = 1
_TRANSPORTS = (b"udp", b"tcp", b"tls", b"sctp", b"ws", b"wss")


class RelayingElsewhere:
    """t_relay with the next hop as argument, for all branches that are about to be sent."""

    services: Services
    relay: Relay
    t_relay: Callable[[Context], int | Wait]

    @kemi("tm.t_relay_to_proxy", native="t_relay_to", routes=_ROUTES, waits=True)
    def t_relay_to_proxy(self, context: Context, proxy: bytes = b"") -> int | Wait:
        """Do as t_relay, to `[transport:]host[:port]` instead of the next hop."""
        return self.t_relay_to_proxy_flags(context, proxy, 0)

    @kemi("tm.t_relay_to_flags", native=(), routes=_ROUTES, waits=True)
    def t_relay_to_flags(self, context: Context, flags: int) -> int | Wait:
        """Do as t_relay; flag 1 sends no 100, the others are of no effect."""
        return self.t_relay_to_proxy_flags(context, b"", flags)

    @kemi("tm.t_relay_to_proxy_flags", native="t_relay_to", routes=_ROUTES, waits=True)
    def t_relay_to_proxy_flags(self, context: Context, proxy: bytes, flags: int) -> int | Wait:
        """Do as t_relay_to_proxy; flag 1 sends no 100, the others are of no effect."""
        if flags & _NO_TRYING:
            context.shared.notes[AUTO_TRYING] = False
        if not proxy:
            return self.t_relay(context)
        uri = _proxy_uri(proxy)
        return FAILED if uri is None else self._relay_by(context, uri)

    @kemi("tm.t_relay_to_proto", native=(), routes=_ROUTES, waits=True)
    def t_relay_to_proto(self, context: Context, transport: bytes) -> int | Wait:
        """Do as t_relay, over this transport; empty: over that of the next hop."""
        uri = _over(context.next_hop, transport.lower()) if transport else context.next_hop
        return FAILED if uri is None else self._relay_by(context, uri)

    @kemi("tm.t_relay_to_proto_addr", native=(), routes=_ROUTES, waits=True)
    def t_relay_to_proto_addr(
        self, context: Context, transport: bytes, host: bytes, port: int
    ) -> int | Wait:
        """Do as t_relay, over a transport to a host and port."""
        uri = _address_uri(transport.lower() or b"udp", host, port)
        return FAILED if uri is None else self._relay_by(context, uri)

    @kemi(native=("t_relay_to_udp", "t_forward_nonack_udp"), routes=_ROUTES, waits=True)
    def t_relay_to_udp(self, context: Context, host: bytes = b"", port: int = 0) -> int | Wait:
        """Do as t_relay, over UDP, to a host and port if given."""
        return self._relay_over(context, b"udp", host, port)

    @kemi(native=("t_relay_to_tcp", "t_forward_nonack_tcp"), routes=_ROUTES, waits=True)
    def t_relay_to_tcp(self, context: Context, host: bytes = b"", port: int = 0) -> int | Wait:
        """Do as t_relay, over TCP, to a host and port if given."""
        return self._relay_over(context, b"tcp", host, port)

    @kemi(native=("t_relay_to_tls", "t_forward_nonack_tls"), routes=_ROUTES, waits=True)
    def t_relay_to_tls(self, context: Context, host: bytes = b"", port: int = 0) -> int | Wait:
        """Do as t_relay, over TLS, to a host and port if given."""
        return self._relay_over(context, b"tls", host, port)

    @kemi(native=("t_relay", "t_forward_nonack"), routes=_ROUTES, waits=True)
    def t_relay_at(self, context: Context, host: bytes, port: int) -> int | Wait:
        """Do as t_relay, to a host and port over the transport of the next hop."""
        uri = parse_uri(context.next_hop)
        transport = uri.transport if uri is not None else b""
        return self._relay_over(context, transport or b"udp", host, port)

    @kemi(native="t_forward_nonack_uri", routes=Route.REQUEST, waits=True)
    def t_forward_nonack_uri(self, context: Context) -> int | Wait:
        """Do as t_relay, for a request that is no ACK; -1 for an ACK."""
        return -1 if context.message.method == b"ACK" else self.t_relay(context)

    @kemi(native="t_relay_cancel", routes=Route.REQUEST)
    def t_relay_cancel(self, context: Context) -> int:
        """Relay a CANCEL whose INVITE is here and end the script: 0; 1 when there is no INVITE."""
        if context.message.method != b"CANCEL" or not self.relay.cancel(context):
            return 1
        context.relayed = True
        return 0

    def _relay_over(
        self, context: Context, transport: bytes, host: bytes, port: int
    ) -> int | Wait:
        if host:
            return self.t_relay_to_proto_addr(context, transport, host, port)
        return self.t_relay_to_proto(context, transport)

    def _relay_by(self, context: Context, uri: bytes) -> int | Wait:
        before = [(branch, branch.destination) for branch in context.branches]
        destination = context.destination
        context.destination = uri
        for branch in context.branches:
            branch.destination = uri
        result = self.t_relay(context)
        if isinstance(result, int) and result < 0:
            context.destination = destination
            for branch, old in before:
                branch.destination = old
        return result

    @kemi("tm.t_replicate", routes=Route.REQUEST, waits=True)
    def t_replicate(self, context: Context, uri: bytes = b"") -> int | Wait:
        """Send a copy of the request, whose replies are dropped: 1 sent, -1 not.

        It goes to a URI, or to the next hop; the request itself is the script's to answer.
        """
        if not context.message.is_request or context.message.method in (b"ACK", b"CANCEL"):
            return -1
        branch = Branch(uri or context.uri, b"" if uri else context.destination)
        found = self.services.network.resolve(branch.destination or branch.uri)
        if found is None or isinstance(found, Sequence):
            return self._send_copy(context, branch, found)

        async def resolve_and_send() -> int:
            return self._send_copy(context, branch, await found)

        return Wait(resolve_and_send)

    @kemi(native=("t_replicate", "t_replicate_udp"), routes=Route.REQUEST, waits=True)
    def t_replicate_udp(self, context: Context, host: bytes, port: int) -> int | Wait:
        """Send a copy of the request over UDP to a host and port."""
        return self._replicate_over(context, b"udp", host, port)

    @kemi(native="t_replicate_tcp", routes=Route.REQUEST, waits=True)
    def t_replicate_tcp(self, context: Context, host: bytes, port: int) -> int | Wait:
        """Send a copy of the request over TCP to a host and port."""
        return self._replicate_over(context, b"tcp", host, port)

    @kemi(native="t_replicate_tls", routes=Route.REQUEST, waits=True)
    def t_replicate_tls(self, context: Context, host: bytes, port: int) -> int | Wait:
        """Send a copy of the request over TLS to a host and port."""
        return self._replicate_over(context, b"tls", host, port)

    def _replicate_over(
        self, context: Context, transport: bytes, host: bytes, port: int
    ) -> int | Wait:
        uri = _address_uri(transport, host, port)
        return -1 if uri is None else self.t_replicate(context, uri)

    def _send_copy(
        self, context: Context, branch: Branch, found: Sequence[Choice] | None
    ) -> int:
        if not found:
            return -1
        transport, host, port = found[0]
        local = self.services.network.socket_for(transport, host, context.source.local)
        if local is None:
            return -1
        relay = self.relay
        server = relay.transaction(context)
        target = Target(transport, host, port, local)
        branch_id = relay.transactions.next_branch_id(loop_value(context.message), 0xFFFF)
        data = forwarded_request(context, branch, target, branch_id, context.edits.copy())
        client = relay.transactions.add_client(
            server, branch_id, data, target, relay.timing(context), server.is_invite, -1
        )
        if client.start():
            return 1
        client.state = 6
        relay.transactions.drop_client(client)
        return -1


def _proxy_uri(proxy: bytes) -> bytes | None:
    transport, separator, rest = proxy.partition(b":")
    if not separator or transport.lower() not in _TRANSPORTS:
        transport, rest = b"udp", proxy
    uri = b"sip:%b;transport=%b" % (rest, transport.lower())
    return uri if parse_uri(uri) is not None else None


def _address_uri(transport: bytes, host: bytes, port: int) -> bytes | None:
    if transport not in _TRANSPORTS or not host:
        return None
    where = b":%d" % port if port else b""
    uri = b"sip:%b%b;transport=%b" % (bracketed(host), where, transport)
    return uri if parse_uri(uri) is not None else None


def _over(uri: bytes, transport: bytes) -> bytes | None:
    parsed = parse_uri(uri)
    if parsed is None or not parsed.is_sip or transport not in _TRANSPORTS:
        return None
    return _address_uri(transport, parsed.bare_host, parsed.port)
