"""An HTTP request as a script asks for it, and the profile of settings it is made with.

Owns the values only; how they are put on the wire is in exchange.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BASIC, DIGEST, DIGEST_IE = 1, 2, 16
"""libcurl's authentication methods, as `authmethod` adds them up."""

LONGEST_WAIT = 300.0
"""What a time-out of none means in seconds: nothing waits for ever."""

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Tls:
    """How a TLS server is checked and who we are to it; paths are empty when not given."""

    ca_file: str = ""
    ca_path: str = ""
    certificate: str = ""
    key: str = ""
    ciphers: str = ""
    version: int = 0
    verify_peer: bool = True
    verify_host: bool = True


@dataclass(frozen=True, slots=True)
class Pooling:
    """What connections must have in common to be in one pool."""

    keep: bool = False
    interface: str = ""
    keepalive: tuple[int, int] | None = None
    old_version: bool = False
    traced: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """Settings of requests: seconds to wait, credentials, limits, the way there.

    `most` cuts the body to so many bytes, 0 does not; `methods` are those of `authmethod`.
    """

    timeout: float = 4.0
    user_agent: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    methods: int = BASIC | DIGEST
    tls: Tls = Tls()
    pooling: Pooling = Pooling()
    redirects: bool = False
    proxy: str = ""
    most: int = 0


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request: without a method it is a POST with a body, else a GET.

    A POST whose `content_type` is None is a form; an empty one sends no Content-Type.
    """

    url: bytes
    body: bytes = b""
    headers: Headers = ()
    method: str = ""
    content_type: str | None = None


def header_fields(text: bytes) -> Headers:
    """Read header lines as scripts give them, CRLF or LF between them; others are left out."""
    fields = []
    for line in text.replace(b"\r", b"\n").split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon and name.strip():
            fields.append((_text(name), _text(value)))
    return tuple(fields)


def _text(value: bytes) -> str:
    return value.strip().decode("utf-8", "surrogateescape")
