"""{uri.*}: parts of a URI; missing ones are empty (the port 0), an unreadable URI is nothing."""

from __future__ import annotations

import re
from collections.abc import Callable

from kamailiod.script.context import Value
from kamailiod.script.transformations.operation import Operation
from kamailiod.script.variables.value import plain_text
from kamailiod.sip.uri import Uri, parse_uri

_SCHEMES = frozenset((b"sip", b"sips", b"tel", b"tels", b"urn"))


def sip_uri(value: Value) -> Uri | None:
    """Parse a sip, sips, tel or urn URI; None when it is none of them."""
    uri = parse_uri(plain_text(value))
    return uri if uri is not None and uri.scheme in _SCHEMES else None


def _part(read: Callable[[Uri], Value]) -> Operation:
    def call(value: Value) -> Value:
        uri = sip_uri(value)
        return None if uri is None else read(uri)

    return Operation(call)


def _named(name: bytes) -> Operation:
    return _part(lambda uri: uri.parameter(name) or b"")


def _parameter(value: Value, name: Value) -> Value:
    uri = sip_uri(value)
    return None if uri is None else uri.parameter(plain_text(name).strip()) or b""


def _without_parameter(value: Value, name: Value) -> Value:
    uri = sip_uri(value)
    if uri is None:
        return None
    pattern = rb"(?i);\s*" + re.escape(plain_text(name).strip()) + rb"(?:=[^;]*)?(?=;|\Z)"
    return uri.with_parts(parameters=re.sub(pattern, b"", uri.parameters))


def _socket(uri: Uri) -> Value:
    return b"%s:%s:%d" % (uri.transport or b"udp", uri.host, uri.effective_port)


def _address_of_record(uri: Uri) -> Value:
    user = uri.user + b"@" if uri.user else b""
    return b"%s:%s%s" % (uri.scheme, user, uri.host)


def _destination(uri: Uri) -> Value:
    return b"%s:%s" % (uri.scheme, _host_and_transport(uri))


def _short(uri: Uri) -> Value:
    user = uri.user + b"@" if uri.user else b""
    return b"%s:%s%s" % (uri.scheme, user, _host_and_transport(uri))


def _host_and_transport(uri: Uri) -> bytes:
    transport = uri.parameter(b"transport")
    suffix = b";transport=" + transport if transport else b""
    return b"%s%s%s" % (uri.host, b":%d" % uri.port if uri.port else b"", suffix)


OPERATIONS = {
    b"uri.user": _part(lambda uri: uri.user),
    b"uri.host": _part(lambda uri: uri.host),
    b"uri.domain": _part(lambda uri: uri.host),
    b"uri.passwd": _part(lambda uri: uri.password),
    b"uri.port": _part(lambda uri: uri.port),
    b"uri.params": _part(lambda uri: uri.parameters[1:]),
    b"uri.headers": _part(lambda uri: uri.headers),
    b"uri.param": Operation(_parameter, 1),
    b"uri.rmparam": Operation(_without_parameter, 1),
    b"uri.transport": _named(b"transport"),
    b"uri.ttl": _named(b"ttl"),
    b"uri.uparam": _named(b"user"),
    b"uri.maddr": _named(b"maddr"),
    b"uri.method": _named(b"method"),
    b"uri.lr": _named(b"lr"),
    b"uri.r2": _named(b"r2"),
    b"uri.scheme": _part(lambda uri: uri.scheme),
    b"uri.tosocket": _part(_socket),
    b"uri.saor": _part(_address_of_record),
    b"uri.duri": _part(_destination),
    b"uri.suri": _part(_short),
}
