"""A route that runs at an interval in this process, over a faked message.

Owns when it runs; it knows no modparam.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kamailiod.script.context import Context, Route
from kamailiod.script.services import Services

_FINE = 0.2
"""Intervals below this, in seconds, are too short for the ticks of the timer wheel."""


class _Repeated(Protocol):
    def cancel(self) -> None:
        """End the repetition."""


class PeriodicRoute:
    """One route with its interval in seconds; it does not run while its last run still waits.

    `event` is what a Lua function gets as its argument; `prepare` is told each run's context.
    """

    def __init__(
        self, services: Services, route: bytes, event: bytes, interval: float,
        prepare: Callable[[Context], None] = lambda context: None,
    ) -> None:  # fmt: skip
        self._services = services
        self._route = route
        self._event = event
        self._interval = interval
        self._prepare = prepare
        self._timer: _Repeated | None = None
        self._running = False

    @property
    def started(self) -> bool:
        """Whether it runs at its interval."""
        return self._timer is not None

    def start(self) -> None:
        """Run it from now on, for the first time after one interval."""
        if self._timer is not None:
            return
        if self._interval < _FINE:
            self._timer = _FineTimer(self._services, self._interval, self._run)
        else:
            self._timer = self._services.timers.every(self._interval, self._run)

    def stop(self) -> None:
        """Run it no more; a run that waits goes on to its end."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        if self._running:
            return
        context = self._services.faked_context()
        context.route = Route.REQUEST
        self._prepare(context)
        self._running = True
        self._services.script.run_named(context, self._route, self._event, self._ended)

    def _ended(self, ok: bool) -> None:
        self._running = False


class _FineTimer:
    """A call that comes again at an interval of milliseconds; what is late is left out."""

    def __init__(
        self, services: Services, interval: float, callback: Callable[[], None]
    ) -> None:
        self._loop = services.loop
        self._interval = interval
        self._callback = callback
        self._due = self._loop.time()
        self._handle = self._next()

    def _next(self) -> _Repeated:
        self._due = max(self._due + self._interval, self._loop.time())
        return self._loop.call_at(self._due, self._fire)

    def _fire(self) -> None:
        self._handle = self._next()
        self._callback()

    def cancel(self) -> None:
        self._handle.cancel()


def can_run(services: Services, route: bytes) -> bool:
    """Whether there is a native route or a Lua function of a name."""
    script = services.script
    return script.named_route(route) is not None or script.defines(route)
