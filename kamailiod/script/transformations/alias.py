"""{urialias.*}: a host, port and transport as `ip~port~proto`, the alias parameter, and back."""

from __future__ import annotations

import re

from kamailiod.net.address import PROTOCOL_IDS, bracketed
from kamailiod.script.context import Value
from kamailiod.script.transformations.operation import Operation
from kamailiod.script.variables.value import plain_text
from kamailiod.sip.uri import parse_uri

_ALIAS = re.compile(rb"\[?([0-9A-Za-z.:_\-]+)\]?~([0-9]{1,5})~([0-9])\Z")
_NAMES = {number: name for name, number in PROTOCOL_IDS.items()}


def _encode(value: Value) -> Value:
    uri = parse_uri(plain_text(value))
    if uri is None or not uri.host:
        return b""
    number = PROTOCOL_IDS.get(uri.transport or b"udp", 1)
    return b"%s~%d~%d" % (uri.host, uri.effective_port, number)


def _decode(value: Value) -> Value:
    match = _ALIAS.match(plain_text(value).removeprefix(b";").removeprefix(b"alias="))
    if match is None:
        return None
    host, port, number = match.groups()
    transport = _NAMES.get(int(number), b"")
    suffix = b";transport=" + transport if transport not in (b"", b"udp", b"none") else b""
    return b"sip:%s:%s%s" % (bracketed(host), port, suffix)


OPERATIONS = {b"urialias.encode": Operation(_encode), b"urialias.decode": Operation(_decode)}
