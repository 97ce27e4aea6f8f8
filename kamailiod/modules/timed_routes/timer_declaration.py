"""What modparam("timer", "declare_timer", "NAME=ROUTE,1000,slow,enable") says of one timer.

Owns the syntax; it runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

_SPEEDS = ("", "slow", "fast")
_STARTS = ("", "enable", "disable")


@dataclass(frozen=True, slots=True)
class TimerDeclaration:
    """A timer: `interval` in seconds, `enabled` when it runs from the start."""

    name: bytes
    route: bytes
    interval: float
    enabled: bool


def parse_declaration(text: str) -> TimerDeclaration:
    """Return the timer that a modparam declares; raises ValueError when it is none.

    Slow and fast are one here: a route that waits keeps no other from running.
    """
    name, _, rest = text.partition("=")
    parts = [part.strip() for part in rest.split(",")]
    route, interval, speed, start = (*parts, "", "", "")[:4]
    well_formed = (
        len(parts) in range(2, 5) and name.strip() and route and interval.isdecimal()
        and int(interval) > 0 and speed.lower() in _SPEEDS and start.lower() in _STARTS
    )  # fmt: skip
    if not well_formed:
        raise ValueError(f"timer: invalid declare_timer [{text}]")
    return TimerDeclaration(
        name.strip().encode(), route.encode(), int(interval) / 1000, start.lower() == "enable"
    )
