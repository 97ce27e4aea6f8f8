"""Credentials of requests: Basic (RFC 7617) and Digest (RFC 7616).

Owns the choice among a server's challenges and the Authorization header for it.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterable

from kamailiod.modules.http_requests.request import BASIC, DIGEST, DIGEST_IE
from kamailiod.sip.digest import (
    Credentials,
    first_hash,
    known_algorithm,
    parse_credentials,
    response,
)

_DIGEST = re.compile(rb"(?:^|,)\s*(digest\s.*?)(?=,\s*[a-z]+\s+[a-z]+=|$)", re.IGNORECASE)
_BASIC = re.compile(rb"(?:^|,)\s*basic\b", re.IGNORECASE)


def early_authorization(methods: int, username: str, password: str) -> str:
    """Return the header of a first request: only where Basic is all there may be."""
    return _basic(username, password) if methods == BASIC and username else ""


def authorization(
    challenges: Iterable[bytes], methods: int, username: str, password: str, method: str, uri: str,
) -> str:  # fmt: skip
    """Return the header that answers one of a server's challenges, Digest first; "" for none."""
    texts = list(challenges)
    if methods & (DIGEST | DIGEST_IE):
        for text in texts:
            for found in _DIGEST.findall(text):
                challenge = parse_credentials(found)
                if challenge is not None and known_algorithm(challenge.algorithm):
                    return _digest(challenge, username, password, method, uri)
    if methods & BASIC and any(_BASIC.search(text) for text in texts):
        return _basic(username, password)
    return ""


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _digest(challenge: Credentials, username: str, password: str, method: str, uri: str) -> str:
    qops = [word.strip() for word in challenge.qop.split(b",")]
    qop = b"auth" if b"auth" in qops else b""
    user = username.encode()
    fields = {
        b"username": user, b"realm": challenge.realm, b"nonce": challenge.nonce,
        b"uri": uri.encode(),
    }  # fmt: skip
    if qop:
        fields |= {
            b"qop": qop, b"nc": b"00000001", b"cnonce": secrets.token_hex(16).encode(),
        }  # fmt: skip
    algorithm = challenge.algorithm
    ha1 = first_hash(algorithm, user, challenge.realm, password.encode())
    fields[b"response"] = response(Credentials(fields), algorithm, ha1, method.encode())
    if challenge.opaque:
        fields[b"opaque"] = challenge.opaque
    plain = {b"qop", b"nc"}
    parts = [
        b"%b=%b" % (name, value if name in plain else b'"%b"' % _quoted(value))
        for name, value in fields.items()
    ]
    if algorithm:
        parts.append(b"algorithm=" + algorithm)
    return "Digest " + b", ".join(parts).decode("utf-8", "surrogateescape")


def _quoted(value: bytes) -> bytes:
    return value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
