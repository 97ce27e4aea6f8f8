"""Variables that depend on no message: $null, $true, $E*, $C, $K, $env, $pp, $version.

Owns their values; what needs the configuration is in modules/pv.py.
"""

from __future__ import annotations

import os

from kamailiod import __version__
from kamailiod.net.address import PROTOCOL_IDS
from kamailiod.script.context import Context, Value
from kamailiod.script.variables.accessor import (
    Accessor,
    Getter,
    Registry,
    Specification,
    chosen,
    constant,
    register_all,
)
from kamailiod.script.variables.value import strict_integer

KAMAILIO_VERSION = b"5.6.3"
"""The version whose behaviour is followed; scripts compare it."""

_ESCAPES = {
    b"En": b"\n",
    b"Er": b"\r",
    b"Es": b" ",
    b"Et": b"\t",
    b"Ec": b",",
    b"Eq": b'"',
    b"Ek": b"'",
    b"Ei": b":",
    b"Ej": b";",
    b"Eb": b"\\",
    b"Ev": b"`",
}

_COLOURS = {letter: number for number, letter in enumerate("srgybpcw")}


def register(registry: Registry) -> None:
    """Register the constants."""
    register_all(registry, GETTERS)
    register_all(registry, {name: constant(value) for name, value in _ESCAPES.items()})
    registry.register(b"C", _colour)
    registry.register(b"env", _environment)
    registry.register(b"envn", _environment_number)
    registry.register(b"K", chosen({name: constant(value) for name, value in _NUMBERS.items()}))
    registry.register(b"version", chosen(_VERSIONS))
    registry.register(b"ksr", chosen({b"ver": _VERSIONS[b"num"], b"verval": constant(5006003)}))


def _nothing(context: Context) -> Value:
    del context
    return None


def _process_id(context: Context) -> Value:
    del context
    return os.getpid()


def _environment(specification: Specification) -> Accessor:
    name = specification.inner
    return Accessor(lambda context: os.environb.get(name))


def _environment_number(specification: Specification) -> Accessor:
    name = specification.inner
    return Accessor(lambda context: strict_integer(os.environb.get(name)) or 0)


def _colour(specification: Specification) -> Accessor | None:
    # Two letters, foreground and background; an upper-case one is bold, "x" is the default.
    letters = specification.inner.decode("ascii", "replace")
    if len(letters) != 2:
        return None
    foreground = _COLOURS.get(letters[0].lower(), 9)
    background = _COLOURS.get(letters[1].lower(), 9)
    bold = 1 if letters[0].isupper() else 0
    return Accessor(constant(b"\x1b[%d;%d;%dm" % (bold, 30 + foreground, 40 + background)))


GETTERS: dict[bytes, Getter] = {
    b"$": constant(b"$"),
    b"null": _nothing,
    b"true": constant(1),
    b"pp": _process_id,
    b"err.class err.level err.info err.rcode err.rreason": _nothing,
}

_NUMBERS = {
    **{name.upper(): number for name, number in PROTOCOL_IDS.items() if number},
    b"IP4": 4,
    b"IP6": 6,
    b"INET": 2,
    b"INET6": 10,
}

_VERSIONS = {
    b"num": constant(KAMAILIO_VERSION),
    b"full": constant(b"kamailiod " + __version__.encode()),
    b"hash": constant(b"unknown"),
}
