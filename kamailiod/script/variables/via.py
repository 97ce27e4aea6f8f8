"""$via0, $via1, $viaZ: parts of the first, second and last Via entry.

Owns the names of the parts; the grammar is in sip/via.py.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.net.address import PROTOCOL_IDS
from kamailiod.script.context import Context, Value
from kamailiod.script.variables.accessor import Accessor, Factory, Registry, Specification
from kamailiod.sip.uri import DEFAULT_PORTS
from kamailiod.sip.via import Via

_PARAMETERS = {
    b"rport": b"rport",
    b"received": b"received",
    b"i": b"i",
    b"oc": b"oc",
    b"ocalgo": b"oc-algo",
    b"ocvalidity": b"oc-validity",
    b"ocseq": b"oc-seq",
    b"branch": b"branch",
}


def register(registry: Registry) -> None:
    """Register the three Via variables."""
    registry.register(b"via0", _factory(0))
    registry.register(b"via1", _factory(1))
    registry.register(b"viaZ", _factory(-1))


def _factory(place: int) -> Factory:
    def factory(specification: Specification) -> Accessor | None:
        read = _part(specification.inner)
        if read is None:
            return None

        def get(context: Context) -> Value:
            vias = context.message.vias
            if not vias or place >= len(vias):
                return None
            return read(vias[place])

        return Accessor(get)

    return factory


def _part(name: bytes) -> Callable[[Via], Value] | None:
    parameter = _PARAMETERS.get(name)
    if parameter is not None:
        return lambda via: via.parameter(parameter) or None
    return _PARTS.get(name)


_PARTS: dict[bytes, Callable[[Via], Value]] = {
    b"host": lambda via: via.host,
    b"port": lambda via: via.port or DEFAULT_PORTS.get(via.transport.lower(), 5060),
    b"proto": lambda via: via.transport,
    b"protoid": lambda via: PROTOCOL_IDS.get(via.transport.lower(), 0),
    b"params": lambda via: via.parameters.lstrip(b"; ") or None,
}
