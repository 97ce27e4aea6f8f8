"""What the modparams of rtimer say: timers, and the routes that run on them.

Owns the syntax; it runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

_INTERVAL = re.compile(r"(\d+)(u?)", re.IGNORECASE)
_MOST_WORKERS = 64


@dataclass(frozen=True, slots=True)
class RouteTimer:
    """A timer: `interval` in seconds, `workers` as many runs at each of its ticks."""

    name: str
    interval: float
    workers: int


def parse_timer(text: str, default_interval: int) -> RouteTimer:
    """Return the timer of "name=t;interval=1;mode=1"; raises ValueError when it is none."""
    given = _attributes(text, ("name", "interval", "mode"))
    found = _INTERVAL.fullmatch(given.get("interval", "0"))
    mode = given.get("mode", "0")
    if not given.get("name") or found is None or not mode.isdecimal():
        raise ValueError(f"rtimer: invalid timer [{text}]")
    number = int(found.group(1)) or default_interval
    seconds = number / 1_000_000 if found.group(2) and int(found.group(1)) else float(number)
    if seconds <= 0 or int(mode) > _MOST_WORKERS:
        raise ValueError(f"rtimer: invalid interval or mode of timer [{text}]")
    # Kamailio runs timers of microseconds in one process of their own.
    workers = 1 if found.group(2) else max(int(mode), 1)
    return RouteTimer(given["name"], max(seconds, 0.001), workers)


def parse_execution(text: str, timers: Collection[str]) -> tuple[str, bytes]:
    """Return timer and route of "timer=t;route=NAME"; raises ValueError without such a timer."""
    given = _attributes(text, ("timer", "route"))
    if given.get("timer") not in timers or not given.get("route"):
        raise ValueError(f"rtimer: no such timer, or no route: [{text}]")
    return given["timer"], given["route"].encode()


def _attributes(text: str, known: Collection[str]) -> Mapping[str, str]:
    parts = [part.partition("=") for part in text.split(";") if part.strip()]
    given = {name.strip().lower(): value.strip() for name, _, value in parts}
    if not set(given) <= set(known):
        raise ValueError(f"rtimer: invalid parameter [{text}]")
    return given
