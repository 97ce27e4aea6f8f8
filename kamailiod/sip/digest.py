"""Digest access authentication: reading credentials, computing and checking responses.

Owns the grammar and arithmetic of RFC 2617, RFC 7616 and RFC 8760; it knows no clock, no nonce
policy and no passwords but those it is handed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import lru_cache

ALGORITHMS = {b"md5": "md5", b"sha-256": "sha256", b"sha-512-256": "sha512_256"}
"""hashlib's names by lower-case algorithm name."""

# credentials = "Digest" LWS dig-resp *( COMMA dig-resp )      (RFC 3261 25.1)
_SCHEME = re.compile(rb"\s*(?i:digest)\s+(.*)\Z", re.DOTALL)
# The last alternative takes what is no such list: one pass over the text reads and checks it.
_FIELDS = re.compile(
    rb"\s*([A-Za-z0-9\-_.!%*+`'~]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]*))\s*(?:,|\Z)|(.+)",
    re.DOTALL,
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


class Credentials:
    """What an Authorization or Proxy-Authorization header says; absent parts are empty.

    `user` and `domain` are the parts of `username` around its "@"; `nc` is the text as sent.
    """

    __slots__ = (
        "algorithm",
        "cnonce",
        "domain",
        "nc",
        "nonce",
        "opaque",
        "qop",
        "realm",
        "response",
        "uri",
        "user",
        "username",
    )

    def __init__(self, fields: dict[bytes, bytes]) -> None:
        get = fields.get
        self.username = get(b"username", b"")
        self.user, _, self.domain = self.username.partition(b"@")
        self.realm = get(b"realm", b"")
        self.nonce = get(b"nonce", b"")
        self.uri = get(b"uri", b"")
        self.response = get(b"response", b"")
        self.algorithm = get(b"algorithm", b"")
        self.qop = get(b"qop", b"").lower()
        self.nc = get(b"nc", b"")
        self.cnonce = get(b"cnonce", b"")
        self.opaque = get(b"opaque", b"")

    @property
    def complete(self) -> bool:
        """Whether all is there that a check needs (RFC 2617 3.2.2)."""
        if not (self.username and self.realm and self.nonce and self.uri and self.response):
            return False
        return not self.qop or bool(self.nc and self.cnonce)


@lru_cache(maxsize=256)
def parse_credentials(body: bytes) -> Credentials | None:
    """Read an Authorization body; None when it is of another scheme or malformed."""
    match = _SCHEME.match(body)
    if match is None:
        return None
    fields: dict[bytes, bytes] = {}
    for name, quoted, plain, rest in _FIELDS.findall(match.group(1)):
        if rest:
            return None
        value = quoted or plain
        fields[name.lower()] = _ESCAPED.sub(rb"\1", value) if b"\\" in value else value
    return Credentials(fields)


def known_algorithm(algorithm: bytes) -> bool:
    """Whether responses of this algorithm, with or without "-sess", can be computed."""
    return _base(algorithm) in ALGORITHMS


def first_hash(algorithm: bytes, username: bytes, realm: bytes, password: bytes) -> bytes:
    """Return H(username:realm:password) in hex: what Kamailio's tables call ha1."""
    return _digest(_base(algorithm), b"%b:%b:%b" % (username, realm, password))


def response(
    credentials: Credentials, algorithm: bytes, ha1: bytes, method: bytes, body: bytes = b""
) -> bytes:
    """Return the response in hex that the credentials must carry (RFC 7616 3.4.1).

    `ha1` is the hex H(username:realm:password), `body` counts for qop=auth-int only.
    """
    base = _base(algorithm)
    if algorithm[-5:].lower() == b"-sess":
        ha1 = _digest(base, b"%b:%b:%b" % (ha1, credentials.nonce, credentials.cnonce))
    qop = credentials.qop
    if qop == b"auth-int":
        ha2 = _digest(base, b"%b:%b:%b" % (method, credentials.uri, _digest(base, body)))
    else:
        ha2 = _digest(base, b"%b:%b" % (method, credentials.uri))
    if not qop:
        return _digest(base, b"%b:%b:%b" % (ha1, credentials.nonce, ha2))
    fields = (ha1, credentials.nonce, credentials.nc, credentials.cnonce, qop, ha2)
    return _digest(base, b":".join(fields))


def matches(
    credentials: Credentials, algorithm: bytes, ha1: bytes, method: bytes, body: bytes = b""
) -> bool:
    """Whether the credentials' response is the right one; takes as long for any wrong one."""
    expected = response(credentials, algorithm, ha1, method, body)
    return hmac.compare_digest(expected, credentials.response.lower())


def _base(algorithm: bytes) -> bytes:
    lowered = algorithm.lower() or b"md5"
    return lowered[:-5] if lowered.endswith(b"-sess") else lowered


def _digest(base: bytes, data: bytes) -> bytes:
    if base == b"md5":
        return hashlib.md5(data, usedforsecurity=False).hexdigest().encode()
    if base == b"sha-256":
        return hashlib.sha256(data).hexdigest().encode()
    return hashlib.new(ALGORITHMS[base], data).hexdigest().encode()
