"""The RPC process: JSON-RPC, metrics and health over HTTP.

Owns the start and end of the HTTP side; what is answered comes from rpc/ and metrics/.
"""

from __future__ import annotations

import os
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from kamailiod import __version__
from kamailiod.metrics.process_table import ProcessTable
from kamailiod.metrics.statistics import Statistics
from kamailiod.modules.jsonrpcs import Jsonrpcs
from kamailiod.modules.usrloc import Usrloc
from kamailiod.options import kernel
from kamailiod.process_services import ProcessServices
from kamailiod.rpc.core_commands import CoreCommands
from kamailiod.rpc.dispatcher import RpcDispatcher, collect
from kamailiod.rpc.http import Health, HttpServer
from kamailiod.rpc.server_view import ServerView
from kamailiod.rpc.statistics_commands import StatisticsCommands
from shm import LocationCounts, Usage
from workers import Role

_SHARED_MEMORY = {
    "shmem:total_size": "total", "shmem:used_size": "used", "shmem:real_used_size": "real_used",
    "shmem:max_used_size": "max_used", "shmem:free_size": "free", "shmem:fragments": "fragments",
    "core:shm_full": "failures",
}  # fmt: skip


class HttpProcess:
    """The HTTP side of the server; `address` None turns it off.

    Made before the fork, so that scripts in workers can run commands too (module jsonrpcs).  Every
    process calls `enter`.
    """

    def __init__(
        self, address: tuple[str, int] | None, services: ProcessServices, statistics: Statistics,
        roles: tuple[Role, ...], arguments: list[str], started_at: float,
    ) -> None:  # fmt: skip
        self._address = address
        self._services = services
        self._statistics = statistics
        self.processes = ProcessTable(roles)
        view = self._view(arguments, started_at)
        commands: dict[str, Callable[..., object]] = {}
        owners = [CoreCommands(view, lambda: commands), StatisticsCommands(statistics)]
        commands.update(collect([*owners, *services.modules.values()]))
        self.dispatcher = RpcDispatcher(commands, services.log)
        jsonrpcs = services.modules.get("jsonrpcs")
        if isinstance(jsonrpcs, Jsonrpcs):
            jsonrpcs.use(self.dispatcher.answer_json)
        self._derive_statistics()
        self._stop: Callable[[], None] = lambda: None

    def enter(self, index: int) -> None:
        """Enter this process in the table of processes, after the fork."""
        self.processes.open(index)

    def start(self, loop: AbstractEventLoop) -> None:
        """Start answering, in the RPC process; raises HttpError."""
        if self._address is None:
            return
        # Heavy, and of no use to any other process.
        from kamailiod.metrics.exposition import Exposition
        from kamailiod.metrics.store_gauges import registrations_gauge, shared_memory_gauges

        gauges = [*shared_memory_gauges(self._usages), registrations_gauge(self._registered)]
        info = {"version": __version__, "kernel": kernel()}
        exposition = Exposition(self._statistics, self.processes, gauges, info)
        server = HttpServer(self.dispatcher, exposition, Health(self.processes))
        server.start(loop, *self._address)
        self._stop = lambda: server.stop(loop)

    def stop(self, loop: AbstractEventLoop) -> None:
        """Stop answering."""
        self._stop()

    def _view(self, arguments: list[str], started_at: float) -> ServerView:
        services = self._services
        aliases = [(alias.proto, alias.host, alias.port) for alias in services.settings.alias]
        return ServerView(
            __version__, kernel(), started_at, arguments, services.network.sockets, aliases,
            list(services.modules.values()), self.processes, self._statistics, self._usages,
            self._kill, services.log, services.defines,
        )  # fmt: skip

    def _kill(self, number: int) -> None:
        # Later, so that the answer is out before the server ends.
        self._services.loop.call_later(0.1, os.kill, os.getppid(), number)

    def _usages(self) -> Mapping[str, Usage]:
        return {name: table.usage() for name, table in self._services.maps.items()}

    def _derive_statistics(self) -> None:
        # Kamailio's group shmem, and what it has no name for: writes refused for lack of room.
        for name, part in _SHARED_MEMORY.items():
            self._statistics.derive(name, partial(self._sum, part))

    def _sum(self, part: str) -> int:
        return int(getattr(Usage.summed(self._usages().values()), part))

    def _registered(self) -> Iterable[LocationCounts]:
        usrloc = self._services.modules.get("usrloc")
        return (usrloc.locations.total(),) if isinstance(usrloc, Usrloc) else ()
