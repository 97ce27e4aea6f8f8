"""Module rtimer: routes and Lua functions that run at intervals in the timer process.

Owns the modparams and $rtimer_worker; running is in timed_routes/.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from kamailiod.modules.timed_routes.periodic_route import PeriodicRoute, can_run
from kamailiod.modules.timed_routes.route_timer import RouteTimer, parse_execution, parse_timer
from kamailiod.script.context import Context
from kamailiod.script.module import Module, Params, pseudo_variable
from kamailiod.script.services import Services

_NOTE = "rtimer_worker"


@dataclass(frozen=True, slots=True)
class RtimerParams(Params):
    """Kamailio's modparams of rtimer."""

    timer: list[str] = field(default_factory=list)
    exec: list[str] = field(default_factory=list)
    default_interval: int = 10


class Rtimer(Module):
    """Routes that run at intervals."""

    name: ClassVar[str] = "rtimer"
    Params: ClassVar[type[RtimerParams]] = RtimerParams
    params: RtimerParams

    def __init__(self, params: RtimerParams, services: Services) -> None:
        super().__init__(params, services)
        self._executions: list[tuple[RouteTimer, bytes]] = []
        self.routes: list[PeriodicRoute] = []

    def mod_init(self) -> None:
        """Read the timers and what runs on them."""
        params = self.params
        timers: dict[str, RouteTimer] = {}
        for text in params.timer:
            timer = parse_timer(text, params.default_interval)
            if timer.name in timers:
                raise ValueError(f"rtimer: timer {timer.name} is defined twice")
            timers[timer.name] = timer
        for text in params.exec:
            name, route = parse_execution(text, timers)
            self._executions.append((timers[name], route))

    def script_init(self) -> None:
        """Tell of routes that there are not."""
        for timer, route in self._executions:
            if not can_run(self.services, route):
                self.services.log.error(self.name, f"timer {timer.name}: no route {route!r}")

    def child_init(self, rank: int) -> None:
        """The timer process starts the timers."""
        if rank != -1:
            return
        for timer, route in self._executions:
            for worker in range(timer.workers):
                periodic = PeriodicRoute(
                    self.services, route, b"rtimer", timer.interval, _numbered(worker)
                )
                self.routes.append(periodic)
                periodic.start()

    def child_exit(self, rank: int) -> None:
        """Start no further runs."""
        for periodic in self.routes:
            periodic.stop()

    @pseudo_variable("rtimer_worker")
    def rtimer_worker(self, context: Context, inner: bytes, index: object) -> int:
        """$rtimer_worker: which of the runs of a timer with mode above 1 this is, from 0."""
        number = context.shared.notes.get(_NOTE)
        return number if isinstance(number, int) else 0


def _numbered(worker: int) -> Callable[[Context], None]:
    def prepare(context: Context) -> None:
        context.shared.notes[_NOTE] = worker

    return prepare
