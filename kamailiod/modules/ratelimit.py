"""Module ratelimit: numbered pipes that let so many requests a second through, chosen by method.

Owns modparams, script functions and the commands; pipes and queues are in pipes/.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from kamailiod.modules.pipes.pipe import Algorithm, Pipe, algorithm_of
from kamailiod.modules.pipes.pipe_table import NO_ALGORITHM, PASSED, PipeTable
from kamailiod.modules.pipes.queues import Queue, Queues
from kamailiod.modules.pipes.system_load import WORDS, SystemLoad
from kamailiod.script.context import Context
from kamailiod.script.module import Module, Params, RpcFault, kemi, rpc
from kamailiod.script.services import Services

_SHARE = 0.01
_PIPES = 32


@dataclass(frozen=True, slots=True)
class RatelimitParams(Params):
    """Kamailio's modparams: a pipe is "number:algorithm:limit", a queue "number:method"."""

    timer_interval: int = 10
    queue: list[str] = field(default_factory=list)
    pipe: list[str] = field(default_factory=list)


class Ratelimit(Module):
    """Pipes by number and the queues that lead to them, over all workers."""

    name: ClassVar[str] = "ratelimit"
    Params: ClassVar[type[Params]] = RatelimitParams
    params: RatelimitParams

    def __init__(self, params: RatelimitParams, services: Services) -> None:
        super().__init__(params, services)
        self._given_pipes = tuple(map(_pipe_of, params.pipe))
        self._given_queues = tuple(map(_queue_of, params.queue))
        self._debug = False
        self._load: SystemLoad
        self._table: PipeTable
        self._queues: Queues
        _check(self._given_pipes, self._given_queues)
        services.on_worker("ratelimit.debug", self._set_debug)

    def mod_init(self) -> None:
        """Make the shared pipes and queues."""
        seconds = max(self.params.timer_interval, 1)
        self._load = SystemLoad(self.services.words("ratelimit_load", WORDS))
        pipes = self.services.hash_map("ratelimit", _PIPES, _SHARE)
        self._table = PipeTable(pipes, self._load, seconds, seconds)
        self._queues = Queues(self.services.hash_map("ratelimit_queues", _PIPES, _SHARE))
        for number, algorithm, limit in self._given_pipes:
            self._table.add(b"%d" % number, algorithm, limit, time.monotonic())
        self._queues.set_all(self._given_queues)

    def child_init(self, rank: int) -> None:
        """Let the timer process measure loads."""
        if rank == -1:
            self.services.timers.every(float(max(self.params.timer_interval, 1)), self.refresh)

    def refresh(self) -> None:
        """Measure the loads: done once an interval."""
        self._load.measure({address.port for address in self.services.network.sockets})
        if self._debug:
            for line in self._lines():
                self.services.log.warning("ratelimit", line)

    @kemi("ratelimit.rl_check")
    def rl_check(self, context: Context) -> int:
        """Count a request in the pipe of its method: 1 let in, -1 limited or no pipe for it."""
        return self._checked(self._queues.pipe_of(context.request.method))

    @kemi("ratelimit.rl_check_pipe", native=("rl_check_pipe", "rl_check"))
    def rl_check_pipe(self, context: Context, pipe: int) -> int:
        """Do as rl_check with a pipe by its number; -1 stands for the pipe of the method."""
        return self.rl_check(context) if pipe == -1 else self._checked(pipe)

    @rpc("rl.stats")
    def stats(self) -> object:
        """Show counters of the last interval, limits and loads of all pipes."""
        known = dict(self._pipes())
        none = Pipe(Algorithm.NOP, 0, 0)
        return [
            f"PIPE[{number}]: {pipe.last_counter}/{pipe.limit}"
            f" (drop rate: {self._table.shown_load(pipe)})"
            for number, pipe in ((number, known.get(number, none)) for number in range(_PIPES))
        ]

    @rpc("rl.get_pipes")
    def get_pipes(self) -> object:
        """Show the pipes in use, with what came in this interval."""
        return list(self._lines())

    @rpc("rl.set_pipe")
    def set_pipe(self, number: int, algorithm: str, limit: int) -> object:
        """Give a pipe an algorithm and a limit."""
        found = algorithm_of(algorithm)
        if found is None:
            raise RpcFault(400, "Unknown algorithm")
        if number not in range(_PIPES):
            raise RpcFault(400, "Unknown pipe")
        name, now = b"%d" % number, time.monotonic()
        if found is Algorithm.FEEDBACK and self._table.conflicts(name, limit, now):
            raise RpcFault(400, "Feedback limits don't match")
        if not self._table.change(name, found, limit):
            self._table.add(name, found, limit, now)
        return None

    @rpc("rl.get_queues")
    def get_queues(self) -> object:
        """Show the queues."""
        return [
            f"QUEUE[{number}]: {pipe}:{method.decode('ascii', 'replace')}"
            for number, (pipe, method) in enumerate(self._queues.all())
        ]

    @rpc("rl.set_queue")
    def set_queue(self, number: int, method: str, pipe: int) -> object:
        """Have a queue take another method and lead to another pipe."""
        if pipe not in range(_PIPES):
            raise RpcFault(400, "Invalid pipe number")
        if not self._queues.replace(number, (pipe, method.upper().encode())):
            raise RpcFault(400, "MAX_QUEUES reached")
        return None

    @rpc("rl.get_pid")
    def get_pid(self) -> object:
        """Show the gains of the controller of FEEDBACK pipes."""
        return self._load.shown_gains()

    @rpc("rl.set_pid")
    def set_pid(self, ki: float, kp: float, kd: float) -> object:
        """Set the gains of the controller of FEEDBACK pipes."""
        self._load.gains = (ki, kp, kd)
        return None

    @rpc("rl.push_load")
    def push_load(self, load: float) -> object:
        """Set the load (0 to 1) until it is measured again."""
        if not 0 <= load <= 1:
            raise RpcFault(400, "Value out of range")
        self._load.push(load)
        return None

    @rpc("rl.set_dbg")
    def set_debug(self, on: int) -> object:
        """Have the pipes logged once an interval (1), or no more (0)."""
        self.services.tell_worker(-1, "ratelimit.debug", on)
        return None

    def _set_debug(self, on: int) -> None:
        self._debug = bool(on)

    def _checked(self, number: int) -> int:
        result = self._table.check(b"%d" % number, time.monotonic())
        if result in (PASSED, -1):
            return result
        if result == NO_ALGORITHM:
            self.services.log.error("ratelimit", f"no algorithm defined for pipe {number}")
            return PASSED
        self.services.log.error("ratelimit", f"pipe {number} out of range or not defined")
        return -1

    def _pipes(self) -> list[tuple[int, Pipe]]:
        return sorted((int(name), pipe) for name, pipe in self._table.pipes(time.monotonic()))

    def _lines(self) -> Iterator[str]:
        for number, pipe in self._pipes():
            yield (
                f"PIPE[{number}]: {int(pipe.algorithm)}:{pipe.algorithm.name}"
                f" {pipe.last_counter}/{pipe.limit}"
                f" (drop rate: {self._table.shown_load(pipe)}) [{pipe.counter}]"
            )


_GivenPipe = tuple[int, Algorithm, int]


def _pipe_of(text: str) -> _GivenPipe:
    parts = [part.strip() for part in text.split(":")]
    algorithm = algorithm_of(parts[1]) if len(parts) == 3 else None
    if algorithm is None or not parts[0].isdigit() or not parts[2].isdigit():
        raise ValueError(f'ratelimit: pipe "{text}" is not "number:algorithm:limit"')
    return int(parts[0]), algorithm, int(parts[2])


def _queue_of(text: str) -> Queue:
    number, _, method = (part.strip() for part in text.partition(":"))
    if not number.isdigit() or not method:
        raise ValueError(f'ratelimit: queue "{text}" is not "number:method"')
    return int(number), method.upper().encode()


def _check(pipes: tuple[_GivenPipe, ...], queues: tuple[Queue, ...]) -> None:
    if len(queues) > Queues.MOST:
        raise ValueError(f"ratelimit: more than {Queues.MOST} queues")
    numbers = [number for number, _, _ in pipes] + [number for number, _ in queues]
    if any(number >= _PIPES for number in numbers):
        raise ValueError(f"ratelimit: pipes are numbered 0 to {_PIPES - 1}")
    feedback = {limit for _, algorithm, limit in pipes if algorithm is Algorithm.FEEDBACK}
    if len(feedback) > 1 or any(limit > 100 for limit in feedback):
        raise ValueError("ratelimit: FEEDBACK limits must be one load of 0 to 100 (percent)")
