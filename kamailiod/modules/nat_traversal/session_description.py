"""fix_nated_sdp: the addresses in an SDP body (RFC 4566), and the marks beside them.

Owns the rewriting of the text; knows no message.
"""

from __future__ import annotations

import re

DIRECTION, MEDIA, MARK, ORIGIN = 1, 2, 4, 8
"""The flags of fix_nated_sdp."""

_ADDRESS = rb"IN[ \t]+IP)([46])([ \t]+)([^\s/]+)"
_MEDIA_LINES = re.compile(rb"^(c=" + _ADDRESS, re.MULTILINE)
_ORIGIN_LINES = re.compile(rb"^(o=[^\r\n]*[ \t]" + _ADDRESS, re.MULTILINE)
_RTCP_LINES = re.compile(rb"^(a=rtcp:[0-9]+[ \t]+" + _ADDRESS, re.MULTILINE)
_HELD = (b"0.0.0.0",)


class SessionRewriting:
    """One rewriting: `text` is the body as it becomes, `old` the addresses that were replaced."""

    __slots__ = ("_address", "_family", "old", "text")

    def __init__(self, body: bytes, address: bytes) -> None:
        self.text = body
        self.old: list[bytes] = []
        self._address = address
        self._family = b"6" if b":" in address else b"4"

    def rewrite(self, flags: int) -> None:
        """Replace the addresses that the flags ask for; one that holds a stream stays."""
        for flag, lines in ((ORIGIN, _ORIGIN_LINES), (MEDIA, _MEDIA_LINES)):
            if flags & flag:
                self.text = lines.sub(self._replaced, self.text)
        if flags & (ORIGIN | MEDIA):
            self.text = _RTCP_LINES.sub(self._replaced, self.text)

    def add_line(self, line: bytes) -> None:
        """Add a line at the end."""
        if self.text and not self.text.endswith(b"\n"):
            self.text += b"\r\n"
        self.text += line.rstrip(b"\r\n") + b"\r\n"

    def _replaced(self, match: re.Match[bytes]) -> bytes:
        start, _, blanks, old = match.groups()
        if old == self._address or old in _HELD:
            return match.group()
        self.old.append(old)
        return start + self._family + blanks + self._address
