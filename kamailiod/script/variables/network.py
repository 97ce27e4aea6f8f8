"""Variables of the network: source, receiving socket, protocol, connection.

Owns reading them off a context's source; choosing a socket is in modules/pv.py.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.net.address import PROTOCOL_IDS, bracketed
from kamailiod.script.context import Context, Value
from kamailiod.script.variables.accessor import Getter, Registry, chosen, register_all


def register(registry: Registry) -> None:
    """Register the variables of the network."""
    register_all(registry, GETTERS)
    registry.register(
        b"af",
        chosen(
            {
                b"id": lambda context: 10 if b":" in context.source.host else 2,
                b"name": lambda context: b"IPv6" if b":" in context.source.host else b"IPv4",
            }
        ),
    )
    registry.register(b"rcv", chosen(RECEIVED))
    registry.register(b"recv", chosen(RECEIVED))


def _source_uri(context: Context) -> bytes:
    source = context.source
    return b"sip:%s:%d" % (bracketed(source.host), source.port)


def _local_uri(context: Context) -> bytes:
    local = context.source.local
    return b"sip:%s:%d" % (bracketed(local.host), local.port)


def _advertised_uri(context: Context) -> bytes:
    local = context.source.local
    return b"sip:%s:%d" % (bracketed(local.advertised_host), local.advertised_port)


def _with_transport(uri: Callable[[Context], bytes]) -> Getter:
    return lambda context: b"%s;transport=%s" % (uri(context), context.source.local.transport)


def _source_socket(context: Context) -> Value:
    source = context.source
    return b"%s:%s:%d" % (source.local.transport, bracketed(source.host), source.port)


def _source_host(context: Context) -> Value:
    return context.source.host


def _source_port(context: Context) -> Value:
    return context.source.port


def _protocol(context: Context) -> Value:
    return context.source.local.transport


def _protocol_id(context: Context) -> Value:
    return PROTOCOL_IDS.get(context.source.local.transport, 0)


GETTERS: dict[bytes, Getter] = {
    b"si src_ip": _source_host,
    b"sp src_port": _source_port,
    b"siz": lambda context: bracketed(context.source.host),
    b"su": _source_uri,
    b"sut": _with_transport(_source_uri),
    b"sas": _source_socket,
    b"proto pr": _protocol,
    b"prid": _protocol_id,
    b"Ri dst_ip": lambda context: context.source.local.host,
    b"Rp dst_port": lambda context: context.source.local.port,
    b"Ru": _local_uri,
    b"Rut": _with_transport(_local_uri),
    b"Ras": lambda context: context.source.local.text,
    b"Rn": lambda context: context.source.local.name or None,
    b"RAi": lambda context: context.source.local.advertised_host,
    b"RAp": lambda context: context.source.local.advertised_port,
    b"RAu": _advertised_uri,
    b"RAut": _with_transport(_advertised_uri),
    b"conid": lambda context: context.source.connection_id or None,
}

RECEIVED: dict[bytes, Getter] = {
    b"buf": lambda context: context.message.data,
    b"len": lambda context: len(context.message.data),
    b"proto": _protocol,
    b"sproto": _protocol,
    b"srcip": _source_host,
    b"srcport": _source_port,
    b"rcvip": lambda context: context.source.local.host,
    b"rcvport": lambda context: context.source.local.port,
    b"af": lambda context: 10 if b":" in context.source.host else 2,
}
