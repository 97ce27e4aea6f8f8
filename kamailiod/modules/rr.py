"""Module rr: Record-Route and loose routing (RFC 3261 16.4, 16.6, 16.12, RFC 5658).

Owns which Route entries are ours and what they carry; the lines are written by
sip/record_route.py when the request is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from kamailiod.modules.record_routing.own_route import OwnRoute
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, kemi, pseudo_variable
from kamailiod.script.services import Services
from kamailiod.sip.message import SipMessage, line_body
from kamailiod.sip.name_addr import NameAddr, parse_addresses
from kamailiod.sip.record_route import RecordRoute
from kamailiod.sip.uri import Uri, parameter_value

_ROUTE_PARAMETERS = "rr_route_parameters"


@dataclass(frozen=True, slots=True)
class RrParams(Params):
    """modparams of rr."""

    append_fromtag: int = 1
    enable_double_rr: int = 1
    enable_full_lr: int = 0
    add_username: int = 0
    enable_socket_mismatch_warning: int = 1
    custom_user_avp: str = ""
    force_send_socket: int = 0
    ignore_sips: int = 0
    sockname_mode: int = 0
    loose_route_mode: int = 0
    ignore_user: int = 0


class Rr(Module):
    """Record routing of one process."""

    name = "rr"
    Params: ClassVar[type[Params]] = RrParams
    without_effect: ClassVar[tuple[str, ...]] = (
        "custom_user_avp", "ignore_sips", "sockname_mode", "ignore_user",
        "enable_socket_mismatch_warning", "force_send_socket", "loose_route_mode",
    )  # fmt: skip
    params: RrParams

    def __init__(self, params: RrParams, services: Services) -> None:
        super().__init__(params, services)
        self._callbacks: list[Callable[[Context, bytes], object]] = []
        self._loose = b";lr=on" if params.enable_full_lr else b";lr"
        self._own_route = OwnRoute((), self._loose)

    def mod_init(self) -> None:
        """Remember how the Record-Route lines begin that we write."""
        sockets = self.services.network.sockets
        self._own_route = OwnRoute([socket.record for socket in sockets], self._loose)

    def on_route(self, callback: Callable[[Context, bytes], object]) -> None:
        """Have callback(context, parameters) called when loose_route took a Route of ours.

        The next hop is known by then, and the callback may change it.
        """
        self._callbacks.append(callback)

    def add_parameter(self, context: Context, parameter: bytes) -> None:
        """Add `;name=value` to the Record-Route of this request, whether it is there yet or not."""
        record = context.shared.notes.get("record_route")
        if isinstance(record, RecordRoute):
            record.parameters += parameter
        else:
            waiting = context.shared.notes.get("rr_parameters", b"")
            context.shared.notes["rr_parameters"] = bytes(waiting) + parameter  # type: ignore[call-overload]  # only bytes are kept there

    def direction(self, context: Context) -> int:
        """Return 2 for an in-dialog request of the callee, else 1, also when nothing tells."""
        parameters = context.shared.notes.get(_ROUTE_PARAMETERS)
        if not isinstance(parameters, bytes):
            return 1
        tag = parameter_value(parameters, b"ftag")
        return 1 if tag is None or tag == context.message.from_tag else 2

    @kemi("rr.record_route", routes=Route.REQUEST | Route.BRANCH | Route.FAILURE)
    def record_route(self, context: Context) -> int:
        """Stay in the path of the dialog; -1 when called a second time."""
        return self._record(context, b"", ())

    @kemi(
        "rr.record_route_params",
        native="record_route",
        routes=Route.REQUEST | Route.BRANCH | Route.FAILURE,
    )
    def record_route_params(self, context: Context, parameters: bytes) -> int:
        """Do as record_route, with further parameters on the line."""
        return self._record(context, parameters, ())

    @kemi("rr.record_route_preset_one", native=())
    def record_route_preset_one(self, context: Context, address: bytes) -> int:
        """Record-route with an address of the script's: `host[:port]`."""
        return self._record(context, b"", (address,))

    @kemi("rr.record_route_preset", native="record_route_preset")
    def record_route_preset(self, context: Context, address: bytes, second: bytes = b"") -> int:
        """Record-route with one or two addresses of the script's."""
        return self._record(context, b"", (address, second) if second else (address,))

    def _record(self, context: Context, parameters: bytes, preset: tuple[bytes, ...]) -> int:
        notes = context.shared.notes
        if "record_route" in notes:
            return -1
        message = context.message
        if self.params.append_fromtag:
            # The tag of who started the dialog, whichever side this request comes from.
            tag = message.from_tag if self.direction(context) == 1 else message.to_tag
            if tag:
                parameters += b";ftag=" + tag
        waiting = notes.pop("rr_parameters", b"")
        if isinstance(waiting, bytes):
            parameters += waiting
        user = b""
        if self.params.add_username and context.parsed_uri is not None:
            user = context.parsed_uri.user
        notes["record_route"] = RecordRoute(
            user, parameters, self._loose, bool(self.params.enable_double_rr), preset
        )
        return 1

    @kemi(
        "rr.record_route_advertised_address",
        routes=Route.REQUEST | Route.BRANCH | Route.FAILURE,
    )
    def record_route_advertised_address(self, context: Context, address: bytes) -> int:
        """Record-route with the address under which others reach this server: `host[:port]`."""
        return self._record(context, b"", (address,)) if address else -1

    @kemi("rr.loose_route_mode", routes=Route.REQUEST)
    def loose_route_mode(self, context: Context, mode: int) -> int:
        """Do as loose_route; mode 1 takes no strict router in front of us into account."""
        return self._follow(context, strict=not mode & 1)

    @kemi("rr.next_hop_route", native="rr_next_hop_route")
    def next_hop_route(self, context: Context) -> int:
        """Return 1 when the request goes where a Route header says, else -1."""
        destination = context.destination
        routes = _routes(context.message) if destination else []
        return 1 if any(address.uri_text == destination for _, address in routes) else -1

    @kemi("rr.remove_record_route")
    def remove_record_route(self, context: Context) -> int:
        """Take record_route back."""
        context.shared.notes.pop("record_route", None)
        return 1

    @kemi("rr.add_rr_param")
    def add_rr_param(self, context: Context, parameter: bytes) -> int:
        """Add `;name=value` to the Record-Route line."""
        if not parameter.startswith(b";"):
            return -1
        self.add_parameter(context, parameter)
        return 1

    @kemi("rr.check_route_param")
    def check_route_param(self, context: Context, pattern: bytes) -> int:
        """Return 1 when the parameters of our own top Route match a regular expression, else -1."""
        parameters = context.shared.notes.get(_ROUTE_PARAMETERS)
        if not isinstance(parameters, bytes):
            return -1
        return 1 if _pattern(pattern).search(parameters) else -1

    @kemi("rr.is_direction")
    def is_direction(self, context: Context, direction: bytes) -> int:
        """Return 1 when the request runs `downstream` (from the caller) or `upstream` as asked."""
        wanted = 1 if direction.lower().startswith(b"d") else 2
        return 1 if self.direction(context) == wanted else -1

    @pseudo_variable("rdir")
    def direction_variable(self, context: Context, inner: bytes, index: object) -> int | bytes:
        """$rdir(id) is 1 or 2, $rdir(name) "downstream" or "upstream"."""
        found = self.direction(context)
        return found if inner == b"id" else b"downstream" if found == 1 else b"upstream"

    @pseudo_variable("fti")
    def initial_from_tag(self, context: Context, inner: bytes, index: object) -> bytes | None:
        """$fti is the tag of who started the dialog."""
        message = context.message
        return (message.from_tag if self.direction(context) == 1 else message.to_tag) or None

    @pseudo_variable("tti")
    def initial_to_tag(self, context: Context, inner: bytes, index: object) -> bytes | None:
        """$tti is the tag of who was called."""
        message = context.message
        return (message.to_tag if self.direction(context) == 1 else message.from_tag) or None

    @pseudo_variable("route_uri")
    def route_uri(self, context: Context, inner: bytes, index: object) -> bytes | None:
        """The URI of the topmost Route header."""
        routes = _routes(context.message)
        return routes[0][1].uri_text if routes else None

    @kemi(
        "rr.loose_route",
        "rr.loose_route_preloaded",
        native=("loose_route", "loose_route_preloaded"),
        routes=Route.REQUEST,
    )
    def loose_route(self, context: Context) -> int:
        """Follow the Route headers (RFC 3261 16.4, 16.12); 1 when there were any, else -1."""
        return self._follow(context, strict=True)

    def _follow(self, context: Context, strict: bool) -> int:
        message = context.message
        if b"route" not in message.index:
            return -1
        taken = self._own_route.take(context)
        if taken is not None:
            self._taken(context, taken)
            return 1
        routes = _routes(message)
        if not routes:
            return -1
        uri = message.uri
        if strict and uri is not None and self._is_own_route(uri):
            return self._after_strict(context, routes)
        return self._after_loose(context, routes)

    def _is_own_route(self, uri: Uri) -> bool:
        # A strict router in front of us has put our Record-Route URI into the request URI.
        return (
            bool(uri.parameters) and uri.parameter(b"lr") is not None and not uri.user
            and self._is_myself(uri)
        )  # fmt: skip

    def _is_myself(self, uri: Uri) -> bool:
        return uri.is_sip and self.services.network.is_myself(
            uri.host, uri.port or uri.effective_port, uri.transport
        )

    def _after_strict(self, context: Context, routes: list[tuple[int, NameAddr]]) -> int:
        uri = context.message.uri
        remaining = list(routes)
        first = remaining[0][1].uri
        if first is not None and self._is_myself(first) and len(remaining) > 1:
            remaining.pop(0)
        _, last = remaining.pop()
        context.set_uri(last.uri_text)
        _keep(context, routes, remaining)
        self._next_hop(context, routes, remaining)
        if uri is not None:
            self._taken(context, uri.parameters)
        return 1

    def _after_loose(self, context: Context, routes: list[tuple[int, NameAddr]]) -> int:
        top = routes[0][1].uri
        if top is None:
            return -1
        remaining = list(routes)
        if self._is_myself(top):
            remaining.pop(0)
            if remaining and top.parameter(b"r2") is not None:
                second = remaining[0][1].uri
                if second is not None and self._is_myself(second):
                    remaining.pop(0)
            _keep(context, routes, remaining)
        self._next_hop(context, routes, remaining)
        if len(remaining) < len(routes):
            self._taken(context, top.parameters)
        return 1

    def _next_hop(
        self, context: Context, routes: list[tuple[int, NameAddr]],
        remaining: list[tuple[int, NameAddr]],
    ) -> None:  # fmt: skip
        if not remaining:
            context.destination = b""
            return
        following = remaining[0][1]
        uri = following.uri
        if uri is not None and uri.parameter(b"lr") is None:
            # The next hop is a strict router (RFC 3261 16.6 step 6).
            context.edits.end.append(b"Route: <" + context.uri + b">")
            context.set_uri(following.uri_text)
            context.destination = b""
            _keep(context, routes, remaining[1:])
            return
        context.destination = following.uri_text

    def _taken(self, context: Context, parameters: bytes) -> None:
        context.shared.notes[_ROUTE_PARAMETERS] = parameters
        for callback in self._callbacks:
            callback(context, parameters)


def _routes(message: SipMessage) -> list[tuple[int, NameAddr]]:
    found: list[tuple[int, NameAddr]] = []
    lines = message.lines
    for number in message.index.get(b"route", ()):
        found += [(number, address) for address in parse_addresses(line_body(lines[number]))]
    return found


def _keep(
    context: Context, routes: list[tuple[int, NameAddr]], remaining: list[tuple[int, NameAddr]]
) -> None:
    replaced = context.edits.replaced
    for number in {number for number, _ in routes}:
        kept = [bytes(address) for line, address in remaining if line == number]
        if not kept:
            replaced[number] = None
        elif len(kept) != sum(line == number for line, _ in routes):
            replaced[number] = b"Route: " + b", ".join(kept)


@lru_cache(maxsize=256)
def _pattern(pattern: bytes) -> re.Pattern[bytes]:
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error:
        return re.compile(rb"(?!)")
