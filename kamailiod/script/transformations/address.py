"""{nameaddr.*} and {tobody.*}: parts of one address, `"name" <uri>;parameters`."""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.script.context import Value
from kamailiod.script.transformations.operation import Operation
from kamailiod.script.transformations.uri import sip_uri
from kamailiod.script.variables.value import plain_text
from kamailiod.sip.name_addr import NameAddr, parse_name_addr
from kamailiod.sip.uri import Uri


def _part(read: Callable[[NameAddr, bytes], Value]) -> Operation:
    def call(value: Value) -> Value:
        text = plain_text(value)
        address = parse_name_addr(text)
        if address is None or sip_uri(address.uri_text) is None:
            return None
        return read(address, text)

    return Operation(call)


def _uri_part(read: Callable[[Uri], Value]) -> Operation:
    def call(value: Value) -> Value:
        address = parse_name_addr(plain_text(value))
        uri = None if address is None else sip_uri(address.uri_text)
        return None if uri is None else read(uri)

    return Operation(call)


def _enclosed(text: bytes) -> tuple[int, int]:
    # Where the URI stands between "<" and ">"; all of a text without them is the URI.
    start = text.find(b"<", text.rfind(b'"') + 1)
    end = text.find(b">", start)
    return (start + 1, end) if 0 <= start < end else (0, len(text))


def _name(value: Value) -> Value:
    # Kamailio keeps the blanks between the name and "<".
    text = plain_text(value)
    return text[: max(0, _enclosed(text)[0] - 1)].lstrip()


def _uri(value: Value) -> Value:
    text = plain_text(value)
    start, end = _enclosed(text)
    return text[start:end]


def _length(value: Value) -> Value:
    text = plain_text(value)
    start, end = _enclosed(text)
    return end + 1 if start else end


OPERATIONS = {
    b"nameaddr.name": Operation(_name),
    b"nameaddr.uri": Operation(_uri),
    b"nameaddr.len": Operation(_length),
    b"tobody.uri": _part(lambda address, text: address.uri_text),
    b"tobody.tag": _part(lambda address, text: address.tag),
    b"tobody.display": _part(lambda address, text: address.display),
    b"tobody.params": _part(lambda address, text: address.parameters.lstrip(b"; ")),
    b"tobody.user": _uri_part(lambda uri: uri.user),
    b"tobody.host": _uri_part(lambda uri: uri.host),
}
