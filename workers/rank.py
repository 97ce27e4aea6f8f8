"""Ranks: how Kamailio numbers its processes; knows neither forks nor sockets."""

from __future__ import annotations

from dataclasses import dataclass

PROC_MAIN = 0
PROC_TIMER = -1
PROC_RPC = -2
PROC_TCP_MAIN = -4
PROC_UNIXSOCK = -5
PROC_ATTENDANT = -10
PROC_INIT = -127
PROC_NOCHLDINIT = -128

FIRST_WORKER = 1


@dataclass(frozen=True, slots=True)
class Role:
    """One process of the server: its Kamailio rank, its name, its row in tables of all processes.

    `index` is dense and starts with 0 for the supervisor; a restarted process keeps it.
    """

    rank: int
    name: str
    index: int

    @property
    def is_worker(self) -> bool:
        """Whether this process serves messages (ranks 1 to N)."""
        return self.rank >= FIRST_WORKER


def process_table(workers: int) -> tuple[Role, ...]:
    """Return the roles of a server with so many workers, in the order of their index.

    The supervisor comes first, then workers 1..N, the timer process, the RPC process.
    """
    ranks = [(PROC_MAIN, "main")]
    ranks += [(rank, f"sip{rank}") for rank in range(FIRST_WORKER, workers + 1)]
    ranks += [(PROC_TIMER, "timer"), (PROC_RPC, "rpc")]
    return tuple(Role(rank, name, index) for index, (rank, name) in enumerate(ranks))
