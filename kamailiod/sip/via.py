"""The Via header field: one hop of the path a request took (RFC 3261 20.42).

Owns parsing and writing of via-parm; knows nothing of messages or sockets.
"""

from __future__ import annotations

import re

from kamailiod.sip.uri import parameter_value

# via-parm = sent-protocol LWS sent-by *( SEMI via-params )      (RFC 3261 25.1)
# sent-protocol = protocol-name SLASH protocol-version SLASH transport, SLASH with LWS around it.
_VIA = re.compile(
    rb"\s*([^\s/,;\"]+)\s*/\s*([^\s/,;\"]+)\s*/\s*([^\s/,;\"]+)\s+"
    rb"(\[[0-9A-Fa-f:.]+\]|[^\s:;,\[\]\"]+)(?:\s*:\s*([0-9]{1,5}))?\s*"
    rb"((?:;(?:[^,;\"]|\"(?:[^\"\\]|\\.)*\")*)*)"
)
_SEPARATOR = re.compile(rb"\s*,\s*")


class Via:
    """One via-parm; `parameters` is the raw text from the first semicolon on."""

    __slots__ = ("_branch", "host", "name", "parameters", "port", "transport", "version")

    def __init__(
        self,
        name: bytes,
        version: bytes,
        transport: bytes,
        host: bytes,
        port: int,
        parameters: bytes,
    ) -> None:
        self.name = name
        self.version = version
        self.transport = transport
        self.host = host
        self.port = port
        self.parameters = parameters
        self._branch: bytes | None = None

    def parameter(self, name: bytes) -> bytes | None:
        """Return a parameter's value, b"" for one without a value, None when absent."""
        return parameter_value(self.parameters, name)

    @property
    def branch(self) -> bytes:
        """The branch parameter, empty when absent."""
        found = self._branch
        if found is None:
            parameters = self.parameters
            start = parameters.find(b";branch=")
            if start >= 0 and b'"' not in parameters:
                end = parameters.find(b";", start + 8)
                value = parameters[start + 8 :] if end < 0 else parameters[start + 8 : end]
                found = value.strip()
            else:
                found = parameter_value(parameters, b"branch") or b""
            self._branch = found
        return found

    @property
    def sent_by(self) -> bytes:
        """The sent-by as written: host, and port when there is one."""
        return self.host + b":%d" % self.port if self.port else self.host

    def __bytes__(self) -> bytes:
        return b"%s/%s/%s %s%s" % (
            self.name,
            self.version,
            self.transport,
            self.sent_by,
            self.parameters,
        )


def parse_top_via(value: bytes) -> Via | None:
    """Parse the first via-parm of a Via header body; None when any part is malformed."""
    match = _VIA.match(value)
    if match is None:
        return None
    if match.end() != len(value):
        vias = parse_vias(value)
        return vias[0] if vias else None
    name, version, transport, host, port, parameters = match.groups()
    number = int(port) if port else 0
    return Via(name, version, transport, host, number, parameters) if number < 65536 else None


def parse_vias(value: bytes) -> tuple[Via, ...]:
    """Parse a Via header body, comma-joined or not; empty when any part of it is malformed."""
    vias = []
    position = 0
    while True:
        match = _VIA.match(value, position)
        if match is None:
            return ()
        name, version, transport, host, port, parameters = match.groups()
        number = int(port) if port else 0
        if number > 65535:
            return ()
        vias.append(Via(name, version, transport, host, number, parameters.rstrip()))
        position = match.end()
        if position == len(value):
            return tuple(vias)
        separator = _SEPARATOR.match(value, position)
        if separator is None:
            return ()
        position = separator.end()
