"""The state of one script run: message, flags, variables, destination set, pending edits.

It belongs to the coroutine that runs the script, never to a module; it knows no module.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntFlag
from typing import TYPE_CHECKING

from kamailiod.net.address import ListenAddress, Source
from kamailiod.sip.edits import Edits
from kamailiod.sip.message import SipMessage
from kamailiod.sip.uri import Uri, parse_uri

if TYPE_CHECKING:
    from kamailiod.sip.transaction import Transaction

Value = bytes | int | None
"""What a pseudo-variable holds."""


class Happening(IntFlag):
    """What a listener of a transaction may hear of."""

    BRANCH_SENT = 1
    REPLY_IN = 2
    REPLY_OUT = 4
    ACK_IN = 8
    CANCELED = 16
    TIMEOUT = 32
    DESTROYED = 64


Listener = Callable[[Happening, "Transaction", SipMessage | None, int], None]
"""Called as listener(what, transaction, message or None when made here, status code)."""


class Route(IntFlag):
    """The kinds of route a script function may run in; modules declare where they may be used."""

    REQUEST = 1
    FAILURE = 2
    BRANCH = 4
    ONREPLY = 8
    REPLY = 16
    ONSEND = 32
    LOCAL = 64
    BRANCH_FAILURE = 128
    EVENT = 256
    ANY = 511


class Branch:
    """One further destination of the request, beside its own URI (append_branch)."""

    __slots__ = (
        "destination",
        "flags",
        "instance",
        "location_ua",
        "path",
        "q",
        "ruid",
        "socket",
        "uri",
    )

    def __init__(
        self,
        uri: bytes,
        destination: bytes = b"",
        path: bytes = b"",
        q: int = -1,
        flags: int = 0,
        socket: ListenAddress | None = None,
        ruid: bytes = b"",
        location_ua: bytes = b"",
        instance: bytes = b"",
    ) -> None:
        self.uri = uri
        self.destination = destination
        self.path = path
        self.q = q
        self.flags = flags
        self.socket = socket
        self.ruid = ruid
        self.location_ua = location_ua
        self.instance = instance


class Shared:
    """What all routes of one transaction share: AVPs, xavps, flags, hooks, module notes.

    `avps` maps names to value stacks, newest first.  `notes` is where a module keeps what it must
    remember with the message or transaction, under its own name.
    """

    __slots__ = (
        "avps",
        "flags",
        "listeners",
        "notes",
        "on_branch",
        "on_branch_failure",
        "on_failure",
        "on_reply",
        "reply_lines",
        "xavis",
        "xavps",
        "xavus",
    )

    def __init__(self) -> None:
        self.avps: dict[bytes, list[bytes | int]] = {}
        self.xavps: dict[bytes, list[object]] = {}
        self.xavus: dict[bytes, object] = {}
        self.xavis: dict[bytes, list[object]] = {}
        self.flags = 0
        self.notes: dict[str, object] = {}
        self.listeners: list[Listener] = []
        self.reply_lines: list[bytes] = []
        self.on_failure = b""
        self.on_branch = b""
        self.on_branch_failure = b""
        self.on_reply = b""


class Context:
    """One run of a route over one message.

    `uri` is the current request URI and `destination` the outbound proxy ($du, empty when unset);
    `branches` are the other destinations.  `transaction` is set once there is one.  In reply
    routes `message` is the reply.  A context without a real message (mod_init, events) carries a
    faked one, so that every function may be called everywhere.  `replied` and `relayed` say what
    the script has done with the request.
    """

    __slots__ = (
        "branch",
        "branch_flags",
        "branches",
        "destination",
        "dropped",
        "edits",
        "force_rport",
        "instance",
        "location_ua",
        "message",
        "path",
        "relayed",
        "replied",
        "return_code",
        "route",
        "ruid",
        "script_flags",
        "shared",
        "socket",
        "source",
        "transaction",
        "uri",
        "variables",
    )

    def __init__(self, message: SipMessage, source: Source, route: Route = Route.REQUEST) -> None:
        self.message = message
        self.source = source
        self.route = route
        self.shared = Shared()
        self.edits = Edits()
        self.uri = message.uri_text
        self.destination = b""
        self.path = b""
        self.socket: ListenAddress | None = None
        self.ruid = b""
        self.location_ua = b""
        self.instance = b""
        self.branch_flags = 0
        self.branches: list[Branch] = []
        self.script_flags = 0
        self.variables: dict[bytes, bytes | int] = {}
        self.transaction: Transaction | None = None
        self.branch: int = 0
        self.dropped = False
        self.force_rport = False
        self.relayed = False
        self.replied = False
        self.return_code = 1

    @property
    def parsed_uri(self) -> Uri | None:
        """The current request URI, None when malformed (or in a reply)."""
        return parse_uri(self.uri)

    def set_uri(self, uri: bytes) -> None:
        """Replace the request URI."""
        self.uri = uri

    @property
    def next_hop(self) -> bytes:
        """Where the request would go now: the destination when set, else the request URI."""
        return self.destination or self.uri

    @property
    def request(self) -> SipMessage:
        """The request this run is about: in a reply route, that of its transaction."""
        if self.message.is_request or self.transaction is None:
            return self.message
        return self.transaction.request

    def derive(self, route: Route, message: SipMessage | None = None) -> Context:
        """Return a context of another route of the same transaction, with its shared state.

        Edits are copied: what a branch or failure route changes stays in the branches it makes.
        """
        other = Context(message or self.message, self.source, route)
        other.shared = self.shared
        other.edits = self.edits.copy() if message is None else other.edits
        other.uri = self.uri
        other.destination = self.destination
        other.path = self.path
        other.socket = self.socket
        other.branch_flags = self.branch_flags
        other.transaction = self.transaction
        other.variables = self.variables
        return other
