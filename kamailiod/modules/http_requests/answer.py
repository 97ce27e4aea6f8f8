"""The answer to an HTTP request, or why there is none.

Owns what scripts read of it; `error` is libcurl's number, 0 when there is an answer.
"""

from __future__ import annotations

from kamailiod.modules.http_requests.curl_errors import error_text

Times = dict[bytes, float]
"""Seconds from the start by libcurl's names: total, lookup, connect, ..."""


class HttpAnswer:
    """Status line, headers and body of an answer; or an error number without them."""

    __slots__ = ("body", "error", "headers", "reason", "status", "times", "url", "version")

    def __init__(
        self, error: int = 0, status: int = 0, reason: bytes = b"",
        headers: tuple[tuple[bytes, bytes], ...] = (), body: bytes = b"", url: bytes = b"",
        version: bytes = b"1.1",
    ) -> None:  # fmt: skip
        self.error = error
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body
        self.url = url
        self.version = version
        self.times: Times = {}

    @property
    def error_text(self) -> bytes:
        """What libcurl says of the error."""
        return error_text(self.error)

    @property
    def return_code(self) -> int:
        """What a script function returns: the HTTP status, or the error number."""
        return self.error or self.status or -1

    @property
    def result(self) -> bytes:
        """The body that a script gets: that of a status from 200 to 499, as in Kamailio."""
        return self.body if 200 <= self.status < 500 else b""

    @property
    def whole(self) -> bytes:
        """The answer as it was on the wire."""
        lines = [b"HTTP/%b %d %b" % (self.version, self.status, self.reason)]
        lines += [b"%b: %b" % field for field in self.headers]
        return b"\r\n".join((*lines, b"", self.body))

    def header_values(self, name: bytes) -> list[bytes]:
        """Return the bodies of the headers of a name, in their order."""
        wanted = name.lower()
        return [value for field, value in self.headers if field.lower() == wanted]


def first_line(body: bytes) -> bytes:
    """Return a body up to its first line feed, which is left out."""
    return body.partition(b"\n")[0]
