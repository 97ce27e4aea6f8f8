"""$fu, $tu and their parts: From and To.

Reading gives what was received; writing changes only the line that will be sent.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from kamailiod.script.context import Context, Value
from kamailiod.script.variables.accessor import Getter, Registry, Setter, register_all
from kamailiod.script.variables.request_uri import with_user
from kamailiod.script.variables.value import plain_text
from kamailiod.sip.message import SipMessage, line_body
from kamailiod.sip.name_addr import NameAddr, parse_name_addr
from kamailiod.sip.uri import parse_uri

Owner = Callable[[SipMessage], NameAddr | None]
Change = Callable[[NameAddr, bytes], NameAddr | None]


def register(registry: Registry) -> None:
    """Register the variables of From and To."""
    register_all(registry, _getters(b"f", b"from", attrgetter("from_")), _setters(b"f", b"from"))
    register_all(registry, _getters(b"t", b"to", attrgetter("to")), _setters(b"t", b"to"))
    register_all(registry, {b"tts": _to_tag_state})


def _getters(letter: bytes, header: bytes, owner: Owner) -> dict[bytes, Getter]:
    def uri_text(context: Context) -> Value:
        address = owner(context.message)
        return None if address is None else address.uri_text

    def display(context: Context) -> Value:
        address = owner(context.message)
        return None if address is None else address.display or None

    def tag(context: Context) -> Value:
        address = owner(context.message)
        return None if address is None else address.tag or None

    # Read for nearly every request, so each is one function.
    def user(context: Context) -> Value:
        address = owner(context.message)
        uri = None if address is None else parse_uri(address.uri_text)
        return None if uri is None else uri.user or None

    def host(context: Context) -> Value:
        address = owner(context.message)
        uri = None if address is None else parse_uri(address.uri_text)
        return None if uri is None else uri.host or None

    return {
        b"%su %s" % (letter, header): uri_text,
        b"%sU %s.user" % (letter, header): user,
        b"%sd %s.domain" % (letter, header): host,
        b"%sn" % letter: display,
        b"%st" % letter: tag,
        b"%sUl" % letter: lambda context: len(plain_text(user(context))),
        b"%sul" % letter: lambda context: len(plain_text(uri_text(context))),
    }


def _to_tag_state(context: Context) -> Value:
    if context.message.to is None:
        return -1
    return 1 if context.message.to_tag else 0


def _setters(letter: bytes, header: bytes) -> dict[bytes, Setter]:
    uri, user = _setter(header, _with_uri), _setter(header, _with_user)
    host, display = _setter(header, _with_host), _setter(header, _with_display)
    return {
        letter + b"u": uri,
        header: uri,
        letter + b"U": user,
        header + b".user": user,
        letter + b"d": host,
        header + b".domain": host,
        letter + b"n": display,
    }


def _setter(header: bytes, change: Change) -> Setter:
    def set(context: Context, value: Value) -> bool:
        numbers = context.message.index.get(header)
        line = context.edits.line(context.message, numbers[0]) if numbers else None
        address = parse_name_addr(line_body(line)) if line is not None else None
        if address is None or numbers is None or line is None or isinstance(value, int):
            return False
        changed = change(address, value or b"")
        if changed is None:
            return False
        name = line[: line.find(b":") + 1]
        context.edits.replaced[numbers[0]] = b"%s %s" % (name, bytes(changed))
        return True

    return set


def _with_uri(address: NameAddr, value: bytes) -> NameAddr | None:
    return NameAddr(address.display, value, address.parameters) if value else None


def _with_user(address: NameAddr, value: bytes) -> NameAddr | None:
    uri = address.uri
    if uri is None:
        return None
    return NameAddr(address.display, with_user(uri, value), address.parameters)


def _with_host(address: NameAddr, value: bytes) -> NameAddr | None:
    uri = address.uri
    if uri is None or not value:
        return None
    return NameAddr(address.display, uri.with_parts(host=value), address.parameters)


def _with_display(address: NameAddr, value: bytes) -> NameAddr | None:
    return NameAddr(value, address.uri_text, address.parameters)
