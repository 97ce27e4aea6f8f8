"""SIP over TCP: connections of one worker, accepted or opened, reused and closed when idle.

Owns the connections and their numbers; a number tells which worker has the connection, so that any
process can have bytes sent on it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import time
from typing import cast

from kamailiod.net.address import ListenAddress, Source, Target
from kamailiod.net.connection_directory import ConnectionDirectory
from kamailiod.net.framing import StreamFramer


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Kamailio's tcp_* core parameters, times in seconds."""

    connections: int = 2048
    lifetime: float = 120.0
    connect_timeout: float = 10.0
    answer_pings: bool = True
    queued_bytes: int = 32768


class StreamConnections:
    """All stream connections of one worker.

    `receiver(data, source)` gets each whole message, also the broken one before a connection is
    closed for bad framing.  `directory` tells all processes which worker has a connection.
    """

    def __init__(
        self, rank: int, workers: int, receiver: Callable[[bytes, Source], None],
        limits: StreamLimits, loop: asyncio.AbstractEventLoop,
        directory: ConnectionDirectory | None = None,
    ) -> None:  # fmt: skip
        self.directory = directory
        self.rank = rank
        self.workers = workers
        self.receiver = receiver
        self.limits = limits
        self.loop = loop
        self._next = 0
        self._connections: dict[int, _Connection] = {}
        self._by_remote: dict[tuple[bytes, bytes, int], _Connection] = {}
        self._opening: dict[tuple[bytes, bytes, int], list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    async def open(self, addresses: Mapping[ListenAddress, socket.socket]) -> None:
        """Start accepting on every listening socket."""
        if self.directory is not None:
            self.directory.remove_all_of(self.rank, self.workers)
        for address, member in addresses.items():
            server = await self.loop.create_server(
                lambda address=address: _Connection(self, address), sock=member  # type: ignore[misc]  # a default argument binds the loop variable
            )
            self._servers.append(server)

    def owner_of(self, connection_id: int) -> int:
        """Return the rank of the worker that has a connection."""
        return connection_id % self.workers + 1

    def send(self, target: Target, data: bytes) -> bool:
        """Send on the target's connection, another one to the same place, or a new one."""
        connection = self._connections.get(target.connection_id) or self._by_remote.get(
            (target.transport, target.host, target.port)
        )
        if connection is not None:
            return connection.send(data)
        if target.port == 0:
            return False
        return self._connect(target, data)

    def elsewhere(self, target: Target) -> int:
        """Return the rank of another worker that has a connection to the target, 0 for none."""
        number = target.connection_id
        if number in self._connections:
            return 0
        if not number:
            remote = (target.transport, target.host, target.port)
            if remote in self._by_remote or self.directory is None:
                return 0
            number = self.directory.find(*remote)
        owner = self.owner_of(number) if number else 0
        return 0 if owner == self.rank else owner

    def _connect(self, target: Target, data: bytes) -> bool:
        key = (target.transport, target.host, target.port)
        queue = self._opening.get(key)
        if queue is not None:
            if sum(map(len, queue)) > self.limits.queued_bytes:
                return False
            queue.append(data)
            return True
        if len(self._connections) + len(self._opening) >= self.limits.connections:
            return False
        self._opening[key] = [data]
        task = self.loop.create_task(self._open_connection(key, target))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _open_connection(self, key: tuple[bytes, bytes, int], target: Target) -> None:
        try:
            _, connection = await asyncio.wait_for(
                self.loop.create_connection(
                    lambda: _Connection(self, target.local, key), target.host.decode(), target.port
                ),
                self.limits.connect_timeout,
            )
        except (TimeoutError, OSError):
            return
        finally:
            waiting = self._opening.pop(key, ())
        for data in waiting:
            connection.send(data)

    def added(self, connection: _Connection) -> int:
        """Number a new connection: number mod workers is the owner's index."""
        self._next += 1
        number = self._next * self.workers + self.rank - 1
        self._connections[number] = connection
        if connection.key is not None:
            self._by_remote[connection.key] = connection
            if self.directory is not None:
                self.directory.add(*connection.key, number)
        return number

    def removed(self, connection: _Connection) -> None:
        """Forget a closed connection."""
        self._connections.pop(connection.number, None)
        if connection.key is not None and self._by_remote.get(connection.key) is connection:
            del self._by_remote[connection.key]
            if self.directory is not None:
                self.directory.remove(*connection.key, connection.number)

    def close_idle(self) -> None:
        """Close what has been silent for longer than the lifetime; called now and then."""
        limit = self.loop.time() - self.limits.lifetime
        for connection in list(self._connections.values()):
            if connection.last_used < limit:
                connection.close()

    def count(self) -> int:
        """Return how many connections are open."""
        return len(self._connections)


class _Connection(asyncio.Protocol):
    def __init__(
        self, owner: StreamConnections, local: ListenAddress,
        key: tuple[bytes, bytes, int] | None = None,
    ) -> None:  # fmt: skip
        self.owner = owner
        self.local = local
        self.key = key
        self.number = 0
        self.last_used = 0.0
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self._remote = (b"", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports behave as asyncio.Transport without being a subclass of it.
        stream = cast(asyncio.Transport, transport)
        remote = transport.get_extra_info("peername") or ("", 0)
        self._remote = (str(remote[0]).encode(), int(remote[1]))
        if self.owner.count() >= self.owner.limits.connections:
            stream.abort()
            return
        self._transport = stream
        self.key = self.key or (self.local.transport, *self._remote)
        self.last_used = self.owner.loop.time()
        self.number = self.owner.added(self)

    def data_received(self, data: bytes) -> None:
        self.last_used = self.owner.loop.time()
        framer = self._framer
        source_of = self._source
        for message in framer.feed(data):
            self.owner.receiver(message, source_of())
        if framer.pings and self.owner.limits.answer_pings:
            framer.pings = 0
            self.send(b"\r\n")
        if framer.fault is not None:
            self.owner.receiver(framer.rest, source_of())
            self.close()

    def _source(self) -> Source:
        return Source(self.local, self._remote[0], self._remote[1], self.number, time())

    def send(self, data: bytes) -> bool:
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > 10 * 1024 * 1024:
            return False
        self.last_used = self.owner.loop.time()
        transport.write(data)
        return True

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.owner.removed(self)
        self._transport = None
