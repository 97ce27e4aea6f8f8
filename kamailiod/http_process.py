"""The RPC process: JSON-RPC, metrics and health over HTTP.

Owns the start and end of the HTTP side; what is answered comes from rpc/ and metrics/.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop

from kamailiod.metrics.statistics import Statistics
from kamailiod.process_services import ProcessServices
from kamailiod.script.engine import Engine
from workers import Role


class HttpProcess:
    """The HTTP side of the server; `address` None turns it off."""

    def __init__(
        self, address: tuple[str, int] | None, services: ProcessServices, statistics: Statistics,
        roles: tuple[Role, ...], engine: Engine, started_at: float,
    ) -> None:  # fmt: skip
        self._address = address

    def start(self, loop: AbstractEventLoop) -> None:
        """Start answering, in the RPC process."""

    def stop(self, loop: AbstractEventLoop) -> None:
        """Stop answering."""
