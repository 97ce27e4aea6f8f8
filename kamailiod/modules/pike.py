"""Module pike: finds addresses that send too many requests, so that a script can drop them.

Owns modparams, script functions, log lines and the commands; counting is in flooding/.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from kamailiod.modules.flooding.source_tree import SourceTree, Verdict
from kamailiod.net.literal import octets
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, RpcFault, kemi, rpc
from kamailiod.script.services import Services

_SHARE = 0.03
_BUCKETS = 16384
_EXPIRED_A_SECOND = 5000
_STATUSES = {"ALL": ("HOT", "WARM", ""), "HOT": ("HOT",), "WARM": ("WARM",)}
_ROUTES = Route.REQUEST | Route.ONREPLY | Route.REPLY


@dataclass(frozen=True, slots=True)
class PikeParams(Params):
    """Kamailio's modparams of pike."""

    sampling_time_unit: int = 2
    reqs_density_per_unit: int = 30
    remove_latency: int = 120
    pike_log_level: int = 0


class Pike(Module):
    """Requests counted by source address, over all workers."""

    name: ClassVar[str] = "pike"
    Params: ClassVar[type[Params]] = PikeParams
    params: PikeParams
    statistics: ClassVar[tuple[str, ...]] = ("pike:blocked_ips",)

    def __init__(self, params: PikeParams, services: Services) -> None:
        super().__init__(params, services)
        self._sources: SourceTree
        self._blocked: Callable[..., None]
        self._announced: dict[bytes, bytes] = {}

    def mod_init(self) -> None:
        """Make the shared tree."""
        params = self.params
        nodes = self.services.hash_map("pike", _BUCKETS, _SHARE)
        self._sources = SourceTree(
            nodes, params.reqs_density_per_unit, params.sampling_time_unit, params.remove_latency
        )

    def child_init(self, rank: int) -> None:
        """Open the counter; the timer process expires, the workers say who is let in again."""
        self._blocked = self.services.statistics.counter("pike:blocked_ips")
        if rank == -1:
            self.services.timers.every(1.0, self.expire)
        elif rank > 0:
            unit = float(max(self.params.sampling_time_unit, 1))
            self.services.timers.every(unit, self.announce_unblocked)

    @kemi("pike.pike_check_req", routes=_ROUTES)
    def pike_check_req(self, context: Context) -> int:
        """Count a request by its source: 1 let in, -2 too many just now, -1 blocked still."""
        return self.pike_check_ip(context, context.source.host)

    @kemi("pike.pike_check_ip", routes=_ROUTES)
    def pike_check_ip(self, context: Context, address: bytes) -> int:
        """Count a request by an address: 1 let in, -2 too many just now, -1 blocked or no IP."""
        found = octets(address)
        if found is None:
            self.services.log.error("pike", f"not an IP address: {address[:64]!r}")
            return -1
        verdict = self._sources.mark(found, time.time())
        if verdict is Verdict.DETECTED:
            self._announced[found] = address
            self._blocked()
            self._say(f"PIKE - BLOCKing ip {address.decode('ascii', 'replace')}")
        return int(verdict)

    def expire(self) -> None:
        """Forget sources that were quiet for remove_latency, a slice at a time."""
        self._sources.expire(time.time(), _EXPIRED_A_SECOND)

    def announce_unblocked(self) -> None:
        """Log which of the addresses that this worker blocked are let in again."""
        now = time.time()
        for found, address in list(self._announced.items()):
            if not self._sources.is_blocked(found, now):
                del self._announced[found]
                self._say(f"PIKE - UNBLOCKing ip {address.decode('ascii', 'replace')}")

    @rpc("pike.top")
    def top(self, status: str = "HOT") -> object:
        """Show counted addresses that are ALL, HOT (the default) or WARM, busiest first."""
        wanted = _STATUSES.get(status.upper())
        if wanted is None:
            raise RpcFault(500, "Bad argument. Select: ALL, HOT or WARM")
        leaves = [leaf for leaf in self._sources.leaves(time.time()) if leaf.status in wanted]
        leaves.sort(key=lambda leaf: max(leaf.before, leaf.now), reverse=True)
        rows = [
            {
                "ip_addr": leaf.address,
                "leaf_hits_prev": leaf.before,
                "leaf_hits_curr": leaf.now,
                "expires": leaf.expires,
                "status": leaf.status,
            }
            for leaf in leaves
        ]
        return {
            "max_hits": self.params.reqs_density_per_unit,
            "list": rows,
            "number_of_rows": len(rows),
        }

    @rpc("pike.list")
    def list_sources(self, status: str = "HOT") -> object:
        """Show counted addresses as pike.top does."""
        return self.top(status)

    def _say(self, text: str) -> None:
        self.services.log.line(self.params.pike_log_level, "pike", text)
