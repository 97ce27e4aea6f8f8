"""$T*, $time, $timef and their kin: the time of the message, and now.

Owns their notations.  The time of a message is when a script first asks for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kamailiod.script.context import Context, Value
from kamailiod.script.variables.accessor import (
    Accessor,
    Factory,
    Getter,
    Registry,
    Specification,
    chosen,
    constant,
    register_all,
)

_NOTE = "message time"


def register(registry: Registry) -> None:
    """Register the variables of time."""
    register_all(registry, GETTERS)
    register_all(registry, {b"Tb": constant(int(time.time()))})
    registry.register(b"TV", chosen(_PRECISE))
    for name, break_down in ((b"time", time.localtime), (b"utime", time.gmtime)):
        registry.register(name, _field(break_down))
        registry.register(name + b"f", _formatted(break_down))


def message_time(context: Context) -> float:
    """Return the wall-clock time of a message in seconds."""
    notes = context.shared.notes
    noted = notes.get(_NOTE)
    if not isinstance(noted, tuple) or noted[0] is not context.message:
        noted = notes[_NOTE] = (context.message, time.time())
    moment: float = noted[1]
    return moment


def _seconds(context: Context) -> Value:
    return int(message_time(context))


def _microseconds(context: Context) -> Value:
    return int(message_time(context) * 1_000_000) % 1_000_000


def _now(context: Context) -> Value:
    del context
    return int(time.time())


def _now_microseconds(context: Context) -> Value:
    del context
    return time.time_ns() // 1000 % 1_000_000


def _now_precise(context: Context) -> Value:
    del context
    microseconds = time.time_ns() // 1000
    return b"%d.%06d" % divmod(microseconds, 1_000_000)


def _now_readable(context: Context) -> Value:
    del context
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    return f"{moment}.{nanoseconds // 1000:06d}".encode()


def _readable(moment: float) -> bytes:
    return time.asctime(time.localtime(moment)).encode()


def _field(break_down: Callable[[float], time.struct_time]) -> Factory:
    def factory(specification: Specification) -> Accessor | None:
        read = _FIELDS.get(specification.inner)
        if read is None:
            return None
        return Accessor(lambda context: read(break_down(message_time(context))))

    return factory


def _formatted(break_down: Callable[[float], time.struct_time]) -> Factory:
    def factory(specification: Specification) -> Accessor | None:
        layout = specification.inner.decode("utf-8", "surrogateescape")
        if not layout:
            return None

        def get(context: Context) -> Value:
            moment = break_down(message_time(context))
            return time.strftime(layout, moment).encode("utf-8", "surrogateescape")

        return Accessor(get)

    return factory


_FIELDS: dict[bytes, Callable[[time.struct_time], int]] = {
    b"sec": lambda moment: moment.tm_sec,
    b"min": lambda moment: moment.tm_min,
    b"hour": lambda moment: moment.tm_hour,
    b"mday": lambda moment: moment.tm_mday,
    b"mon": lambda moment: moment.tm_mon,
    b"year": lambda moment: moment.tm_year,
    # Kamailio counts the days of a week from Sunday as 1.
    b"wday": lambda moment: (moment.tm_wday + 1) % 7 + 1,
    b"yday": lambda moment: moment.tm_yday,
    b"isdst": lambda moment: moment.tm_isdst,
}

_PRECISE: dict[bytes, Getter] = {
    b"s": _seconds,
    b"u": _microseconds,
    b"sn": _now,
    b"un": _now_microseconds,
    b"Sn": _now_precise,
    b"Fn": _now_readable,
    b"Sm": lambda context: b"%d" % time.monotonic_ns(),
}

GETTERS: dict[bytes, Getter] = {
    b"Ts": _seconds,
    b"TS": _now,
    b"Tf": lambda context: _readable(message_time(context)),
    b"TF": lambda context: _readable(time.time()),
}
