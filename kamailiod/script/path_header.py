"""The Path lines that a proxy adds to a REGISTER (RFC 3327 5.2).

Owns their text; which socket the request leaves by is known only when it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping

from kamailiod.net.address import ListenAddress

NOTE = "path_header"
"""The shared note with the lines to add, in the order in which they were asked for."""


class PathHeader:
    """Path of one request: `user` of its URI, `parameters` behind `;lr`.

    `double` writes two lines, one for either side; `named` adds the socket's name.
    """

    __slots__ = ("_double", "_named", "_parameters", "_user")

    def __init__(self, user: bytes, parameters: bytes, double: bool, named: bool) -> None:
        self._user = user + b"@" if user else b""
        self._parameters = parameters
        self._double = double
        self._named = named

    def lines(self, arrived: ListenAddress, leaving: ListenAddress) -> list[bytes]:
        """Return the lines, topmost first, for both sockets of a request."""
        if not self._double:
            return [self._line(leaving, b"")]
        return [self._line(leaving, b";r2=on"), self._line(arrived, b";r2=on")]

    def _line(self, socket: ListenAddress, second: bytes) -> bytes:
        name = b";sn=" + socket.name if self._named and socket.name else b""
        return b"Path: <sip:%s%s;lr%s%s%s>" % (
            self._user, socket.record, name, self._parameters, second,
        )  # fmt: skip


def path_lines(
    notes: Mapping[str, object], arrived: ListenAddress, leaving: ListenAddress
) -> list[bytes]:
    """Return all Path lines that a request's notes ask for."""
    headers = notes[NOTE]
    assert isinstance(headers, list)
    return [line for header in headers for line in header.lines(arrived, leaving)]
