"""How this message, its replies and its connection are to be handled when something is sent.

Owns the marks that scripts set; whoever builds and sends reads them from the shared notes under
the names of this file's constants.
"""

from __future__ import annotations

from collections.abc import Iterable

from kamailiod.net.address import ListenAddress
from kamailiod.script.context import Context
from kamailiod.script.module import kemi
from kamailiod.script.services import Services

LOCAL_RPORT = "add_local_rport"
FORWARD_CLOSE = "forward_close"
FORWARD_NO_CONNECT = "forward_no_connect"
REPLY_CLOSE = "reply_close"
REPLY_NO_CONNECT = "reply_no_connect"
ADVERTISED_ADDRESS = "advertised_address"
ADVERTISED_PORT = "advertised_port"
TCP_ALIAS = "tcp_alias"


class Sending:
    """The functions that mark how to send; they always succeed unless said otherwise."""

    services: Services

    @kemi("force_rport", native=("force_rport", "add_rport"))
    def force_rport(self, context: Context) -> bool:
        """Send replies to where the request came from, as with rport in its Via (RFC 3581)."""
        context.force_rport = True
        return True

    @kemi("add_local_rport")
    def add_local_rport(self, context: Context) -> bool:
        """Put an rport parameter into the Via that this server adds."""
        context.shared.notes[LOCAL_RPORT] = True
        return True

    @kemi(native="force_send_socket")
    def force_send_socket(self, context: Context, address: bytes) -> bool:
        """Send the request from the local socket with this address (`proto:host:port`) or name."""
        socket = find_socket(self.services.network.sockets, address)
        if socket is None:
            return False
        context.socket = socket
        return True

    @kemi("set_forward_close")
    def set_forward_close(self, context: Context) -> bool:
        """Close the connection after the request has been forwarded over it."""
        context.shared.notes[FORWARD_CLOSE] = True
        return True

    @kemi("set_forward_no_connect")
    def set_forward_no_connect(self, context: Context) -> bool:
        """Forward the request only over a connection that is already open."""
        context.shared.notes[FORWARD_NO_CONNECT] = True
        return True

    @kemi("set_reply_close")
    def set_reply_close(self, context: Context) -> bool:
        """Close the connection after the reply."""
        context.shared.notes[REPLY_CLOSE] = True
        return True

    @kemi("set_reply_no_connect")
    def set_reply_no_connect(self, context: Context) -> bool:
        """Send replies only over a connection that is already open."""
        context.shared.notes[REPLY_NO_CONNECT] = True
        return True

    @kemi("set_advertised_address")
    def set_advertised_address(self, context: Context, address: bytes) -> int:
        """Name this host in the Via and Record-Route of this request."""
        context.shared.notes[ADVERTISED_ADDRESS] = address
        return 1

    @kemi("set_advertised_port")
    def set_advertised_port(self, context: Context, port: bytes) -> int:
        """Name this port in the Via and Record-Route of this request; -1 when it is none."""
        if not port.isdigit() or not 0 < int(port) < 65536:
            return -1
        context.shared.notes[ADVERTISED_PORT] = int(port)
        return 1

    @kemi("add_tcp_alias", native=("force_tcp_alias", "add_tcp_alias"))
    def add_tcp_alias(self, context: Context, port: int = 0) -> int:
        """Use the connection also for requests to this port of the peer (0: its Via port)."""
        if port == 0:
            return self.add_tcp_alias_via(context)
        if context.source.connection_id:
            context.shared.notes[TCP_ALIAS] = port
        return 1

    @kemi("add_tcp_alias_via", native=())
    def add_tcp_alias_via(self, context: Context) -> int:
        """Use the connection also for requests to the port of the peer's Via."""
        via = context.message.top_via
        if context.source.connection_id and via is not None:
            context.shared.notes[TCP_ALIAS] = via.port or 5060
        return 1


def find_socket(sockets: Iterable[ListenAddress], address: bytes) -> ListenAddress | None:
    """Return the local socket of an address, `[proto:]host[:port]`, or of a name; None if none."""
    text = address.strip().lower()
    for socket in sockets:
        with_port = socket.text.partition(b":")[2]
        without_port = with_port.rpartition(b":")[0]
        with_transport = b"%s:%s" % (socket.transport, without_port)
        if text in (socket.text, with_port, without_port, with_transport):
            return socket
    return next((s for s in sockets if s.name and s.name == address), None)
