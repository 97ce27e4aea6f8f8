"""{sock.*}: parts of a socket address, `proto:host:port`."""

from __future__ import annotations

import re

from kamailiod.script.context import Value
from kamailiod.script.transformations.operation import Operation
from kamailiod.script.variables.value import plain_text

_SOCKET = re.compile(rb"(?:([a-zA-Z]+):)?(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?\Z")


def _part(group: int) -> Operation:
    def call(value: Value) -> Value:
        match = _SOCKET.match(plain_text(value))
        return None if match is None else match.group(group) or b""

    return Operation(call)


def _port(value: Value) -> Value:
    match = _SOCKET.match(plain_text(value))
    return None if match is None else int(match.group(3) or 0)


def _uri(value: Value) -> Value:
    match = _SOCKET.match(plain_text(value))
    if match is None:
        return None
    transport, host, port = match.groups()
    suffix = b";transport=" + transport.lower() if transport else b""
    return b"sip:%s%s%s" % (host, b":" + port if port else b"", suffix)


OPERATIONS = {
    b"sock.proto": _part(1),
    b"sock.host": _part(2),
    b"sock.port": Operation(_port),
    b"sock.touri": Operation(_uri),
}
