"""The core parameters that have an effect here: owns their types, and how they are filled in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from .builder import constant_word
from .core_params import CoreParameter, Kind, find_core_parameter
from .faults import Findings
from .listen import Address, Listen, build_listen, parse_address
from .tree import AliasParameter, CustomParameter, Item, ListenParameter, Literal, Parameter

_KEMI_WITHOUT_EFFECT = {
    "onsend_route_callback", "event_route_callback", "received_route_callback",
    "pre_routing_callback",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kemi:
    """Names of the Lua functions called as routes; "" or "none" is no call."""

    request_route_callback: str = "ksr_request_route"
    reply_route_callback: str = "ksr_reply_route"


@dataclass(frozen=True, slots=True)
class CustomVariable:
    """A `group.variable` of the config, which RPC can change."""

    value: Literal
    description: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Typed values under Kamailio's names: seconds, bytes, booleans; None is "not set".

    `others` holds what was set and has no field here; it is warned about when it is loaded.
    """

    children: int = 8
    fork: bool = True
    listen: tuple[Listen, ...] = ()
    alias: tuple[Address, ...] = ()
    auto_aliases: bool = True
    port: int = 5060
    call_id_hash_offset: int = 0
    advertised_address: str | None = None
    advertised_port: int | None = None
    server_id: int = 0
    user: str | None = None
    group: str | None = None
    chroot: str | None = None
    workdir: str = "/"
    run_dir: str = "/run/kamailio"
    open_files_limit: int = -1
    disable_core_dump: bool = False
    shm_mem_size: int = 0
    debug: int = 0
    log_stderror: bool = False
    log_facility: str = "LOG_DAEMON"
    log_name: str | None = None
    log_color: bool = False
    server_signature: bool = True
    server_header: str | None = None
    user_agent_header: str | None = None
    force_rport: bool = False
    max_branches: int = 12
    max_while_loops: int = 100
    disable_tcp: bool = False
    tcp_max_connections: int = 2048
    tcp_connection_lifetime: int = 120
    tcp_connect_timeout: int = 10
    tcp_conn_wq_max: int = 32768
    tcp_crlf_ping: bool = True
    kemi: Kemi = Kemi()
    custom: Mapping[str, Mapping[str, CustomVariable]] = field(default_factory=dict)
    others: Mapping[str, Literal] = field(default_factory=dict)


EFFECTIVE = frozenset(f.name for f in fields(Settings))
_KEMI = frozenset(f.name for f in fields(Kemi))


def build_settings(items: Iterable[Item], findings: Findings) -> Settings:
    """The settings the items make; later values win, as in Kamailio."""
    collected = _Collected(findings)
    for item in items:
        if isinstance(item, Parameter):
            collected.parameter(item)
        elif isinstance(item, CustomParameter):
            collected.custom_parameter(item)
        elif isinstance(item, (ListenParameter, AliasParameter)):
            collected.address(item)
    return collected.settings()


class _Collected:
    """The values met so far."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._values: dict[str, Literal] = {}
        self._others: dict[str, Literal] = {}
        self._listens: list[Listen] = []
        self._aliases: list[Address] = []
        self._kemi: dict[str, str] = {}
        self._custom: dict[str, dict[str, CustomVariable]] = {}

    def parameter(self, item: Parameter) -> None:
        known = find_core_parameter(item.name)
        if known is None:
            self._findings.fault(item.position, f"unknown core parameter {item.name}")
            return
        try:
            value = convert(known, item)
        except ValueError as error:
            self._findings.fault(item.position, f"{item.name}: {error}")
            return
        if known.name in EFFECTIVE:
            self._values[known.name] = value
            return
        if known.name not in self._others:
            self._findings.warn(item.position, f"core parameter {item.name} has no effect here")
        self._others[known.name] = value

    def custom_parameter(self, item: CustomParameter) -> None:
        if item.group == "kemi":
            self._kemi_parameter(item)
            return
        variable = CustomVariable(item.value, item.description)
        self._custom.setdefault(item.group, {})[item.name] = variable

    def _kemi_parameter(self, item: CustomParameter) -> None:
        name = f"core parameter kemi.{item.name}"
        if item.name in _KEMI and isinstance(item.value, str):
            self._kemi[item.name] = item.value
        elif item.name in _KEMI_WITHOUT_EFFECT:
            self._findings.warn(item.position, f"{name} has no effect here")
        else:
            self._findings.fault(item.position, f"unknown {name}")

    def address(self, item: ListenParameter | AliasParameter) -> None:
        try:
            if isinstance(item, ListenParameter):
                self._listens.append(build_listen(item))
            else:
                self._aliases.append(parse_address(item.address))
        except ValueError as error:
            self._findings.fault(item.position, str(error))

    def settings(self) -> Settings:
        custom = {group: MappingProxyType(named) for group, named in self._custom.items()}
        return Settings(
            **self._values,  # type: ignore[arg-type]  # convert() checked each by its kind
            listen=tuple(self._listens), alias=tuple(self._aliases), kemi=Kemi(**self._kemi),
            custom=MappingProxyType(custom), others=MappingProxyType(self._others),
        )  # fmt: skip


def convert(known: CoreParameter, item: Parameter) -> Literal:
    """The value of item in the kind of its parameter. Raises ValueError with the reason."""
    value = item.value
    if known.kind in (Kind.INTEGER, Kind.BOOLEAN):
        number = value if isinstance(value, int) or item.is_text else constant_word(value)
        if not isinstance(number, int):
            raise ValueError("number expected" if known.kind is Kind.INTEGER else
                             "boolean value expected")
        return number if known.kind is Kind.INTEGER else bool(number)
    if known.kind is Kind.STRING and not item.is_text:
        raise ValueError("string value expected")
    return str(value)
