"""$sel(path): the common paths of Kamailio's select framework, `via[1].host`, `from.uri.user`.

Owns the paths; what they read is parsed elsewhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from kamailiod.script.context import Context, Value
from kamailiod.script.variables.accessor import Accessor, Getter, Registry, Specification
from kamailiod.script.variables.headers import pick
from kamailiod.script.variables.request_uri import scheme
from kamailiod.sip.header_names import canonical
from kamailiod.sip.name_addr import NameAddr
from kamailiod.sip.uri import Uri, parse_uri
from kamailiod.sip.via import Via

# path = step *( "." step );  step = name [ "[" index "]" ] / name '["' text '"]'
_STEP = re.compile(rb"([A-Za-z0-9_%\-]+)(?:\[\s*(?:(-?[0-9]+)|\"([^\"]*)\")\s*\])?(?:\.|\Z)")

Step = tuple[bytes, int | None]
Rest = list[Step]


def register(registry: Registry) -> None:
    """Register $sel."""
    registry.register(b"sel", _select)


def _select(specification: Specification) -> Accessor | None:
    steps = parse_steps(specification.inner.lstrip(b"@"))
    if not steps:
        return None
    (name, index), rest = steps[0], steps[1:]
    make = _ROOTS.get(name)
    getter = make(index, rest) if make is not None else _plain_header(name, index, rest)
    return Accessor(getter) if getter is not None else None


def parse_steps(path: bytes) -> Rest:
    """Cut a path into names and indices; a quoted index is a name of its own; [] when malformed."""
    steps: Rest = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            return []
        name, index, quoted = match.groups()
        steps.append((name, int(index) if index is not None else None))
        if quoted is not None:
            steps.append((quoted, None))
        position = match.end()
    return steps


def _plain_header(name: bytes, index: int | None, rest: Rest) -> Getter | None:
    if name not in _HEADERS or rest:
        return None
    return lambda context: context.message.header(_HEADERS[name])


def _uri_part(uri: Uri | None, rest: Rest) -> Value:
    if uri is None:
        return None
    if not rest:
        return uri.text
    part = rest[0][0]
    if part == b"params" and len(rest) > 1:
        return uri.parameter(rest[1][0])
    read = _URI_PARTS.get(part)
    return read(uri) if read is not None else None


def _host_port(uri: Uri) -> Value:
    return uri.host + (b":%d" % uri.effective_port)


_URI_PARTS: dict[bytes, Callable[[Uri], Value]] = {
    b"user": lambda uri: uri.user or None,
    b"pwd": lambda uri: uri.password or None,
    b"host": lambda uri: uri.host or None,
    b"port": lambda uri: b"%d" % uri.port if uri.port else None,
    b"hostport": _host_port,
    b"params": lambda uri: uri.parameters.lstrip(b";") or None,
    b"headers": lambda uri: uri.headers or None,
    b"type": scheme,
    b"transport": lambda uri: uri.transport or None,
}


def _request_uri(index: int | None, rest: Rest) -> Getter:
    del index
    return lambda context: _uri_part(parse_uri(context.uri), rest)


def _destination(index: int | None, rest: Rest) -> Getter:
    del index
    return lambda context: _uri_part(parse_uri(context.destination), rest)


def _next_hop(index: int | None, rest: Rest) -> Getter:
    del index
    return lambda context: _uri_part(parse_uri(context.next_hop), rest)


def _address_part(address: NameAddr, rest: Rest) -> Value:
    part = rest[0][0]
    if part == b"uri":
        return _uri_part(address.uri, rest[1:])
    if part == b"name":
        return address.display or None
    if part == b"params":
        if len(rest) == 1:
            return address.parameters.lstrip(b"; ") or None
        return address.parameter(rest[1][0])
    return address.parameter(part)


def _address(header: bytes) -> Callable[[int | None, Rest], Getter]:
    def make(index: int | None, rest: Rest) -> Getter:
        place = 0 if index is None else index - 1 if index > 0 else index

        def get(context: Context) -> Value:
            if not rest:
                return context.message.header(header)
            found = context.message.addresses(header) or []
            if not -len(found) <= place < len(found):
                return None
            return _address_part(found[place], rest)

        return get

    return make


def _via(index: int | None, rest: Rest) -> Getter | None:
    if index == 0:
        return None
    place = 0 if index is None else index - 1 if index > 0 else index

    def get(context: Context) -> Value:
        vias = context.message.vias
        if not -len(vias) <= place < len(vias):
            return None
        return _via_part(vias[place], rest) if rest else bytes(vias[place])

    return get


def _via_part(via: Via, rest: Rest) -> Value:
    part = rest[0][0]
    if part == b"params" and len(rest) > 1:
        return via.parameter(rest[1][0])
    read = _VIA_PARTS.get(part)
    return read(via) if read is not None else via.parameter(part)


_VIA_PARTS: dict[bytes, Callable[[Via], Value]] = {
    b"name": lambda via: via.name,
    b"version": lambda via: via.version,
    b"transport": lambda via: via.transport,
    b"host": lambda via: via.host,
    b"port": lambda via: b"%d" % via.port if via.port else None,
    b"params": lambda via: via.parameters.lstrip(b"; ") or None,
    b"alias": lambda via: via.parameter(b"alias"),
}


def _cseq(index: int | None, rest: Rest) -> Getter | None:
    del index
    part = rest[0][0] if rest else b""
    reads: dict[bytes, Getter] = {
        b"": lambda context: context.message.header(b"cseq"),
        b"num": lambda context: b"%d" % context.message.cseq[0],
        b"method": lambda context: context.message.cseq[1],
    }
    return reads.get(part)


def _message(index: int | None, rest: Rest) -> Getter | None:
    del index
    part = rest[0][0] if rest else b""
    reads: dict[bytes, Getter] = {
        b"": lambda context: context.message.data,
        b"len": lambda context: b"%d" % len(context.message.data),
        b"id": lambda context: context.message.call_id,
        b"type": lambda context: b"request" if context.message.is_request else b"reply",
        b"first_line": lambda context: context.message.lines[0],
        b"header": lambda context: b"\r\n".join((*context.message.lines[1:], b"", b"")),
        b"body": lambda context: context.message.body,
    }
    return reads.get(part)


def _endpoint(
    host: Callable[[Context], bytes], port: Callable[[Context], int]
) -> Callable[[int | None, Rest], Getter | None]:
    def make(index: int | None, rest: Rest) -> Getter | None:
        del index
        part = rest[0][0] if rest else b""
        if part == b"ip":
            return host
        if part == b"port":
            return lambda context: b"%d" % port(context)
        if part == b"ip_port":
            return lambda context: b"%s:%d" % (host(context), port(context))
        return None

    return make


def _source_host(context: Context) -> bytes:
    return context.source.host


def _source_port(context: Context) -> int:
    return context.source.port


def _local_host(context: Context) -> bytes:
    return context.source.local.host


def _local_port(context: Context) -> int:
    return context.source.local.port


def _received(index: int | None, rest: Rest) -> Getter | None:
    if rest and rest[0][0] == b"proto":
        return lambda context: context.source.local.transport
    return _endpoint(_local_host, _local_port)(index, rest)


def _header_value(index: int | None, rest: Rest) -> Getter | None:
    del index
    if not rest:
        return None
    name, nth = canonical(rest[0][0].replace(b"_", b"-")), rest[0][1]
    place = None if nth is None else nth - 1 if nth > 0 else nth

    def get(context: Context) -> Value:
        bodies = context.message.headers(name)
        values = [part.strip() for body in bodies for part in body.split(b",")]
        return pick(values, place)

    return get


def _header_exists(index: int | None, rest: Rest) -> Getter | None:
    del index
    if not rest:
        return None
    name = canonical(rest[0][0].replace(b"_", b"-"))
    return lambda context: b"1" if name in context.message.index else b"0"


def _method(index: int | None, rest: Rest) -> Getter | None:
    del index
    if rest:
        return None
    return lambda context: context.message.cseq[1] or None


def _system(index: int | None, rest: Rest) -> Getter | None:
    del index
    part = rest[0][0] if rest else b""
    return {b"pid": lambda context: b"%d" % os.getpid()}.get(part)


_ROOTS: dict[bytes, Callable[[int | None, Rest], Getter | None]] = {
    b"ruri": _request_uri,
    b"dst_uri": _destination,
    b"next_hop": _next_hop,
    b"from": _address(b"from"),
    b"f": _address(b"from"),
    b"to": _address(b"to"),
    b"t": _address(b"to"),
    b"contact": _address(b"contact"),
    b"m": _address(b"contact"),
    b"refer_to": _address(b"refer-to"),
    b"rpid": _address(b"remote-party-id"),
    b"record_route": _address(b"record-route"),
    b"route": _address(b"route"),
    b"via": _via,
    b"v": _via,
    b"cseq": _cseq,
    b"msg": _message,
    b"message": _message,
    b"src": _endpoint(_source_host, _source_port),
    b"dst": _endpoint(_local_host, _local_port),
    b"received": _received,
    b"hf_value": _header_value,
    b"hf_value_exists": _header_exists,
    b"method": _method,
    b"sys": _system,
    b"version": lambda index, rest: lambda context: b"SIP/2.0",
}

_HEADERS = {
    name.replace(b"-", b"_"): name
    for name in (
        b"call-id accept accept-encoding accept-language alert-info allow allow-events "
        b"authorization call-info content-disposition content-encoding content-language "
        b"content-length content-type date diversion error-info event expires in-reply-to "
        b"max-forwards mime-version min-expires organization p-asserted-identity "
        b"p-preferred-identity path priority privacy proxy-authenticate proxy-authorization "
        b"proxy-require reply-to require retry-after server session-expires subject "
        b"supported timestamp unsupported user-agent warning www-authenticate"
    ).split()
}
