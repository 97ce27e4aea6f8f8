"""Module timer: routes that run at intervals in the timer process and can be switched on and off.

Owns the modparam and timer_enable; running is in timed_routes/.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from kamailiod.modules.timed_routes.periodic_route import PeriodicRoute, can_run
from kamailiod.modules.timed_routes.timer_declaration import TimerDeclaration, parse_declaration
from kamailiod.script.context import Context
from kamailiod.script.module import Module, Params, kemi
from kamailiod.script.services import Services

_SWITCH = "timer.switch"
_TIMER_PROCESS = -1


@dataclass(frozen=True, slots=True)
class TimerParams(Params):
    """Kamailio's modparams of timer."""

    declare_timer: list[str] = field(default_factory=list)


class Timer(Module):
    """Routes that run at intervals while they are enabled."""

    name: ClassVar[str] = "timer"
    Params: ClassVar[type[TimerParams]] = TimerParams
    params: TimerParams
    _enabled: memoryview

    def __init__(self, params: TimerParams, services: Services) -> None:
        super().__init__(params, services)
        services.on_worker(_SWITCH, self._switch)
        self._declared: list[TimerDeclaration] = []
        self._numbers: dict[bytes, int] = {}
        self.routes: list[PeriodicRoute] = []

    def mod_init(self) -> None:
        """Read the timers; which of them are enabled all processes know."""
        self._declared = [parse_declaration(text) for text in self.params.declare_timer]
        self._numbers = {timer.name: number for number, timer in enumerate(self._declared)}
        if len(self._numbers) < len(self._declared):
            raise ValueError("timer: a timer is declared twice")
        if self._declared:
            self._enabled = self.services.words("timer", len(self._declared))
        for number, timer in enumerate(self._declared):
            self._enabled[number] = int(timer.enabled)

    def script_init(self) -> None:
        """Tell of routes that there are not."""
        for timer in self._declared:
            if not can_run(self.services, timer.route):
                name = timer.name.decode()
                self.services.log.error(self.name, f"timer {name}: no route {timer.route!r}")

    def child_init(self, rank: int) -> None:
        """The timer process starts the timers that are enabled."""
        if rank != _TIMER_PROCESS:
            return
        self.routes = [
            PeriodicRoute(self.services, timer.route, b"timer", timer.interval)
            for timer in self._declared
        ]
        for number in range(len(self.routes)):
            self._switch(number)

    def child_exit(self, rank: int) -> None:
        """Start no further runs."""
        for periodic in self.routes:
            periodic.stop()

    @kemi("timer.timer_enable")
    def timer_enable(self, context: Context, name: bytes, enable: int) -> int:
        """Let a timer run (1) from now on, or no more (0); -1 when there is none of the name."""
        number = self._numbers.get(name)
        if number is None:
            self.services.log.error(self.name, f"no timer {name[:64]!r}")
            return -1
        self._enabled[number] = int(enable != 0)
        if self.services.rank != 0 and not self.services.tell_worker(
            _TIMER_PROCESS, _SWITCH, number
        ):
            self.services.log.error(self.name, "the timer process cannot be told")
            return -1
        return 1

    def _switch(self, number: int) -> None:
        if self._enabled[number]:
            self.routes[number].start()
        else:
            self.routes[number].stop()
