"""Module pv: pseudo-variables in scripts.

Owns $shv and the variables that need the server's configuration; the others are in
script/variables.  The functions are in pv_functions/, by theme.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar

from kamailiod.modules.pv_functions.access import Access
from kamailiod.modules.pv_functions.conversion import Conversion
from kamailiod.modules.pv_functions.records import with_record_functions
from kamailiod.modules.pv_functions.simple import Simple
from kamailiod.modules.pv_functions.unique import Unique
from kamailiod.net.address import ListenAddress, bracketed
from kamailiod.script.context import Context, Value
from kamailiod.script.module import Module, Params, pseudo_variable
from kamailiod.script.services import Services
from kamailiod.script.variables.accessor import Index
from kamailiod.script.variables.avp import variable_factory
from kamailiod.script.variables.value import plain_text, strict_integer

_INITIAL = re.compile(r"\s*([^=\s]+)\s*=\s*([si]):(.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PvParams(Params):
    """`shvset` and `varset`: initial values, `name=s:text` or `name=i:number`."""

    shvset: list[str] = field(default_factory=list)
    varset: list[str] = field(default_factory=list)
    avp_aliases: str = ""


@with_record_functions("xavp", lambda context: context.shared.xavps)
@with_record_functions("xavi", lambda context: context.shared.xavis, fold=True)
class Pv(Access, Simple, Unique, Conversion, Module):
    """KSR.pv and KSR.pvx, and the variables of the server itself."""

    name = "pv"
    Params: ClassVar = PvParams
    without_effect: ClassVar[tuple[str, ...]] = ("avp_aliases",)

    def __init__(self, params: PvParams, services: Services) -> None:
        super().__init__(params, services)
        self.accessors = services.variables.accessors
        self.shared_values = self._initial_values(params.shvset)
        self.initial = self._initial_values(params.varset)

    def mod_init(self) -> None:
        """Give $var its initial values."""
        if self.initial:
            factory = variable_factory(self.initial)
            self.services.variables.register(b"var", factory)
            self.services.variables.register(b"vz", factory)

    def _initial_values(self, settings: list[str]) -> dict[bytes, bytes | int]:
        values: dict[bytes, bytes | int] = {}
        for setting in settings:
            match = _INITIAL.match(setting)
            value = None if match is None else _initial_value(match.group(2), match.group(3))
            if match is None or value is None:
                self.services.log.error("pv", f"not name=s:text or name=i:number: {setting!r}")
            else:
                values[match.group(1).encode()] = value
        return values

    @pseudo_variable("shv", setter="set_shv")
    def shv(self, context: Context, inner: bytes, index: Index) -> Value:
        """A variable of this worker that survives messages, 0 at first."""
        return self.shared_values.get(inner, 0)

    def set_shv(self, context: Context, inner: bytes, index: Index, value: Value) -> bool:
        """Set it; nothing makes it 0 again."""
        self.shared_values[inner] = 0 if value is None else value
        return True

    @pseudo_variable("shvinc")
    def shvinc(self, context: Context, inner: bytes, index: Index) -> Value:
        """$shv after it was incremented; nothing when it is a string."""
        return self.shvinc_get(context, inner)

    @pseudo_variable("fs", setter="set_fs")
    def fs(self, context: Context, inner: bytes, index: Index) -> Value:
        """The socket that is forced to send from."""
        return None if context.socket is None else context.socket.text

    def set_fs(self, context: Context, inner: bytes, index: Index, value: Value) -> bool:
        """Force a socket by proto:host:port; the empty string and nothing force none."""
        wanted = plain_text(value)
        found = self._find_socket(wanted) if wanted else None
        if wanted and found is None:
            self.services.log.warning("pv", f"no socket {wanted.decode('utf-8', 'replace')}")
        else:
            context.socket = found
        return True

    @pseudo_variable("fsn", setter="set_fsn")
    def fsn(self, context: Context, inner: bytes, index: Index) -> Value:
        """The name of the socket that is forced to send from."""
        return None if context.socket is None else context.socket.name or None

    def set_fsn(self, context: Context, inner: bytes, index: Index, value: Value) -> bool:
        """Force a socket by its name."""
        wanted = plain_text(value)
        sockets = self.services.network.sockets
        context.socket = next((s for s in sockets if wanted and s.name == wanted), None)
        return context.socket is not None or not wanted

    @pseudo_variable("fsp")
    def fsp(self, context: Context, inner: bytes, index: Index) -> Value:
        """The port of the socket that is forced to send from, 0 without one."""
        return 0 if context.socket is None else context.socket.port

    @pseudo_variable("sid")
    def sid(self, context: Context, inner: bytes, index: Index) -> Value:
        """The server_id of the configuration."""
        return self.services.settings.server_id

    @pseudo_variable("iuid")
    def iuid(self, context: Context, inner: bytes, index: Index) -> Value:
        """The name of this instance."""
        return self.services.instance.encode()

    @pseudo_variable("def")
    def define(self, context: Context, inner: bytes, index: Index) -> Value:
        """The text of a #!define as written, quotes included."""
        return self._definition(inner)

    @pseudo_variable("defs", "defv")
    def define_text(self, context: Context, inner: bytes, index: Index) -> Value:
        """The text of a #!define without its quotes."""
        found = self._definition(inner)
        quoted = found is not None and len(found) > 1 and found[:1] == found[-1:] == b'"'
        return found[1:-1] if quoted and found is not None else found

    @pseudo_variable("defn")
    def define_number(self, context: Context, inner: bytes, index: Index) -> Value:
        """The number that a #!define holds, 0 when it holds none."""
        return strict_integer(self._definition(inner)) or 0

    @pseudo_variable("stat")
    def statistic(self, context: Context, inner: bytes, index: Index) -> Value:
        """The value of a statistic over all processes, nothing when there is none."""
        statistics = self.services.statistics
        name = statistics.find(inner.decode("utf-8", "replace"))
        return None if name is None else statistics.total(name)

    def _definition(self, name: bytes) -> bytes | None:
        found = self.services.defines.get(name.decode("utf-8", "replace"))
        return None if found is None else found.encode()

    def _find_socket(self, wanted: bytes) -> ListenAddress | None:
        for socket in self.services.network.sockets:
            bare = b"%s:%d" % (bracketed(socket.host), socket.port)
            if wanted in (socket.text, bare, b"%s:%s" % (socket.transport, socket.host)):
                return socket
        return None


def _initial_value(kind: str, text: str) -> bytes | int | None:
    return text.encode() if kind == "s" else strict_integer(text.encode())
