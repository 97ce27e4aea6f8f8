"""Module pipelimit: named pipes, from a table or the script, that let so many requests through.

Owns modparams, script functions, the reply to who is limited and the commands; pipes are in pipes/.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import ClassVar

from kamailiod.modules.pipes.pipe import Algorithm, Pipe, algorithm_of
from kamailiod.modules.pipes.pipe_table import NO_ALGORITHM, NOT_FOUND, PipeTable
from kamailiod.modules.pipes.system_load import WORDS, SystemLoad
from kamailiod.modules.sl import Sl
from kamailiod.script.context import Context, Route
from kamailiod.script.database import identifier
from kamailiod.script.module import Module, Params, RpcFault, kemi, rpc
from kamailiod.script.services import Services

_SHARE = 0.02
_DROPS = Route.REQUEST | Route.BRANCH | Route.FAILURE | Route.ONSEND | Route.LOCAL


@dataclass(frozen=True, slots=True)
class PipelimitParams(Params):
    """Kamailio's modparams of pipelimit."""

    timer_interval: int = 10
    timer_mode: int = 0
    reply_code: int = 503
    reply_reason: str = "Server Unavailable"
    db_url: str = ""
    plp_table_name: str = "pl_pipes"
    plp_pipeid_column: str = "pipeid"
    plp_limit_column: str = "plimit"
    plp_algorithm_column: str = "algorithm"
    hash_size: int = 6
    load_fetch: int = 1
    clean_unused: int = 0


class Pipelimit(Module):
    """Pipes by name, over all workers."""

    name: ClassVar[str] = "pipelimit"
    Params: ClassVar[type[Params]] = PipelimitParams
    params: PipelimitParams
    without_effect: ClassVar[tuple[str, ...]] = ("timer_mode",)

    def __init__(self, params: PipelimitParams, services: Services) -> None:
        super().__init__(params, services)
        self._sl = services.module(Sl)
        self._load: SystemLoad
        self._table: PipeTable

    def mod_init(self) -> None:
        """Make the shared pipes and load the table's."""
        buckets = 1 << min(max(self.params.hash_size, 6), 20)
        self._load = SystemLoad(self.services.words("pipelimit_load", WORDS))
        pipes = self.services.hash_map("pipelimit", buckets, _SHARE)
        self._table = PipeTable(pipes, self._load, self.params.timer_interval)
        if self.params.db_url:
            self._load_table()

    def child_init(self, rank: int) -> None:
        """Let the timer process measure loads and remove unused pipes."""
        if rank == -1:
            self.services.timers.every(float(max(self.params.timer_interval, 1)), self.refresh)

    def refresh(self) -> None:
        """Measure the loads and remove what nobody used: done once an interval."""
        if self.params.load_fetch:
            self._load.measure({address.port for address in self.services.network.sockets})
        if self.params.clean_unused > 0:
            self._table.remove_unused(self.params.clean_unused, time.monotonic())

    @kemi("pipelimit.pl_check")
    def pl_check(self, context: Context, name: bytes) -> int:
        """Count a request in a pipe: 1 let in, -1 limited, 2 no algorithm, -2 no such pipe."""
        return self._checked(name, 0)

    @kemi("pipelimit.pl_check_limit", native="pl_check")
    def pl_check_limit(self, context: Context, name: bytes, algorithm: bytes, limit: int) -> int:
        """Do as pl_check; a pipe that is not there is made, one that is gets a limit above 0."""
        if name not in self._table:
            found = algorithm_of(algorithm.decode("ascii", "replace"))
            if found is None:
                self._error(f"no algorithm {algorithm[:64]!r} for pipe {name[:64]!r}")
                return NOT_FOUND
            if not self._table.add(name, found, limit, time.monotonic()):
                self._error(f"no shared memory left for pipe {name[:64]!r}")
                return NOT_FOUND
        return self._checked(name, limit)

    @kemi("pipelimit.pl_active")
    def pl_active(self, context: Context, name: bytes) -> int:
        """Whether there is a pipe of this name: 1 yes, -1 no."""
        return 1 if name in self._table else -1

    @kemi("pipelimit.pl_drop", routes=_DROPS)
    def pl_drop(self, context: Context) -> int:
        """Answer the request with reply_code and reply_reason; 1, or -1 when that cannot be."""
        return self._drop(context, 0)

    @kemi("pipelimit.pl_drop_retry", native="pl_drop", routes=_DROPS)
    def pl_drop_retry(self, context: Context, seconds: int) -> int:
        """Do as pl_drop with a Retry-After of so many seconds, when above 0."""
        return self._drop(context, seconds)

    @kemi("pipelimit.pl_drop_range", native="pl_drop", routes=_DROPS)
    def pl_drop_range(self, context: Context, low: int, high: int) -> int:
        """Do as pl_drop with a random Retry-After between two numbers; none when `low` is 0."""
        return self._drop(context, random.randint(low, high) if 0 < low < high else low)

    @rpc("pl.stats")
    def stats(self) -> object:
        """Show the load and the counter of all pipes."""
        load = self._table.shown_load
        return [
            f"PIPE: id={name} load={load(pipe)} counter={pipe.last_counter}"
            for name, pipe in self._pipes()
        ]

    @rpc("pl.get_pipes")
    def get_pipes(self) -> object:
        """Show algorithm, limit and counter of all pipes."""
        return [
            f"PIPE: id={name} algorithm={pipe.algorithm.name} limit={pipe.limit}"
            f" counter={pipe.counter}"
            for name, pipe in self._pipes()
        ]

    @rpc("pl.list")
    def list_pipes(self, name: str = "") -> object:
        """Show the particulars of one pipe or of all."""
        shown = [(own, pipe) for own, pipe in self._pipes() if name in ("", own)]
        if name and not shown:
            raise RpcFault(400, f"Unknown pipe id {name}")
        return [
            {
                "name": own, "algorithm": pipe.algorithm.name, "limit": pipe.limit,
                "counter": pipe.counter, "last_counter": pipe.last_counter,
                "unused_intervals": pipe.unused,
            }
            for own, pipe in shown
        ]  # fmt: skip

    @rpc("pl.set_pipe")
    def set_pipe(self, name: str, algorithm: str, limit: int) -> object:
        """Give a pipe another algorithm and limit."""
        found = algorithm_of(algorithm)
        if found is None:
            raise RpcFault(400, "Unknown algorithm")
        key = name.encode()
        if found is Algorithm.FEEDBACK and self._table.conflicts(key, limit, time.monotonic()):
            raise RpcFault(400, "Feedback limits don't match")
        if not self._table.change(key, found, limit):
            raise RpcFault(400, f"Unknown pipe id {name}")
        return None

    @rpc("pl.reset_pipe")
    def reset_pipe(self, name: str) -> object:
        """Let the counters of a pipe start at 0 again."""
        if not self._table.reset(name.encode(), time.monotonic()):
            raise RpcFault(400, f"Unknown pipe id {name}")
        return None

    @rpc("pl.rm_pipe")
    def remove_pipe(self, name: str) -> object:
        """Remove a pipe."""
        if not self._table.remove(name.encode()):
            raise RpcFault(400, f"Unknown pipe id {name}")
        return None

    @rpc("pl.get_pid")
    def get_pid(self) -> object:
        """Show the gains of the controller of FEEDBACK pipes."""
        return self._load.shown_gains()

    @rpc("pl.set_pid")
    def set_pid(self, ki: float, kp: float, kd: float) -> object:
        """Set the gains of the controller of FEEDBACK pipes."""
        self._load.gains = (ki, kp, kd)
        return None

    @rpc("pl.push_load")
    def push_load(self, load: float) -> object:
        """Set the load (0 to 1) until it is measured again."""
        if not 0 <= load <= 1:
            raise RpcFault(400, "Value out of range")
        self._load.push(load)
        return None

    def _checked(self, name: bytes, limit: int) -> int:
        result = self._table.check(name, time.monotonic(), limit)
        if result == NOT_FOUND:
            self._error(f"no pipe {name[:64]!r}")
        elif result == NO_ALGORITHM:
            self._error(f"pipe {name[:64]!r} has no algorithm")
        return result

    def _drop(self, context: Context, retry_after: int) -> int:
        params = self.params
        headers = (b"Retry-After: %d" % retry_after,) if retry_after > 0 else ()
        return self._sl.send_reply(
            context, params.reply_code, params.reply_reason.encode(), headers
        )

    def _pipes(self) -> list[tuple[str, Pipe]]:
        found = sorted(self._table.pipes(time.monotonic()))
        return [(name.decode("utf-8", "replace"), pipe) for name, pipe in found]

    def _load_table(self) -> None:
        params = self.params
        columns = (
            params.plp_pipeid_column, params.plp_algorithm_column, params.plp_limit_column
        )  # fmt: skip
        statement = f"SELECT {', '.join(map(identifier, columns))}" + (
            f" FROM {identifier(params.plp_table_name)}"
        )
        rows = self.services.databases.database(params.db_url).fetch_blocking(statement, {})
        if rows is None:
            self._error("the pipes cannot be read: there are none but the script's")
        for pipe, name, limit in rows or ():
            algorithm = algorithm_of(str(name))
            if algorithm is None or not isinstance(limit, int):
                raise ValueError(f"pipelimit: pipe {pipe}: no algorithm {name} of limit {limit}")
            key, now = str(pipe).encode(), time.monotonic()
            if algorithm is Algorithm.FEEDBACK and (
                limit not in range(101) or self._table.conflicts(key, limit, now)
            ):
                raise ValueError("pipelimit: FEEDBACK limits must be one load of 0 to 100 percent")
            self._table.add(key, algorithm, limit, now)

    def _error(self, text: str) -> None:
        self.services.log.error("pipelimit", text)


