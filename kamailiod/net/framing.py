"""Cutting a byte stream into SIP messages by Content-Length (RFC 3261 18.3).

Owns the buffer of one connection; knows nothing of sockets.
"""

from __future__ import annotations

import re
from enum import Enum

_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)


class FramingFault(Enum):
    """Why a stream cannot be cut any further; the connection must be closed."""

    BAD_LENGTH = "bad or missing Content-Length"
    TOO_LARGE = "message larger than the limit"


class StreamFramer:
    """Collects bytes and yields whole messages.

    `pings` counts double-CRLF keep-alives (RFC 5626 4.4.1) to be answered by a CRLF.  After a
    fault, `rest` holds the offending message so that it can be answered before closing.
    """

    __slots__ = ("_buffer", "fault", "limit", "pings", "rest")

    def __init__(self, limit: int = 65535) -> None:
        self._buffer = b""
        self.limit = limit
        self.pings = 0
        self.fault: FramingFault | None = None
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Add received bytes; returns the messages that are now whole."""
        buffer = self._buffer + data if self._buffer else data
        messages: list[bytes] = []
        while buffer and self.fault is None:
            if buffer[0] in (13, 10):
                stripped = buffer.lstrip(b"\r\n")
                if not stripped:
                    self.pings += buffer.count(b"\r\n\r\n")
                    if buffer.endswith(b"\r\n\r\n") or len(buffer) > 4:
                        buffer = b""
                    break
                buffer = stripped
            size = self._message_size(buffer)
            if size == 0 or size > len(buffer):
                break
            messages.append(buffer[:size])
            buffer = buffer[size:]
        self._buffer = buffer
        return messages

    @property
    def is_waiting(self) -> bool:
        """Whether part of a message is buffered."""
        return bool(self._buffer)

    def _message_size(self, buffer: bytes) -> int:
        head_end = buffer.find(b"\r\n\r\n")
        if head_end < 0:
            if len(buffer) > self.limit:
                self._fail(FramingFault.TOO_LARGE, buffer)
            return 0
        lengths = set(_LENGTH.findall(buffer, 0, head_end))
        length = lengths.pop().strip() if len(lengths) == 1 else b""
        if lengths or not length.isdigit() or len(length) > 9:
            self._fail(FramingFault.BAD_LENGTH, buffer)
            return 0
        size = head_end + 4 + int(length)
        if size > self.limit:
            self._fail(FramingFault.TOO_LARGE, buffer)
            return 0
        return size

    def _fail(self, fault: FramingFault, buffer: bytes) -> None:
        self.fault = fault
        self.rest = buffer
