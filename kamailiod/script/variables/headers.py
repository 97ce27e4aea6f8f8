"""$hdr, $hfl and the variables of single header fields: Refer-To, Diversion, PAI and their kin.

Owns reading header bodies by name; From and To are in addresses.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from kamailiod.script.context import Context, Value
from kamailiod.script.variables.accessor import (
    Accessor,
    Factory,
    Getter,
    Index,
    Registry,
    Specification,
    register_all,
)
from kamailiod.sip.header_names import canonical
from kamailiod.sip.message import SipMessage
from kamailiod.sip.name_addr import NameAddr, parse_addresses

# A comma outside quotes and "<>" ends an element of a list-valued header (RFC 3261 7.3.1).
_ELEMENT = re.compile(rb"(?:\"(?:[^\"\\]|\\.)*\"|<[^>]*>|[^,\"<]|[\"<])+")

_LISTS = frozenset(
    b"via route record-route contact path service-route diversion p-asserted-identity "
    b"history-info alert-info call-info".split()
)


def register(registry: Registry) -> None:
    """Register $hdr, $hdrc, $hfl, $hflc and the variables of single header fields."""
    registry.register(b"hdr", _indexed(_bodies))
    registry.register(b"hdrc", _counted(_bodies))
    registry.register(b"hfl", _indexed(_elements))
    registry.register(b"hflc", _counted(_elements))
    registry.register(b"expires", _expires)
    register_all(registry, GETTERS)


def pick(values: Sequence[bytes], index: Index) -> Value:
    """Return the value that an index means: the first without one, all joined for "*"."""
    if index is None:
        return values[0] if values else None
    if isinstance(index, str):
        return b",".join(values) if values else None
    if -len(values) <= index < len(values):
        return values[index]
    return None


def _bodies(message: SipMessage, name: bytes) -> list[bytes]:
    return message.headers(name)


def _elements(message: SipMessage, name: bytes) -> list[bytes]:
    bodies = message.headers(name)
    if name not in _LISTS:
        return bodies
    return [part.strip() for body in bodies for part in _ELEMENT.findall(body)]


def _indexed(read: Callable[[SipMessage, bytes], list[bytes]]) -> Factory:
    def factory(specification: Specification) -> Accessor | None:
        name, index = canonical(specification.inner), specification.index
        if not name:
            return None
        if index is None and read is _bodies:
            return Accessor(lambda context: context.message.header(name))
        return Accessor(lambda context: pick(read(context.message, name), index))

    return factory


def _counted(read: Callable[[SipMessage, bytes], list[bytes]]) -> Factory:
    def factory(specification: Specification) -> Accessor | None:
        name = canonical(specification.inner)
        return Accessor(lambda context: len(read(context.message, name))) if name else None

    return factory


def _expires(specification: Specification) -> Accessor | None:
    choose = {b"min": min, b"max": max}.get(specification.inner)
    if choose is None:
        return None

    def get(context: Context) -> Value:
        message = context.message
        default = message.number(b"expires")
        values = []
        for contact in message.contacts or ():
            own = contact.parameter(b"expires")
            if own is not None and own.isdigit():
                values.append(int(own))
            elif default is not None:
                values.append(default)
        if not values and default is not None:
            values.append(default)
        return choose(values) if values else None

    return Accessor(get)


def _address(name: bytes, choose: Callable[[NameAddr], Value]) -> Getter:
    def get(context: Context) -> Value:
        body = context.message.header(name)
        parsed = parse_addresses(body) if body is not None else ()
        return choose(parsed[0]) if parsed else None

    return get


def _uri(address: NameAddr) -> Value:
    return address.uri_text


def _user(address: NameAddr) -> Value:
    uri = address.uri
    return None if uri is None else uri.user or None


def _host(address: NameAddr) -> Value:
    uri = address.uri
    return None if uri is None else uri.host or None


def _parameter(name: bytes) -> Callable[[NameAddr], Value]:
    return lambda address: address.parameter(name)


GETTERS: dict[bytes, Getter] = {
    b"route_uri": _address(b"route", _uri),
    b"rt refer_to": _address(b"refer-to", _uri),
    b"di": _address(b"diversion", _uri),
    b"dir": _address(b"diversion", _parameter(b"reason")),
    b"dip": _address(b"diversion", _parameter(b"privacy")),
    b"dic": _address(b"diversion", _parameter(b"counter")),
    b"re": _address(b"remote-party-id", _uri),
    b"ai": _address(b"p-asserted-identity", _uri),
    b"pu": _address(b"p-preferred-identity", _uri),
    b"pU": _address(b"p-preferred-identity", _user),
    b"pd": _address(b"p-preferred-identity", _host),
    b"pn": _address(b"p-preferred-identity", lambda address: address.display or None),
}
