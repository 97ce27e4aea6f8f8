"""What the core's commands may know of the running server; server.py fills it in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from kamailiod.metrics.process_table import ProcessTable
from kamailiod.metrics.statistics import Statistics
from kamailiod.net.address import ListenAddress
from kamailiod.script.log import Log
from kamailiod.script.module import Module
from shm import Usage


@dataclass(frozen=True, slots=True)
class ServerView:
    """The server as the RPC process sees it.

    `started_at` is in seconds since the epoch, `arguments` the whole command line, `modules` are
    in the order of loading, `aliases` (protocol, host, port).  `shared_memory` is that of each
    store by its name, `kill` ends the whole server with a signal.
    """

    version: str
    kernel: str
    started_at: float
    arguments: Sequence[str]
    sockets: Sequence[ListenAddress]
    aliases: Sequence[tuple[str, str, int]]
    modules: Sequence[Module]
    processes: ProcessTable
    statistics: Statistics
    shared_memory: Callable[[], Mapping[str, Usage]]
    kill: Callable[[int], object]
    log: Log
    defines: Mapping[str, str] = field(default_factory=dict)
