"""Multipart bodies (RFC 2046 5.1): taken apart and put together again.

Owns the parts of one body; knows nothing of messages, except what a Content-Type looks like.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kamailiod.sip.uri import parameter_value

DEFAULT_BOUNDARY = b"unique-boundary-1"


@dataclass(slots=True)
class Part:
    """One part: its header lines without CRLF, and its content."""

    headers: list[bytes]
    content: bytes

    @property
    def media_type(self) -> bytes:
        """The part's type/subtype, lower case; text/plain when it names none."""
        for line in self.headers:
            name, _, value = line.partition(b":")
            if name.strip().lower() in (b"content-type", b"c"):
                return media_type(value)
        return b"text/plain"

    def __bytes__(self) -> bytes:
        return b"\r\n".join((*self.headers, b"", self.content))


@dataclass(slots=True)
class Multipart:
    """A multipart body; bytes() of it is the body as sent."""

    boundary: bytes
    parts: list[Part] = field(default_factory=list)

    @property
    def content_type(self) -> bytes:
        """The Content-Type that goes with the body."""
        return b'multipart/mixed;boundary="%s"' % self.boundary

    def __bytes__(self) -> bytes:
        delimiter = b"--" + self.boundary
        pieces = [delimiter + b"\r\n" + bytes(part) + b"\r\n" for part in self.parts]
        return b"".join((*pieces, delimiter, b"--\r\n"))


def media_type(content_type: bytes) -> bytes:
    """Return type/subtype of a Content-Type body, lower case and without parameters."""
    return content_type.partition(b";")[0].strip().lower()


def boundary_of(content_type: bytes) -> bytes:
    """Return the boundary parameter of a multipart Content-Type, empty when there is none."""
    if not media_type(content_type).startswith(b"multipart/"):
        return b""
    return parameter_value(b";" + content_type.partition(b";")[2], b"boundary") or b""


def parse_multipart(content_type: bytes, body: bytes) -> Multipart | None:
    """Take a multipart body apart; None when it is none or its boundary does not occur."""
    boundary = boundary_of(content_type)
    delimiter = b"\r\n--" + boundary
    sections = (b"\r\n" + body).split(delimiter)
    if not boundary or len(sections) < 2:
        return None
    parts = []
    for section in sections[1:]:
        if section.startswith(b"--"):
            break
        head, separator, content = section.partition(b"\r\n\r\n")
        if separator:
            headers = [line for line in head.split(b"\r\n") if line.strip()]
            parts.append(Part(headers, content))
        else:
            parts.append(Part([], head.strip(b"\r\n")))
    return Multipart(boundary, parts)
