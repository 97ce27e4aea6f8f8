"""Module siputils: questions about requests, and the answer to OPTIONS.

Joins the themes in siputils_functions/; owns what is left: the message itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import ClassVar

from kamailiod.modules.authentication.check import NOTE, Authorization
from kamailiod.modules.siputils_functions.contacts import Contacts
from kamailiod.modules.siputils_functions.uris import Uris
from kamailiod.modules.sl import Sl
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, kemi
from kamailiod.script.services import Services
from kamailiod.sip.uri import parse_uri


@dataclass(frozen=True, slots=True)
class SiputilsParams(Params):
    """Modparams of siputils."""

    options_accept: str = "*/*"
    options_accept_encoding: str = ""
    options_accept_language: str = "en"
    options_support: str = ""
    contact_flds_separator: str = "*"
    rpid_prefix: str = ""
    rpid_suffix: str = ";party=calling;id-type=subscriber;screen=yes"
    rpid_avp: str = "$avp(s:rpid)"
    e164_max_len: int = 16


class Siputils(Uris, Contacts, Module):
    """Tests and small changes of SIP requests."""

    name: ClassVar[str] = "siputils"
    Params: ClassVar[type[Params]] = SiputilsParams
    without_effect: ClassVar[tuple[str, ...]] = ("e164_max_len",)
    params: SiputilsParams

    def __init__(self, params: SiputilsParams, services: Services) -> None:
        super().__init__(params, services)
        self._sl = services.module(Sl)

    @kemi("siputils.has_totag")
    def has_totag(self, context: Context) -> int:
        """Return 1 when the To header has a tag, else -1."""
        return 1 if context.message.to_tag else -1

    @kemi("siputils.is_request")
    def is_request(self, context: Context) -> int:
        """Return 1 for a request, else -1."""
        return 1 if context.message.is_request else -1

    @kemi("siputils.is_reply")
    def is_reply(self, context: Context) -> int:
        """Return 1 for a reply, else -1."""
        return -1 if context.message.is_request else 1

    @kemi("siputils.is_sip")
    def is_sip(self, context: Context) -> int:
        """Return 1, since only SIP messages run these routes, unless the Via says HTTP."""
        return -self.is_http(context)

    @kemi("siputils.is_http")
    def is_http(self, context: Context) -> int:
        """Return 1 when the message is an HTTP one in SIP's clothes, else -1."""
        via = context.message.top_via
        return 1 if via is not None and via.name.upper() == b"HTTP" else -1

    @kemi("siputils.is_first_hop", native=())
    def is_first_hop(self, context: Context) -> int:
        """Whether this server is the first hop: the request has one Via, the reply at most two."""
        return self.is_first_hop_mode(context, 0)

    @kemi("siputils.is_first_hop_mode", native="is_first_hop")
    def is_first_hop_mode(self, context: Context, mode: int = 0) -> int:
        """Whether this server is the first hop; mode 1 also requires the Via to be the source."""
        message = context.message
        vias = message.vias
        if not message.is_request:
            return 1 if len(vias) <= 2 else -1
        if len(vias) != 1 or (b"record-route" in message.index):
            return -1
        if mode & 1 and vias[0].host.strip(b"[]") != context.source.host:
            return -1
        return 1

    @kemi("siputils.is_user", routes=Route.REQUEST | Route.LOCAL)
    def is_user(self, context: Context, user: bytes) -> int:
        """Whether the authorised digest user is this one."""
        noted = context.shared.notes.get(NOTE)
        if not isinstance(noted, Authorization) or not noted.authorized:
            return -1
        return 1 if noted.credentials.username == user else -1

    @kemi("siputils.is_gruu", native="is_gruu")
    def is_gruu(self, context: Context, text: bytes = b"") -> int:
        """Whether the request URI (or a given one) is a GRUU: 1 temporary, 2 public, -1 none."""
        uri = parse_uri(text or context.uri)
        value = uri.parameter(b"gr") if uri is not None else None
        if value is None:
            return -1
        return 2 if value else 1

    @kemi("siputils.hdr_date_check")
    def hdr_date_check(self, context: Context, seconds: int) -> int:
        """Whether the Date header is at most so many seconds old: -1 none, -2 bad, -3 too old."""
        body = context.message.header(b"date")
        if body is None:
            return -1
        try:
            moment = parsedate_to_datetime(body.decode("ascii", "replace")).timestamp()
        except (TypeError, ValueError, OverflowError):
            return -2
        return 1 if time.time() <= moment + seconds else -3

    @kemi("siputils.sip_parse_headers")
    def sip_parse_headers(self, context: Context) -> int:
        """Return 1 when all headers are well-formed, else -1."""
        return 1 if context.message.fault is None else -1

    @kemi("siputils.options_reply", routes=Route.REQUEST)
    def options_reply(self, context: Context) -> int:
        """Answer an OPTIONS that is for this server itself (RFC 3261 11.2); -1 for any other."""
        message = context.message
        uri = context.parsed_uri
        if message.method != b"OPTIONS" or (uri is not None and uri.user):
            return -1
        params = self.params
        headers = [
            name + value.encode()
            for name, value in (
                (b"Accept: ", params.options_accept),
                (b"Accept-Encoding: ", params.options_accept_encoding),
                (b"Accept-Language: ", params.options_accept_language),
                (b"Supported: ", params.options_support),
            )
        ]
        return self._sl.send_reply(context, 200, b"OK", headers)

    @kemi(native="is_supported")
    def is_supported(self, context: Context, option: bytes) -> int:
        """Whether the Supported header names an option tag."""
        wanted = option.lower()
        bodies = context.message.headers(b"supported")
        tags = (tag.strip().lower() for body in bodies for tag in body.split(b","))
        return 1 if wanted in tags else -1

    @kemi(native="append_rpid_hf", routes=Route.REQUEST | Route.BRANCH | Route.FAILURE)
    def append_rpid_hf(
        self, context: Context, prefix: bytes = b"", suffix: bytes = b""
    ) -> int:
        """Append Remote-Party-ID made of prefix, the value of modparam rpid_avp and suffix."""
        accessor = self.services.variables.compile(self.params.rpid_avp.encode())
        value = accessor.get(context) if accessor is not None else None
        if not isinstance(value, bytes) or not value:
            return -1
        start = prefix or self.params.rpid_prefix.encode()
        end = suffix or self.params.rpid_suffix.encode()
        context.edits.end.append(b"Remote-Party-ID: " + start + value + end)
        return 1
