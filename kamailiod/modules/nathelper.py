"""Module nathelper: finding phones behind NATs, reaching them, and keeping their way open.

Owns modparams, script functions and commands; the machinery is in nat_traversal/.
"""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass
from typing import ClassVar
from uuid import uuid4

from kamailiod.modules.nat_traversal.contacts import (
    LastContact,
    add_received,
    at_source,
    is_at,
    last_contact,
    rewrite,
    source_alias,
    source_uri,
    with_alias,
    without_alias,
)
from kamailiod.modules.nat_traversal.ping_sender import PingSender
from kamailiod.modules.nat_traversal.pings import Ping, PingRules, Pings, heard_of
from kamailiod.modules.nat_traversal.private_addresses import PrivateAddresses
from kamailiod.modules.nat_traversal.session_description import DIRECTION, MARK, SessionRewriting
from kamailiod.modules.nat_traversal.uac_test import UacTest
from kamailiod.modules.textops_functions.message_text import current_body
from kamailiod.modules.tm import Tm
from kamailiod.modules.usrloc import Usrloc
from kamailiod.net.address import PROTOCOL_IDS, ListenAddress, bracketed
from kamailiod.net.ownership import owner_rank
from kamailiod.net.resolver import is_literal
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, RpcFault, Variable, kemi, pseudo_variable, rpc
from kamailiod.script.services import Services
from kamailiod.sip.alias import alias_uri
from kamailiod.sip.uri import parse_uri

_CONTACT = Route.REQUEST | Route.ONREPLY | Route.REPLY | Route.BRANCH | Route.LOCAL
_ROUTES = _CONTACT | Route.FAILURE
_BATCH = 20


@dataclass(frozen=True, slots=True)
class NathelperParams(Params):
    """modparams of nathelper."""

    natping_interval: int = 0
    ping_nated_only: int = 0
    nortpproxy_str: str = "a=nortpproxy:yes"
    received_avp: str = ""
    force_socket: str = ""
    sipping_from: str = ""
    sipping_method: str = "OPTIONS"
    sipping_bflag: int = -1
    natping_disable_bflag: int = -1
    natping_processes: int = 1
    natping_socket: str = ""
    keepalive_timeout: int = 0
    udpping_from_path: int = 0
    append_sdp_oldmediaip: int = 1
    filter_server_id: int = 0
    nat_addr_mode: int = 1
    alias_name: str = ""


class Nathelper(Module):
    """NAT functions, and pings from the timer process by way of the SIP workers."""

    name: ClassVar[str] = "nathelper"
    Params: ClassVar[type[Params]] = NathelperParams
    params: NathelperParams
    without_effect: ClassVar[tuple[str, ...]] = (
        "natping_processes", "natping_socket", "udpping_from_path",
    )  # fmt: skip

    def __init__(self, params: NathelperParams, services: Services) -> None:
        super().__init__(params, services)
        self._private = PrivateAddresses(reserved=bool(params.nat_addr_mode))
        self._test = UacTest(self._private)
        self._alias_name = (params.alias_name or "alias").encode()
        self._pings: Pings | None = None
        self._sender: PingSender | None = None
        self._enabled = True
        self._waiting: dict[int, list[tuple[bytes, ...]]] = {}
        services.on_worker("nathelper.enable", self._enable)
        services.on_worker("nathelper.ping", self._ping)

    def mod_init(self) -> None:
        """Load what pings need."""
        if self.params.natping_interval > 0:
            self.services.module(Usrloc)
            self.services.module(Tm)

    def child_init(self, rank: int) -> None:
        """Start to ping: the timer process chooses, SIP workers send."""
        if self.params.natping_interval <= 0 or rank == 0:
            return
        services = self.services
        if rank == -1:
            usrloc = services.module(Usrloc)
            self._pings = Pings(
                self._rules(), usrloc.locations, usrloc.contacts, self._have_sent
            )
            services.timers.every(1.0, self._second)
        elif rank > 0:
            params = self.params
            self._sender = PingSender(
                services, params.sipping_method.encode(), params.sipping_from.encode(),
                self._forced_socket(), self._heard,
            )  # fmt: skip
            services.module(Tm).reply_filters.append(self._sender.takes)

    @kemi("nathelper.nat_uac_test", routes=_ROUTES)
    def nat_uac_test(self, context: Context, flags: int) -> int:
        """Whether one of the tests says that the sender is behind a NAT: 1 or -1.

        1 Contact, 4 Via, 8 SDP, 32 source: a private address; 2 Via's address, 16 Via's port, 128
        Contact's port, 256 SDP's address: others than the source's; 64 WebSocket; 512 request URI
        and $du (2nd Via and its received): different.
        """
        return 1 if self._test(context, flags) else -1

    @kemi("nathelper.is_rfc1918")
    def is_rfc1918(self, context: Context, address: bytes) -> int:
        """Whether an address is private: 1 or -1."""
        return 1 if address in self._private else -1

    @kemi("nathelper.fix_nated_contact", routes=_CONTACT)
    def fix_nated_contact(self, context: Context) -> int:
        """Put the source's address and port into the Contact; -1 without a contact."""
        contact = last_contact(context)
        if contact is None:
            return -1
        return rewrite(context, contact, at_source(contact.uri, context.source), False)

    @kemi("nathelper.set_contact_alias", native=(), routes=_ROUTES)
    def set_contact_alias(self, context: Context) -> int:
        """Add `;alias=address~port~protocol` of the source to the Contact; -1 without a contact."""
        return self._set_alias(context, trim=False)

    @kemi("nathelper.set_contact_alias_trim", native=(), routes=_ROUTES)
    def set_contact_alias_trim(self, context: Context) -> int:
        """Do as set_contact_alias, in the place of an alias that is there."""
        return self._set_alias(context, trim=True)

    @kemi(native="set_contact_alias", routes=_CONTACT)
    def native_set_contact_alias(self, context: Context, trim: int = 0) -> int:
        """Add the source to the Contact as its alias, 1: in the place of one that is there."""
        return self._set_alias(context, trim=bool(trim))

    def _set_alias(self, context: Context, trim: bool) -> int:
        contact = last_contact(context)
        if contact is None:
            return -1
        uri = without_alias(contact.uri, self._alias_name) if trim else contact.uri
        new = with_alias(uri, self._alias_name, source_alias(context.source), first=False)
        return rewrite(context, contact, new, True)

    @kemi("nathelper.add_contact_alias", routes=_CONTACT)
    def add_contact_alias(self, context: Context) -> int:
        """Add the source to the Contact as its alias; 2 without a contact or when it says it."""
        if b"contact" not in context.message.index:
            return 2
        contact = last_contact(context)
        if contact is None:
            return -1
        if is_at(contact.uri, context.source):
            return 2
        return self._add_alias(context, contact, source_alias(context.source))

    @kemi("nathelper.add_contact_alias_addr", native="add_contact_alias", routes=_CONTACT)
    def add_contact_alias_addr(
        self, context: Context, address: bytes, port: bytes, transport: bytes
    ) -> int:
        """Add an address, port and transport to the Contact as its alias; -1 for bad ones."""
        number = PROTOCOL_IDS.get(transport.lower())
        bare = address.strip(b"[]")
        if not number or not is_literal(bare) or not port.isdigit() or int(port) > 65535:
            return -1
        contact = last_contact(context)
        if contact is None:
            return 2 if b"contact" not in context.message.index else -1
        return self._add_alias(context, contact, (bracketed(bare), port, b"%d" % number))

    def _add_alias(
        self, context: Context, contact: LastContact, alias: tuple[bytes, bytes, bytes]
    ) -> int:
        return rewrite(
            context, contact, with_alias(contact.uri, self._alias_name, alias, first=True), True
        )

    @kemi("nathelper.handle_ruri_alias", native=(), routes=Route.REQUEST | Route.BRANCH)
    def handle_ruri_alias(self, context: Context) -> int:
        """Take the alias off the request URI and send there: 1, 2 when it has none, -1 bad."""
        return self.handle_ruri_alias_mode(context, 0)

    @kemi(
        "nathelper.handle_ruri_alias_mode",
        native="handle_ruri_alias",
        routes=Route.REQUEST | Route.BRANCH | Route.LOCAL,
    )
    def handle_ruri_alias_mode(self, context: Context, mode: int = 0) -> int:
        """Do as handle_ruri_alias: with the first alias (0) or the last one (1)."""
        uri = parse_uri(context.uri)
        if uri is None:
            return -1
        parts = uri.parameters.split(b";")
        start = self._alias_name + b"="
        found = [number for number, part in enumerate(parts) if part.startswith(start)]
        if not found:
            return 2
        part = parts.pop(found[-1 if mode else 0])
        destination = alias_uri(part[len(start) :])
        if destination is None or parse_uri(destination) is None:
            return -1
        context.set_uri(uri.with_parts(parameters=b";".join(parts)))
        context.destination = destination
        return 1

    @kemi("nathelper.set_alias_to_pv")
    def set_alias_to_pv(self, context: Context, target: Variable) -> int:
        """Store the Contact's alias in a variable, as a SIP URI; -1 when there is none."""
        contacts = context.message.contacts or ()
        uri = contacts[0].uri if len(contacts) == 1 else None
        alias = uri.parameter(self._alias_name) if uri is not None else None
        value = alias_uri(alias, always_named=True) if alias else None
        accessor = self.services.variables.compile(target) if value else None
        return 1 if accessor is not None and accessor.set(context, value) else -1

    @kemi("nathelper.add_rcv_param", routes=Route.REQUEST)
    def add_rcv_param(self, context: Context, in_uri: int = 0) -> int:
        """Add where the request is from to its Contacts as `received`, 1: to their URIs."""
        return add_received(context, bool(in_uri))

    @kemi("nathelper.fix_nated_register", routes=Route.REQUEST)
    def fix_nated_register(self, context: Context) -> int:
        """Store where the request is from in received_avp, for the registrar; -1 without one."""
        variable = self.params.received_avp.encode()
        accessor = self.services.variables.compile(variable) if variable else None
        if accessor is None or not accessor.set(context, source_uri(context.source)):
            return -1
        return 1

    @kemi("nathelper.fix_nated_sdp", native=(), routes=_ROUTES)
    def fix_nated_sdp(self, context: Context, flags: int) -> int:
        """Put the source's address into the SDP: 1 replaced, 2 nothing to replace, -1 no body.

        Flags: 1 adds a=direction:active, 2 media addresses, 4 adds nortpproxy_str, 8 the origin.
        """
        return self.fix_nated_sdp_ip(context, flags, b"")

    @kemi("nathelper.fix_nated_sdp_ip", native="fix_nated_sdp", routes=_ROUTES)
    def fix_nated_sdp_ip(self, context: Context, flags: int, address: bytes = b"") -> int:
        """Do as fix_nated_sdp, with an address of the script's."""
        body = current_body(context)
        if not body:
            return -1
        session = SessionRewriting(body, address or context.source.host)
        session.rewrite(flags)
        if flags & DIRECTION:
            session.add_line(b"a=direction:active")
        mark = self.params.nortpproxy_str.encode().strip()
        if flags & MARK and mark and mark not in body:
            session.add_line(mark)
        if self.params.append_sdp_oldmediaip:
            for old in session.old:
                session.add_line(b"a=oldmediaip:" + old)
        if session.text != body:
            context.edits.body = session.text
        return 1 if session.old else 2

    @pseudo_variable("rr_count")
    def record_routes(self, context: Context, inner: bytes, index: object) -> int:
        """$rr_count: the number of Record-Route entries."""
        return len(context.message.addresses(b"record-route") or ())

    @pseudo_variable("rr_top_count")
    def top_record_routes(self, context: Context, inner: bytes, index: object) -> int:
        """$rr_top_count: 2 when the topmost Record-Route is a double one, else 1; 0 without any."""
        entries = context.message.addresses(b"record-route") or ()
        doubles = [e.uri is not None and e.uri.parameter(b"r2") is not None for e in entries[:2]]
        return 2 if doubles == [True, True] else min(len(entries), 1)

    @rpc("nathelper.enable_ping")
    def enable_ping(self, enabled: int) -> object:
        """Have the NAT pings sent (1) or not (0)."""
        if self.params.natping_interval <= 0:
            raise RpcFault(400, "natping_interval is 0: there are no pings")
        if not self.services.tell_worker(-1, "nathelper.enable", int(bool(enabled))):
            raise RpcFault(500, "the timer process cannot be told")
        return None

    def _enable(self, enabled: int) -> None:
        self._enabled = bool(enabled)

    def _rules(self) -> PingRules:
        params = self.params
        return PingRules(
            interval=params.natping_interval,
            nated_only=bool(params.ping_nated_only),
            nat_flag=_mask(self.services.module(Usrloc).params.nat_bflag),
            sip_flag=_mask(params.sipping_bflag),
            disabling_flag=_mask(params.natping_disable_bflag),
            sip=bool(params.sipping_from),
            keepalive_timeout=params.keepalive_timeout,
            server_id=self.services.settings.server_id if params.filter_server_id else None,
        )

    def _second(self) -> None:
        if self._enabled and self._pings is not None:
            self._pings.second(time.time())
            for rank in list(self._waiting):
                self._flush(rank)

    def _have_sent(self, ping: Ping) -> None:
        # An answer comes to the worker that owns the Call-ID, so that one sends.
        services = self.services
        call_id = uuid4().hex.encode()
        rank = owner_rank(call_id, services.worker_count, services.settings.call_id_hash_offset)
        waiting = self._waiting.setdefault(rank, [])
        waiting.append((call_id, *astuple(ping)))
        if len(waiting) >= _BATCH:
            self._flush(rank)

    def _flush(self, rank: int) -> None:
        self.services.tell_worker(rank, "nathelper.ping", self._waiting.pop(rank))

    def _ping(self, pings: list[list[bytes]]) -> None:
        if self._sender is not None:
            for call_id, *parts in pings:
                self._sender.send(Ping(*parts), call_id)

    def _heard(self, tag: bytes) -> None:
        if self.params.keepalive_timeout:
            heard_of(self.services.module(Usrloc).locations, tag, int(time.time()))

    def _forced_socket(self) -> ListenAddress | None:
        wanted = self.params.force_socket.removeprefix("udp:").encode()
        for socket in self.services.network.sockets:
            if socket.transport == b"udp" and wanted in (socket.host, socket.text[4:]):
                return socket
        return None


def _mask(bit: int) -> int:
    return 1 << bit if bit >= 0 else 0
