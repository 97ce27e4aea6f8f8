"""Module sanity: whether a request is sound enough to be handled, and the answer if it is not.

Owns the checks by their bits and the reply to a failed one.  What the parser has checked already
(first line, Via, CSeq, Content-Length, single headers) is not checked again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from kamailiod.modules.sl import Sl
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, kemi
from kamailiod.script.services import Services
from kamailiod.sip.message import SipMessage
from kamailiod.sip.name_addr import NameAddr

_NOTE = "sanity"
_HIGHEST_EXPIRES = 2**32
_ROUTABLE = (b"sip", b"sips", b"tel", b"tels", b"urn")
_ROUTES = Route.REQUEST | Route.ONREPLY | Route.REPLY


@dataclass(frozen=True, slots=True)
class SanityParams(Params):
    """Modparams of sanity."""

    default_checks: int = 3047
    uri_checks: int = 7
    size_checks: int = 0
    size_message: int = 16384
    size_method: int = 32
    size_ruri: int = 256
    size_from_uri: int = 256
    size_to_uri: int = 256
    size_contact_uri: int = 256
    size_route_uri: int = 256
    size_path_uri: int = 256
    size_pai_uri: int = 256
    size_header: int = 2048
    size_headers: int = 8192
    size_body: int = 8192
    proxy_require: str = ""
    autodrop: int = 1
    noreply: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message is refused: status, reason phrase, further reply headers."""

    status: int
    reason: bytes
    headers: tuple[bytes, ...] = ()


Check = Callable[[SipMessage, SanityParams], Failure | None]


class Sanity(Module):
    """Checking requests; a failed check is answered here unless modparam noreply says otherwise."""

    name: ClassVar[str] = "sanity"
    Params: ClassVar[type[Params]] = SanityParams
    without_effect: ClassVar[tuple[str, ...]] = ("size_checks",)
    params: SanityParams

    def __init__(self, params: SanityParams, services: Services) -> None:
        super().__init__(params, services)
        self._sl = services.module(Sl)
        tags = params.proxy_require.lower().replace(",", " ").split()
        self._supported = frozenset(tag.encode() for tag in tags)

    @kemi("sanity.sanity_check", native=())
    def sanity_check(self, context: Context, checks: int, uri_checks: int) -> int:
        """Check a message by these bits: 1 when it is sound, else -1 and a reply has been sent."""
        message = context.message
        failure = None
        if message.fault is not None:
            failure = Failure(message.fault_status, message.fault.encode())
        elif message.is_request and b"proxy-require" in message.index:
            failure = self._proxy_require(message)
        if failure is None:
            params = self.params
            for check in _selected(checks, uri_checks):
                failure = check(message, params)
                if failure is not None:
                    break
            else:
                return 1
        return self._refuse(context, failure)

    @kemi("sanity.sanity_check_defaults", native=())
    def sanity_check_defaults(self, context: Context) -> int:
        """Check a message by the bits of the modparams default_checks and uri_checks."""
        return self.sanity_check(context, self.params.default_checks, self.params.uri_checks)

    @kemi(native="sanity_check", routes=_ROUTES)
    def native_sanity_check(
        self, context: Context, checks: int = -1, uri_checks: int = -1
    ) -> int:
        """Check a message; a failed check ends the script when modparam autodrop is set."""
        result = self.sanity_check(
            context,
            self.params.default_checks if checks < 0 else checks,
            self.params.uri_checks if uri_checks < 0 else uri_checks,
        )
        return 0 if result < 0 and self.params.autodrop else result

    @kemi("sanity.sanity_reply", routes=_ROUTES)
    def sanity_reply(self, context: Context) -> int:
        """Send the reply that a failed check has left unsent (modparam noreply); -1 if none."""
        failure = context.shared.notes.pop(_NOTE, None)
        return self._reply(context, failure) if isinstance(failure, Failure) else -1

    def _refuse(self, context: Context, failure: Failure) -> int:
        if self.params.noreply:
            context.shared.notes[_NOTE] = failure
        else:
            self._reply(context, failure)
        return -1

    def _reply(self, context: Context, failure: Failure) -> int:
        message = context.message
        if not message.is_request or message.method == b"ACK" or not failure.status:
            return -1
        return self._sl.send_reply(context, failure.status, failure.reason, failure.headers)

    def _proxy_require(self, message: SipMessage) -> Failure | None:
        # RFC 3261 16.3 step 5 binds every proxy, so this is checked whatever bits are asked for.
        tags = [
            tag
            for body in message.headers(b"proxy-require")
            for tag in (part.strip() for part in body.split(b","))
            if tag and tag.lower() not in self._supported
        ]
        if not tags:
            return None
        return Failure(420, b"Bad Extension", (b"Unsupported: " + b", ".join(tags),))


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
        if isinstance(address, NameAddr) and address.parameters.lower().count(b";tag=") > 1:
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
