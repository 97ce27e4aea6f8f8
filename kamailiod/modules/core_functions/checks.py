"""What a message is: its method, its transport, its addresses (KSR.is_*, KSR.to_*).

Owns questions only; it changes nothing and knows no module.  Methods are compared as bytes, since
these functions run several times for every request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from kamailiod.script.context import Context
from kamailiod.script.module import kemi
from kamailiod.sip.uri import parse_uri

METHOD_LETTERS = {
    b"I": b"INVITE",
    b"A": b"ACK",
    b"B": b"BYE",
    b"C": b"CANCEL",
    b"M": b"MESSAGE",
    b"R": b"REGISTER",
    b"E": b"PRACK",
    b"P": b"PUBLISH",
    b"S": b"SUBSCRIBE",
    b"N": b"NOTIFY",
    b"O": b"OPTIONS",
    b"F": b"REFER",
    b"U": b"UPDATE",
    b"K": b"KDMQ",
    b"G": b"GET",
    b"T": b"POST",
    b"D": b"DELETE",
    b"V": b"PUT",
}
"""The letters of is_method_in."""

_PROTOCOL_LETTERS = {b"u": b"udp", b"t": b"tcp", b"s": b"tls", b"w": b"ws", b"x": b"wss"}
_IPV4 = re.compile(rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3}\Z")

_Question = Callable[["Checks", Context], bool]


def _method_is(method: bytes) -> _Question:
    def question(self: Checks, context: Context) -> bool:
        message = context.message
        return (message.method or message.cseq[1]) == method

    question.__doc__ = f"Whether the method (in a reply: the CSeq method) is {method.decode()}."
    return kemi("is_" + method.decode(), native=())(question)


def _came_over(name: str, *transports: bytes) -> _Question:
    def question(self: Checks, context: Context) -> bool:
        return context.source.local.transport in transports

    question.__doc__ = f"Whether the message came over {b' or '.join(transports).decode()}."
    return kemi("is_" + name, native=())(question)


def _goes_over(name: str, *transports: bytes) -> _Question:
    def question(self: Checks, context: Context) -> bool:
        uri = parse_uri(context.next_hop)
        return uri is not None and (uri.transport or b"udp") in transports

    question.__doc__ = f"Whether the next hop's URI asks for {b' or '.join(transports).decode()}."
    return kemi("to_" + name, native=())(question)


class Checks:
    """The KSR.is_* and KSR.to_* functions that look at the message and where it came from."""

    is_INVITE = _method_is(b"INVITE")
    is_ACK = _method_is(b"ACK")
    is_BYE = _method_is(b"BYE")
    is_CANCEL = _method_is(b"CANCEL")
    is_REGISTER = _method_is(b"REGISTER")
    is_OPTIONS = _method_is(b"OPTIONS")
    is_NOTIFY = _method_is(b"NOTIFY")
    is_SUBSCRIBE = _method_is(b"SUBSCRIBE")
    is_PUBLISH = _method_is(b"PUBLISH")
    is_REFER = _method_is(b"REFER")
    is_INFO = _method_is(b"INFO")
    is_UPDATE = _method_is(b"UPDATE")
    is_PRACK = _method_is(b"PRACK")
    is_MESSAGE = _method_is(b"MESSAGE")
    is_KDMQ = _method_is(b"KDMQ")
    is_GET = _method_is(b"GET")
    is_POST = _method_is(b"POST")
    is_PUT = _method_is(b"PUT")
    is_DELETE = _method_is(b"DELETE")

    is_UDP = _came_over("UDP", b"udp")
    is_TCP = _came_over("TCP", b"tcp")
    is_TCPX = _came_over("TCPX", b"tcp", b"tls")
    is_TLS = _came_over("TLS", b"tls")
    is_WS = _came_over("WS", b"ws")
    is_WSS = _came_over("WSS", b"wss")
    is_WSX = _came_over("WSX", b"ws", b"wss")
    is_SCTP = _came_over("SCTP", b"sctp")

    to_UDP = _goes_over("UDP", b"udp")
    to_TCP = _goes_over("TCP", b"tcp")
    to_TLS = _goes_over("TLS", b"tls")
    to_SCTP = _goes_over("SCTP", b"sctp")
    to_WS = _goes_over("WS", b"ws")
    to_WSS = _goes_over("WSS", b"wss")
    to_WSX = _goes_over("WSX", b"ws", b"wss")

    @kemi("is_method", native=())
    def is_method(self, context: Context, methods: bytes) -> bool:
        """Whether the method is one of these, separated by "|" and compared without case."""
        message = context.message
        return (message.method or message.cseq[1]) in method_set(methods)

    @kemi("is_method_in", native=())
    def is_method_in(self, context: Context, letters: bytes) -> bool:
        """Whether the method is one of these letters' ("IABC": INVITE, ACK, BYE, CANCEL)."""
        message = context.message
        return (message.method or message.cseq[1]) in _lettered(letters)

    @kemi("is_proto", native=())
    def is_proto(self, context: Context, protocols: bytes) -> bool:
        """Whether the message came over one of these: names, or letters of e, u, t, s, w, x."""
        transport = context.source.local.transport
        text = protocols.lower()
        if text in (b"udp", b"tcp", b"tls", b"sctp", b"ws", b"wss"):
            return transport == text
        return any(_PROTOCOL_LETTERS.get(text[i : i + 1]) == transport for i in range(len(text)))

    @kemi("is_IPv4", native=())
    def is_ipv4(self, context: Context) -> bool:
        """Whether the message came over IPv4."""
        return b":" not in context.source.host

    @kemi("is_IPv6", native=())
    def is_ipv6(self, context: Context) -> bool:
        """Whether the message came over IPv6."""
        return b":" in context.source.host

    @kemi("to_IPv4", native=())
    def to_ipv4(self, context: Context) -> bool:
        """Whether the next hop's host is an IPv4 literal."""
        uri = parse_uri(context.next_hop)
        return uri is not None and _IPV4.match(uri.host) is not None

    @kemi("to_IPv6", native=())
    def to_ipv6(self, context: Context) -> bool:
        """Whether the next hop's host is an IPv6 literal."""
        uri = parse_uri(context.next_hop)
        return uri is not None and uri.host[:1] == b"["

    @kemi("is_src_port", native=())
    def is_src_port(self, context: Context, port: int) -> bool:
        """Whether the message came from this port."""
        return context.source.port == port

    @kemi("is_dst_port", native=())
    def is_dst_port(self, context: Context, port: int) -> bool:
        """Whether the message came to this local port."""
        return context.source.local.port == port


@lru_cache(maxsize=256)
def method_set(methods: bytes) -> frozenset[bytes]:
    """Return the methods of a list such as `INVITE|ACK`, in capitals."""
    return frozenset(re.split(rb"[|,\s]+", methods.strip().upper()))


@lru_cache(maxsize=256)
def _lettered(letters: bytes) -> frozenset[bytes]:
    upper = letters.upper()
    found = (METHOD_LETTERS.get(upper[i : i + 1], b"") for i in range(len(upper)))
    return frozenset(method for method in found if method)
