"""$au, $ar and their kin: the digest credentials of a request.

Owns reading their fields; checking them is for the auth modules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from kamailiod.script.context import Context, Value
from kamailiod.script.variables.accessor import Getter, Registry, register_all
from kamailiod.sip.message import SipMessage

# digest-response fields: name "=" ( quoted-string / token )             (RFC 3261 25.1)
_FIELD = re.compile(rb"([A-Za-z0-9_-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]*))")


def register(registry: Registry) -> None:
    """Register the variables of the credentials."""
    register_all(registry, GETTERS)


@lru_cache(maxsize=512)
def _fields(body: bytes) -> dict[bytes, bytes]:
    scheme, _, rest = body.partition(b" ")
    if scheme.lower() != b"digest":
        return {}
    return {
        match.group(1).lower(): match.group(3) if match.group(2) is None else match.group(2)
        for match in _FIELD.finditer(rest)
    }


def _credentials(message: SipMessage) -> dict[bytes, bytes]:
    for name in (b"proxy-authorization", b"authorization"):
        body = message.header(name)
        if body is not None:
            return _fields(body)
    return {}


def _field(name: bytes) -> Getter:
    return lambda context: _credentials(context.message).get(name)


def _user_part(username: bytes) -> bytes:
    scheme, colon, rest = username.partition(b":")
    bare = rest if colon and scheme.lower() in (b"sip", b"sips") else username
    return bare.partition(b"@")[0]


def _auth_user(context: Context) -> Value:
    username = _credentials(context.message).get(b"username")
    return None if username is None else _user_part(username)


def _auth_domain(context: Context) -> Value:
    username = _credentials(context.message).get(b"username")
    return None if username is None else username.partition(b"@")[2]


def _accounted(build: Callable[[bytes, bytes], bytes]) -> Getter:
    # Anyone can claim a name: only credentials that the auth modules found right count.
    def get(context: Context) -> Value:
        noted: Any = context.shared.notes.get("auth")
        if noted is not None and noted.authorized:
            user, _, domain = noted.credentials.username.partition(b"@")
            return build(user, domain or noted.credentials.realm)
        address = context.message.from_
        uri = None if address is None else address.uri
        return None if uri is None else build(uri.user, uri.host)

    return get


GETTERS: dict[bytes, Getter] = {
    b"au": _auth_user,
    b"ar": _field(b"realm"),
    b"ad": _auth_domain,
    b"aU": _field(b"username"),
    b"adu": _field(b"uri"),
    b"aa": _field(b"algorithm"),
    b"adn": _field(b"nonce"),
    b"adc": _field(b"cnonce"),
    b"adr": _field(b"response"),
    b"ado": _field(b"opaque"),
    b"Au": _accounted(lambda user, domain: b"%s@%s" % (user, domain)),
    b"AU": _accounted(lambda user, domain: user),
}
