"""nat_uac_test: whether a message comes from behind a NAT, by what it says and where it is from.

Owns the tests and their bits; changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from kamailiod.modules.nat_traversal.private_addresses import PrivateAddresses
from kamailiod.modules.textops_functions.message_text import current_body
from kamailiod.script.context import Context
from kamailiod.sip.uri import Uri, parse_uri

_CONNECTION = re.compile(rb"^c=IN[ \t]+IP[46][ \t]+([^\s/]+)", re.MULTILINE | re.IGNORECASE)
_STREAMS = (b"ws", b"wss")


class UacTest:
    """The tests by their bits; any of those asked for that is true decides."""

    __slots__ = ("_private", "_tests")

    def __init__(self, private: PrivateAddresses) -> None:
        self._private = private
        self._tests: tuple[tuple[int, Callable[[Context], bool]], ...] = (
            (32, self._source_is_private), (16, _port_differs), (2, _via_differs),
            (1, self._contact_is_private), (8, self._sdp_is_private), (4, self._via_is_private),
            (64, _comes_by_websocket), (128, _contact_port_differs), (256, _sdp_differs),
            (512, _target_differs),
        )  # fmt: skip

    def __call__(self, context: Context, bits: int) -> bool:
        return any(bits & bit and test(context) for bit, test in self._tests)

    def _source_is_private(self, context: Context) -> bool:
        return context.source.host in self._private

    def _contact_is_private(self, context: Context) -> bool:
        return any(uri.host in self._private for uri in _contacts(context))

    def _sdp_is_private(self, context: Context) -> bool:
        return any(host in self._private for host in _media_hosts(context))

    def _via_is_private(self, context: Context) -> bool:
        via = context.message.top_via
        return via is not None and via.host in self._private


def _contacts(context: Context) -> list[Uri]:
    return [c.uri for c in context.message.contacts or () if c.uri is not None and c.uri.is_sip]


def _media_hosts(context: Context) -> list[bytes]:
    body = current_body(context)
    return _CONNECTION.findall(body) if body else []


def _port_differs(context: Context) -> bool:
    via = context.message.top_via
    return via is not None and context.source.port != (via.port or 5060)


def _via_differs(context: Context) -> bool:
    via = context.message.top_via
    return via is not None and via.host.strip(b"[]") != context.source.host


def _comes_by_websocket(context: Context) -> bool:
    return context.source.local.transport in _STREAMS


def _contact_port_differs(context: Context) -> bool:
    contacts = _contacts(context)
    return bool(contacts) and contacts[0].effective_port != context.source.port


def _sdp_differs(context: Context) -> bool:
    return any(host != context.source.host for host in _media_hosts(context))


def _target_differs(context: Context) -> bool:
    message = context.message
    if not message.is_request:
        vias = message.vias
        if len(vias) < 2:
            return False
        received, rport = vias[1].parameter(b"received"), vias[1].parameter(b"rport")
        return bool(received and received != vias[1].host) or bool(
            rport and rport != b"%d" % (vias[1].port or 5060)
        )
    uri = parse_uri(context.uri)
    if uri is None or uri.transport in _STREAMS:
        return uri is not None
    destination = parse_uri(context.destination) if context.destination else None
    if destination is None:
        return False
    return (
        destination.transport in _STREAMS
        or destination.host.lower() != uri.host.lower()
        or destination.effective_port != uri.effective_port
    )
