"""The Record-Route lines that a proxy adds (RFC 3261 16.6 step 4, RFC 5658).

Owns their text; which sockets a request uses is known only when it is sent.
"""

from __future__ import annotations


class RecordRoute:
    """Record-Route of one transaction.

    `parameters` start with a semicolon and go behind `;lr`; two lines are written when a request
    leaves by another socket than it came in on, so that either side has one it can reach.
    """

    __slots__ = ("_made", "double", "loose", "parameters", "preset", "user")

    def __init__(
        self, user: bytes, parameters: bytes, loose: bytes, double: bool,
        preset: tuple[bytes, ...] = (),
    ) -> None:  # fmt: skip
        self.user = user + b"@" if user else b""
        self.parameters = parameters
        self.loose = loose
        self.double = double
        self.preset = preset
        self._made: tuple[bytes, bytes, bytes, list[bytes]] | None = None

    def lines(self, arrived: bytes, leaving: bytes) -> list[bytes]:
        """Return the lines, topmost first, for `host:port[;transport=x]` of both sockets."""
        made = self._made
        if made is not None and made[:3] == (arrived, leaving, self.parameters):
            return made[3]
        if self.preset:
            lines = [self._line(address, b"") for address in self.preset]
        elif arrived == leaving or not self.double:
            lines = [self._line(arrived, b"")]
        else:
            lines = [self._line(leaving, b";r2=on"), self._line(arrived, b";r2=on")]
        self._made = (arrived, leaving, self.parameters, lines)
        return lines

    def _line(self, address: bytes, second: bytes) -> bytes:
        return b"Record-Route: <sip:%s%s%s%s%s>" % (
            self.user, address, second, self.loose, self.parameters,
        )  # fmt: skip
