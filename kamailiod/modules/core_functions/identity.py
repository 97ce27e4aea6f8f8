"""Whether an address is this server's own (KSR.is_myself*).

Owns which address of a message is meant; what counts as own is the network's to know.
"""

from __future__ import annotations

from kamailiod.script.context import Context
from kamailiod.script.module import kemi
from kamailiod.script.services import Services
from kamailiod.sip.name_addr import NameAddr
from kamailiod.sip.uri import Uri, parse_uri


class Identity:
    """The KSR.is_myself functions."""

    services: Services

    @kemi("is_myself", native=())
    def is_myself(self, context: Context, address: bytes) -> bool:
        """Whether a host or a URI is one of this server's addresses; without a port any will do."""
        if address[:4].lower() == b"sip:" or address[:5].lower() == b"sips:":
            return self.owns(parse_uri(address))
        return bool(address) and self.services.network.is_myself(address)

    @kemi("is_myself_ruri", native=())
    def is_myself_ruri(self, context: Context) -> bool:
        """Whether the request URI is this server's."""
        return self.owns(parse_uri(context.uri))

    @kemi("is_myself_duri", native=())
    def is_myself_duri(self, context: Context) -> bool:
        """Whether the destination URI ($du) is set and this server's."""
        return bool(context.destination) and self.owns(parse_uri(context.destination))

    @kemi("is_myself_nhuri", native=())
    def is_myself_nhuri(self, context: Context) -> bool:
        """Whether the next hop ($du, else the request URI) is this server."""
        return self.owns(parse_uri(context.next_hop))

    @kemi("is_myself_furi", native=())
    def is_myself_furi(self, context: Context) -> bool:
        """Whether the From URI is this server's."""
        return self.owns(_uri(context.message.from_))

    @kemi("is_myself_turi", native=())
    def is_myself_turi(self, context: Context) -> bool:
        """Whether the To URI is this server's."""
        return self.owns(_uri(context.message.to))

    @kemi("is_myself_suri", native=())
    def is_myself_suri(self, context: Context) -> bool:
        """Whether the source address, port and transport are this server's."""
        source = context.source
        return self.services.network.is_myself(source.host, source.port, source.local.transport)

    @kemi("is_myself_srcip", native=())
    def is_myself_srcip(self, context: Context) -> bool:
        """Whether the source host is this server's."""
        return self.services.network.is_myself(context.source.host)

    def owns(self, uri: Uri | None) -> bool:
        """Whether a parsed URI is this server's; False for none and for other schemes."""
        if uri is None or not uri.is_sip:
            return False
        return self.services.network.is_myself(uri.bare_host, uri.port, uri.transport)


def _uri(address: NameAddr | None) -> Uri | None:
    return address.uri if address is not None else None
