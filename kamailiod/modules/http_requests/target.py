"""Where a request goes: the checks and rewriting that libcurl gives to a URL.

Owns the reading of URLs; it connects to nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from kamailiod.modules.http_requests.curl_errors import MALFORMED_URL, UNSUPPORTED_PROTOCOL

_FORBIDDEN = re.compile(rb"[\x00-\x20\x7f]")
_HIGH = re.compile(rb"[\x80-\xff]")


class TargetError(Exception):
    """A URL that cannot be asked; `number` is libcurl's error."""

    def __init__(self, number: int) -> None:
        super().__init__(f"error {number}")
        self.number = number


@dataclass(frozen=True, slots=True)
class Target:
    """A URL to ask, without its credentials, and these."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)


def parse_target(text: bytes) -> Target:
    """Read a URL; without a scheme it is of http, as for curl. Raises TargetError."""
    if not text or _FORBIDDEN.search(text):
        raise TargetError(MALFORMED_URL)
    url = _HIGH.sub(lambda octet: b"%%%02X" % octet[0][0], text).decode("ascii")
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise TargetError(MALFORMED_URL) from None
    if parts.scheme not in ("http", "https"):
        raise TargetError(UNSUPPORTED_PROTOCOL)
    if not host:
        raise TargetError(MALFORMED_URL)
    bare = parts.netloc.rpartition("@")[2]
    return Target(
        urlunsplit((parts.scheme, bare, parts.path or "/", parts.query, "")),
        unquote(parts.username or ""), unquote(parts.password or ""),
    )  # fmt: skip
