"""The check of a request's digest credentials, and what is kept of it for the script.

Owns which header counts, algorithms and the order of faults; passwords are handed to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from kamailiod.script.context import Context
from kamailiod.sip.digest import (
    Credentials,
    first_hash,
    known_algorithm,
    matches,
    parse_credentials,
)
from kamailiod.sip.message import SipMessage

OK = 1
ERROR, WRONG_PASSWORD, UNKNOWN_USER, STALE_NONCE, NO_CREDENTIALS, NONCE_REUSED = range(-1, -7, -1)
USER_MISMATCH = -8
"""What the auth functions return to the script."""

AUTHORIZATION = b"authorization"
PROXY_AUTHORIZATION = b"proxy-authorization"

UNCHALLENGED = (b"ACK", b"CANCEL")
"""Methods that are never challenged (RFC 3261 22.1)."""

NOTE = "auth"


class Authorization:
    """The credentials of one request for one realm; `line` is their header's line number.

    `authorized` is set once they have been checked and found right, `stale` when their nonce was
    too old or not ours.
    """

    __slots__ = ("authorized", "credentials", "line", "stale")

    def __init__(self, credentials: Credentials, line: int) -> None:
        self.credentials = credentials
        self.line = line
        self.authorized = False
        self.stale = False


def checked_user(context: Context) -> tuple[bytes, bytes] | None:
    """Return user and domain, else realm, of credentials that were found right; None without."""
    authorization = context.shared.notes.get(NOTE)
    if not isinstance(authorization, Authorization) or not authorization.authorized:
        return None
    credentials = authorization.credentials
    return credentials.user, credentials.domain or credentials.realm


def find_authorization(
    message: SipMessage, header: bytes, realm: bytes, strip: bytes
) -> Authorization | None:
    """Return the Digest credentials of a realm in the headers of a name; None without any.

    `strip` is taken off the realms' starts before they are compared.
    """
    numbers = message.index.get(header)
    if numbers is None:
        return None
    wanted = realm.removeprefix(strip)
    for number, body in zip(numbers, message.headers(header), strict=True):
        credentials = parse_credentials(body)
        if credentials is not None and credentials.realm.removeprefix(strip) == wanted:
            return Authorization(credentials, number)
    return None


def chosen_algorithm(credentials: Credentials, allowed: Sequence[bytes]) -> bytes | None:
    """Return the algorithm that credentials are to be checked with; None when it is not allowed.

    Credentials that name none are of the only one allowed, or of MD5 (RFC 7616 3.4).
    """
    named = credentials.algorithm
    if not named:
        if len(allowed) == 1:
            return allowed[0]
        named = b"MD5"
    lowered = named.lower()
    for algorithm in allowed:
        if lowered in (algorithm.lower(), algorithm.lower() + b"-sess"):
            return named
    return None if known_algorithm(named) else allowed[0]


def is_right(
    message: SipMessage,
    credentials: Credentials,
    algorithm: bytes,
    secret: bytes,
    hashed: bool,
    method: bytes,
) -> bool:
    """Whether a response fits a plain password, or a stored ha1 when `hashed`."""
    if hashed:
        ha1 = secret.lower()
    else:
        ha1 = first_hash(algorithm, credentials.username, credentials.realm, secret)
    return matches(credentials, algorithm, ha1, method, message.body)
