"""The checks of a message by their bits, and what each refuses it with.

Owns no reply and no script; what the parser has checked already (first line, Via, CSeq,
Content-Length, single headers) is not checked again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from kamailiod.modules.sanity_checks.params import SanityParams
from kamailiod.sip.message import SipMessage

_HIGHEST_EXPIRES = 2**32
_ROUTABLE = (b"sip", b"sips", b"tel", b"tels", b"urn")


class Failure:
    """Why a message is refused: status, reason phrase, further reply headers."""

    __slots__ = ("headers", "reason", "status")

    def __init__(self, status: int, reason: bytes, headers: tuple[bytes, ...] = ()) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers


Check = Callable[[SipMessage, SanityParams], Failure | None]


def first_failure(
    message: SipMessage, params: SanityParams, checks: int, uri_checks: int
) -> Failure | None:
    """Run the checks that these bits select; None when the message passes all."""
    for check in _selected(checks, uri_checks):
        failure = check(message, params)
        if failure is not None:
            return failure
    return None


def _scheme(message: SipMessage, params: SanityParams) -> Failure | None:
    if not message.is_request:
        return None
    uri = message.uri
    if uri is None or uri.headers:
        # Headers in a request URI are not allowed (RFC 3261 19.1.1) and must not become headers.
        return Failure(400, b"Bad Request URI")
    if uri.scheme not in _ROUTABLE:
        return Failure(416, b"Unsupported URI Schema in Request URI")
    return None


def _required(message: SipMessage, params: SanityParams) -> Failure | None:
    if message.from_ is None:
        return Failure(400, b"Invalid From Header")
    to = message.to
    if to is None:
        return Failure(400, b"Invalid To Header")
    if message.method == b"REGISTER" and to.uri is not None and to.uri.scheme not in _ROUTABLE:
        # A registrar keeps nothing but SIP and tel addresses (RFC 3261 10.3 step 5).
        return Failure(400, b"Invalid To Header")
    return None


def _via_protocol(message: SipMessage, params: SanityParams) -> Failure | None:
    via = message.top_via
    if via is None or via.name.upper() != b"SIP" or via.version != b"2.0":
        return Failure(400, b"Unsupported Via protocol or version")
    return None


def _expires(message: SipMessage, params: SanityParams) -> Failure | None:
    if b"expires" not in message.index:
        return None
    value = message.number(b"expires")
    if value is None or value >= _HIGHEST_EXPIRES:
        return Failure(400, b"Expires value is illegal")
    return None


def _request_uri(message: SipMessage, params: SanityParams) -> Failure | None:
    if message.is_request and message.uri is None:
        return Failure(400, b"Bad Request URI")
    return None


def _from_uri(message: SipMessage, params: SanityParams) -> Failure | None:
    address = message.from_
    if address is None or address.uri is None:
        return Failure(400, b"Invalid From Header")
    return None


def _to_uri(message: SipMessage, params: SanityParams) -> Failure | None:
    address = message.to
    if address is None or address.uri is None:
        return Failure(400, b"Invalid To Header")
    return None


def _contact_uri(message: SipMessage, params: SanityParams) -> Failure | None:
    if b"contact" not in message.index:
        return None
    contacts = message.contacts
    if not contacts or any(c.uri is None and c.uri_text != b"*" for c in contacts):
        return Failure(400, b"Invalid Contact Header")
    return None


_DIGEST_PARTS = (b"username", b"realm", b"nonce", b"uri", b"response")


def _digest(message: SipMessage, params: SanityParams) -> Failure | None:
    index = message.index
    if b"authorization" not in index and b"proxy-authorization" not in index:
        return None
    for name in (b"authorization", b"proxy-authorization"):
        for body in message.headers(name):
            scheme, _, fields = body.partition(b" ")
            given = b";" + fields.lower().replace(b",", b";").replace(b" ", b"")
            if scheme.lower() == b"digest" and any(
                b";%s=" % part not in given for part in _DIGEST_PARTS
            ):
                return Failure(400, b"Bad Digest Credentials")
    return None


def _duplicate_tags(message: SipMessage, params: SanityParams) -> Failure | None:
    for address in (message.from_, message.to):
        if address is not None and address.parameters.lower().count(b";tag=") > 1:
            return Failure(400, b"Multiple tag parameters")
    return None


def _authorization(message: SipMessage, params: SanityParams) -> Failure | None:
    for name in (b"authorization", b"proxy-authorization"):
        if any(b" " not in body for body in message.headers(name)):
            return Failure(400, b"Bad Authorization Header")
    return None


def _sizes(message: SipMessage, params: SanityParams) -> Failure | None:
    head = len(message.data) - len(message.body)
    if len(message.body) > params.size_body or len(message.data) > params.size_message:
        return Failure(413, b"Message Too Large")
    if head > params.size_headers or any(len(x) > params.size_header for x in message.lines[1:]):
        return Failure(400, b"Headers Too Large")
    if len(message.method) > params.size_method:
        return Failure(400, b"Method Too Large")
    if len(message.uri_text) > params.size_ruri:
        return Failure(414, b"Request-URI Too Long")
    return _address_sizes(message, params)


def _address_sizes(message: SipMessage, params: SanityParams) -> Failure | None:
    for name, longest in (
        (b"from", params.size_from_uri),
        (b"to", params.size_to_uri),
        (b"contact", params.size_contact_uri),
        (b"route", params.size_route_uri),
        (b"path", params.size_path_uri),
        (b"p-asserted-identity", params.size_pai_uri),
    ):
        for address in message.addresses(name) or ():
            if len(address.uri_text) > longest:
                return Failure(400, b"URI Too Large")
    return None


_CHECKS: tuple[tuple[int, Check], ...] = (
    (2, _scheme),
    (4, _required),
    (16, _via_protocol),
    (256, _expires),
    (2048, _digest),
    (4096, _duplicate_tags),
    (8192, _authorization),
    (65536, _sizes),
)
_URI_BIT = 1024
_URI_CHECKS: tuple[tuple[int, Check], ...] = (
    (1, _request_uri),
    (2, _from_uri),
    (4, _to_uri),
    (8, _contact_uri),
)


@lru_cache(maxsize=64)
def _selected(checks: int, uri_checks: int) -> tuple[Check, ...]:
    chosen = [check for bit, check in _CHECKS if checks & bit]
    if checks & _URI_BIT:
        chosen += [check for bit, check in _URI_CHECKS if uri_checks & bit]
    return tuple(chosen)
