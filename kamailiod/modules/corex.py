"""Module corex: branches, sockets, extended flags, static DNS records and small file access.

Owns the script functions and the parsing of its modparams; what is sent through is the network's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from kamailiod.modules.core import Core
from kamailiod.modules.core_functions.destination import add_branch
from kamailiod.modules.core_functions.sending import find_socket
from kamailiod.net.address import ListenAddress, Source, Target
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, Variable, kemi
from kamailiod.script.services import Services
from kamailiod.sip.uri import parse_uri

_EXTENDED_FLAGS = "corex_flags"
_SERVER_ID = "via_server_id"
_VIA_PARAMETERS = "via_xavp_parameters"
_VIA_FIELDS = "via_xavp_fields"
_REPLY_VIA_PARAMETERS = "via_reply_xavp_parameters"
_HIGHEST = 63
_LONGEST_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class CorexParams(Params):
    """Modparams of corex."""

    alias_subdomains: list[str] = ()  # type: ignore[assignment]  # an immutable default for a repeatable one
    dns_cache: list[str] = ()  # type: ignore[assignment]  # as above
    dns_file: list[str] = ()  # type: ignore[assignment]  # as above
    nio_intercept: int = 0
    nio_min_msg_len: int = 0
    nio_msg_avp: str = ""
    evcb_reply_out: str = ""


class Corex(Module):
    """Extensions of the core.

    `static_records` maps lower-case names to address literals, for the resolver; `subdomains` are
    the domains of which every name below is this server's, as (transport, domain, port).
    """

    name: ClassVar[str] = "corex"
    Params: ClassVar[type[Params]] = CorexParams
    without_effect: ClassVar[tuple[str, ...]] = (
        "nio_intercept",
        "nio_min_msg_len",
        "nio_msg_avp",
        "evcb_reply_out",
    )
    params: CorexParams

    def __init__(self, params: CorexParams, services: Services) -> None:
        super().__init__(params, services)
        self._core = services.module(Core)
        self.static_records: dict[bytes, list[bytes]] = {}
        for record in params.dns_cache:
            self._add_record(record)
        for path in params.dns_file:
            self._read_records(path)
        self.subdomains = [_subdomain(text) for text in params.alias_subdomains]

    def is_subdomain(self, host: bytes, port: int = 0, transport: bytes = b"") -> bool:
        """Whether a host is one of the domains of modparam alias_subdomains or below it."""
        name = host.lower()
        return any(
            (name == domain or name.endswith(b"." + domain))
            and (not port or not own_port or port == own_port)
            and (not transport or not own_transport or transport == own_transport)
            for own_transport, domain, own_port in self.subdomains
        )

    @kemi("corex.has_ruri_user", native=())
    def has_ruri_user(self, context: Context) -> int:
        """Return 1 when the request URI has a user part, else -1."""
        uri = context.parsed_uri
        return 1 if uri is not None and uri.user else -1

    @kemi("corex.has_user_agent", native=())
    def has_user_agent(self, context: Context) -> int:
        """Return 1 when there is a User-Agent header with a value, else -1."""
        return 1 if context.message.header(b"user-agent") else -1

    @kemi("corex.append_branch", native=())
    def append_branch(self, context: Context) -> int:
        """Add a branch to the current request URI, which hands it $du, path, flags and socket."""
        add_branch(context)
        return 1

    @kemi("corex.append_branch_uri", native=())
    def append_branch_uri(self, context: Context, uri: bytes) -> int:
        """Add a branch to another URI."""
        add_branch(context, uri)
        return 1

    @kemi(
        "corex.append_branch_uri_q",
        native="append_branch",
        routes=Route.REQUEST | Route.FAILURE,
    )
    def append_branch_uri_q(self, context: Context, uri: bytes = b"", q: bytes = b"") -> int:
        """Add a branch to a URI with a q value between 0 and 1; -1 when q is none."""
        value = _q_value(q)
        if value is None:
            return -1
        add_branch(context, uri, value)
        return 1

    @kemi("corex.setxflag")
    def setxflag(self, context: Context, flag: int) -> int:
        """Set an extended flag, 0 to 63, which lives as long as the transaction."""
        return _change_extended(context, flag, True)

    @kemi("corex.resetxflag")
    def resetxflag(self, context: Context, flag: int) -> int:
        """Clear an extended flag."""
        return _change_extended(context, flag, False)

    @kemi("corex.isxflagset")
    def isxflagset(self, context: Context, flag: int) -> int:
        """Return 1 when an extended flag is set, else -1."""
        return 1 if 0 <= flag <= _HIGHEST and _extended(context) >> flag & 1 else -1

    @kemi("corex.set_send_socket")
    def set_send_socket(self, context: Context, address: bytes) -> int:
        """Send the request from this local socket; 1 even if there is none, with a warning."""
        return self._send_from(context, find_socket(self._addresses(), address), address)

    @kemi("corex.set_send_socket_name")
    def set_send_socket_name(self, context: Context, name: bytes) -> int:
        """Send the request from the local socket with this name."""
        return self._send_from(context, self._named(name), name)

    @kemi("corex.set_recv_socket")
    def set_recv_socket(self, context: Context, address: bytes) -> int:
        """Treat the message as received on this local socket."""
        return self._receive_on(context, find_socket(self._addresses(), address))

    @kemi("corex.set_recv_socket_name")
    def set_recv_socket_name(self, context: Context, name: bytes) -> int:
        """Treat the message as received on the local socket with this name."""
        return self._receive_on(context, self._named(name))

    @kemi("corex.set_source_address")
    def set_source_address(self, context: Context, address: bytes) -> int:
        """Treat the message as sent from `[proto:]host:port`."""
        parts = address.rsplit(b":", 1)
        if len(parts) != 2 or not parts[1].isdigit() or int(parts[1]) > 65535:
            return -1
        transport, separator, rest = parts[0].partition(b":")
        host = rest if separator and transport in (b"udp", b"tcp", b"tls", b"sctp") else parts[0]
        source = context.source
        context.source = Source(
            source.local,
            host.strip(b"[]"),
            int(parts[1]),
            source.connection_id,
            source.received_at,
        )
        return 1

    @kemi("corex.is_socket_name")
    def is_socket_name(self, context: Context, name: bytes) -> int:
        """Return 1 when a local socket has this name, else -1."""
        return 1 if self._named(name) is not None else -1

    @kemi("corex.is_faked_msg")
    def is_faked_msg(self, context: Context) -> int:
        """Return 1 when there is no real message in this run, else -1."""
        return 1 if context.source.port == 0 else -1

    @kemi(native="is_incoming")
    def is_incoming(self, context: Context) -> int:
        """Return 1: routes that see outgoing messages are not these."""
        return 1

    @kemi("corex.via_add_srvid")
    def via_add_srvid(self, context: Context, on: int) -> int:
        """Add the server id as parameter srvid to the Via of this request (0: not)."""
        context.shared.notes[_SERVER_ID] = bool(on)
        return 1

    @kemi("corex.via_add_xavp_params")
    def via_add_xavp_params(self, context: Context, on: int) -> int:
        """Add the parameters in the Via xavp to the Via of this request (0: not)."""
        context.shared.notes[_VIA_PARAMETERS] = bool(on)
        return 1

    @kemi("corex.via_use_xavp_fields")
    def via_use_xavp_fields(self, context: Context, on: int) -> int:
        """Take address and port of the Via of this request from the Via xavp (0: not)."""
        context.shared.notes[_VIA_FIELDS] = bool(on)
        return 1

    @kemi("corex.via_reply_add_xavp_params")
    def via_reply_add_xavp_params(self, context: Context, on: int) -> int:
        """Add the parameters in the Via xavp to the first Via of replies (0: not)."""
        context.shared.notes[_REPLY_VIA_PARAMETERS] = bool(on)
        return 1

    @kemi("corex.send_data")
    def send_data(self, context: Context, uri: bytes, data: bytes) -> int:
        """Send data to a URI whose host is a literal or cached; -1 when it could not be sent."""
        return self._send(context, uri, data, None)

    @kemi("corex.sendx")
    def sendx(self, context: Context, uri: bytes, socket: bytes, data: bytes) -> int:
        """Send data to a URI from a local socket."""
        local = find_socket(self._addresses(), socket)
        return self._send(context, uri, data, local) if local is not None else -1

    @kemi("corex.file_read", native=())
    def file_read(self, context: Context, path: bytes) -> bytes:
        """Return the content of a file of at most 1 MiB, empty when it cannot be read."""
        return self._content(path) or b""

    @kemi(native="file_read")
    def native_file_read(self, context: Context, path: bytes, variable: Variable) -> int:
        """Store the content of a file in a variable."""
        content = self._content(path)
        accessor = self.services.variables.compile(variable)
        if content is None or accessor is None:
            return -1
        return 1 if accessor.set(context, content) else -1

    @kemi("corex.file_write")
    def file_write(self, context: Context, path: bytes, data: bytes) -> int:
        """Append data to a file."""
        try:
            with open(path, "ab") as file:
                file.write(data)
        except (OSError, ValueError) as error:
            self.services.log.error(self.name, f"cannot write {path!r}: {error}")
            return -1
        return 1

    def _content(self, path: bytes) -> bytes | None:
        try:
            with open(path, "rb") as file:
                return file.read(_LONGEST_FILE)
        except (OSError, ValueError) as error:
            self.services.log.error(self.name, f"cannot read {path!r}: {error}")
            return None

    def _addresses(self) -> Iterable[ListenAddress]:
        return self.services.network.sockets

    def _named(self, name: bytes) -> ListenAddress | None:
        return next((s for s in self._addresses() if s.name and s.name == name), None)

    def _send_from(self, context: Context, local: ListenAddress | None, given: bytes) -> int:
        if local is None:
            self.services.log.warning(self.name, f"no socket found to match {given!r}")
        else:
            context.socket = local
        return 1

    def _receive_on(self, context: Context, local: ListenAddress | None) -> int:
        if local is None:
            return -1
        source = context.source
        context.source = Source(
            local, source.host, source.port, source.connection_id, source.received_at
        )
        return 1

    def _send(
        self, context: Context, uri: bytes, data: bytes, local: ListenAddress | None
    ) -> int:
        network = self.services.network
        found = network.resolve(uri) if parse_uri(uri) is not None else None
        if not isinstance(found, (list, tuple)) or not found:
            return -1
        transport, host, port = found[0]
        source = local or network.socket_for(transport, host, context.source.local)
        if source is None:
            return -1
        return 1 if network.send(Target(transport, host, port, source), data) else -1

    def _add_record(self, text: str) -> None:
        pairs = (part.partition("=") for part in text.split(";"))
        fields = {key.strip(): value.strip() for key, _, value in pairs}
        name, address = fields.get("name", ""), fields.get("addr", "")
        if not name or not address or fields.get("type", "A").upper() not in ("A", "AAAA"):
            self.services.log.error(self.name, f"bad static DNS record: {text!r}")
            return
        self.static_records.setdefault(name.rstrip(".").lower().encode(), []).append(
            address.encode()
        )

    def _read_records(self, path: str) -> None:
        try:
            lines = Path(path).read_text("utf-8").splitlines()
        except (OSError, ValueError) as error:
            self.services.log.error(self.name, f"cannot read {path!r}: {error}")
            return
        for line in lines:
            if line.strip() and not line.lstrip().startswith("#"):
                self._add_record(line)


def _subdomain(text: str) -> tuple[bytes, bytes, int]:
    parts = text.encode().lower().split(b":")
    transport = parts.pop(0) if len(parts) > 1 and not parts[1].isdigit() else b""
    port = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
    return transport, parts[0], port


def _q_value(text: bytes) -> int | None:
    if not text:
        return -1
    whole, _, fraction = text.partition(b".")
    if not (whole + fraction).isdigit() or len(fraction) > 3:
        return None
    value = int(whole or b"0") * 1000 + int(fraction.ljust(3, b"0"))
    return value if value <= 1000 else None


def _extended(context: Context) -> int:
    flags = context.shared.notes.get(_EXTENDED_FLAGS, 0)
    return flags if isinstance(flags, int) else 0


def _change_extended(context: Context, flag: int, on: bool) -> int:
    if not 0 <= flag <= _HIGHEST:
        return -1
    flags = _extended(context)
    context.shared.notes[_EXTENDED_FLAGS] = flags | 1 << flag if on else flags & ~(1 << flag)
    return 1
