"""$ru, $ou, $du, $nh and their parts: where the request was and is going.

Owns reading and writing of the request URI and destination of a context.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.script.context import Context, Value
from kamailiod.script.variables.accessor import Getter, Registry, chosen, register_all
from kamailiod.script.variables.value import plain_text
from kamailiod.sip.uri import Uri, parse_uri

UriPart = Callable[[Uri], Value]


def register(registry: Registry) -> None:
    """Register the variables of the request URI, the original one, destination and next hop."""
    register_all(registry, GETTERS, SETTERS)
    next_hop = {
        b"u": _next_hop_uri,
        b"U": _part_of(_next_hop, user),
        b"d": _part_of(_next_hop, host),
        b"p": _part_of(_next_hop, port),
        b"P": _part_of(_next_hop, transport),
        b"i": lambda context: 0,
    }
    registry.register(b"nh", chosen(next_hop))


def user(uri: Uri) -> Value:
    """Return the user part, None when there is none."""
    return uri.user or None


def host(uri: Uri) -> Value:
    """Return the host, brackets of IPv6 included."""
    return uri.host or None


def port(uri: Uri) -> Value:
    """Return the port as text; without one what the transport has by default."""
    if uri.port:
        return b"%d" % uri.port
    return b"5061" if uri.transport == b"tls" else b"5060"


def transport(uri: Uri) -> Value:
    """Return the transport as written; "UDP" without one, "TLS" for sips."""
    if uri.scheme == b"sips":
        return b"TLS"
    return uri.parameter(b"transport") or b"UDP"


def with_user(uri: Uri, user: bytes) -> bytes:
    """Return a URI's text with another user part; its password goes only when the user does."""
    if user and uri.password:
        user = user + b":" + uri.password
    return uri.with_parts(user=user)


def scheme(uri: Uri) -> Value:
    """Return the scheme; a SIP URI with user=phone counts as tel (Kamailio's phone2tel)."""
    if uri.parameters and uri.is_sip and uri.parameter(b"user") == b"phone":
        return b"tel" if uri.scheme == b"sip" else b"tels"
    return uri.scheme


def length(part: UriPart) -> UriPart:
    """Return a part that is the length of another, 0 when that is missing."""
    return lambda uri: len(plain_text(part(uri)))


def _current_uri(context: Context) -> Value:
    uri = context.uri
    return uri if context.message.is_request and parse_uri(uri) is not None else None


def _current(context: Context) -> Uri | None:
    return parse_uri(context.uri) if context.message.is_request else None


def _original_uri(context: Context) -> Value:
    message = context.message
    return message.uri_text if message.uri is not None else None


def _original(context: Context) -> Uri | None:
    return context.message.uri


def _destination_uri(context: Context) -> Value:
    return context.destination or None


def _destination(context: Context) -> Uri | None:
    return parse_uri(context.destination) if context.destination else None


def _next_hop_uri(context: Context) -> Value:
    return context.next_hop if context.message.is_request else None


def _next_hop(context: Context) -> Uri | None:
    return parse_uri(context.next_hop) if context.message.is_request else None


def _user_of_current(context: Context) -> Value:
    uri = parse_uri(context.uri) if context.message.is_request else None
    return None if uri is None else uri.user or None


def _host_of_current(context: Context) -> Value:
    uri = parse_uri(context.uri) if context.message.is_request else None
    return None if uri is None else uri.host or None


def _part_of(whose: Callable[[Context], Uri | None], part: UriPart) -> Getter:
    def get(context: Context) -> Value:
        uri = whose(context)
        return None if uri is None else part(uri)

    return get


def _set_uri(context: Context, value: Value) -> bool:
    if not isinstance(value, bytes):
        return False
    context.uri = value
    return True


def _set_user(context: Context, value: Value) -> bool:
    if isinstance(value, int):
        return False
    uri = parse_uri(context.uri)
    if uri is None:
        return False
    context.uri = with_user(uri, value or b"")
    return True


def _set_host(context: Context, value: Value) -> bool:
    if not isinstance(value, bytes):
        return False
    return _replace(context, host=value)


def _set_port(context: Context, value: Value) -> bool:
    if isinstance(value, int):
        return False
    digits = value or b""
    if digits and not (digits.isdigit() and int(digits) < 65536):
        return False
    return _replace(context, port=int(digits or b"0"))


def _replace(context: Context, host: bytes | None = None, port: int | None = None) -> bool:
    uri = parse_uri(context.uri)
    if uri is None:
        return False
    context.uri = uri.with_parts(host=host, port=port)
    return True


def _set_destination(context: Context, value: Value) -> bool:
    if isinstance(value, int):
        return False
    context.destination = value or b""
    return True


GETTERS: dict[bytes, Getter] = {
    b"ru ruri": _current_uri,
    b"rU ruri.user": _user_of_current,
    b"rd ruri.domain": _host_of_current,
    b"rp ruri.port": _part_of(_current, port),
    b"rP": _part_of(_current, transport),
    b"rz": _part_of(_current, scheme),
    b"rUl": _part_of(_current, length(user)),
    b"rul": _part_of(_current, lambda uri: len(uri.text)),
    b"ou ouri": _original_uri,
    b"oU ouri.user": _part_of(_original, user),
    b"od ouri.domain": _part_of(_original, host),
    b"op": _part_of(_original, port),
    b"oP": _part_of(_original, transport),
    b"oz": _part_of(_original, scheme),
    b"oUl": _part_of(_original, length(user)),
    b"du duri": _destination_uri,
    b"dd": _part_of(_destination, host),
    b"dp": _part_of(_destination, port),
    b"dP": _part_of(_destination, transport),
}

SETTERS = {
    b"ru": _set_uri,
    b"ruri": _set_uri,
    b"rU": _set_user,
    b"ruri.user": _set_user,
    b"rd": _set_host,
    b"ruri.domain": _set_host,
    b"rp": _set_port,
    b"ruri.port": _set_port,
    b"du": _set_destination,
    b"duri": _set_destination,
}
