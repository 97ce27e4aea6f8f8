"""The connections of one process to one node of a Redis: a few, opened when they are needed.

Owns who uses which connection; it knows no commands and bounds no time but that of connecting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from kamailiod.script.redis_address import RedisAddress

if TYPE_CHECKING:
    from kamailiod.script.redis_connection import RedisConnection

T = TypeVar("T")

CONNECTIONS = 8


class RedisPool:
    """Connections of one loop; one that was closed is opened again when it is next used."""

    def __init__(self, address: RedisAddress, host: str, port: int) -> None:
        self._address = address
        self._host = host
        self._port = port
        self._idle: list[RedisConnection] = []
        self._slots = asyncio.Semaphore(CONNECTIONS)

    async def use(
        self, work: Callable[[RedisConnection], Awaitable[T]], clock: asyncio.Timeout
    ) -> T:
        """Do work over a connection, waiting for one when all are in use; raises FAILURES.

        The time that connecting takes does not count on the clock: it has its own limit.  Work
        that finds a connection closed, which may have happened since it was last used, is done
        again over a new one.
        """
        connection, fresh = await self.take(clock)
        try:
            return await self._done(connection, work, clock, fresh)
        finally:
            self.give_back(connection)

    async def take(self, clock: asyncio.Timeout) -> tuple[RedisConnection, bool]:
        """Return a connection for one user, and whether it has just been made."""
        from kamailiod.script.redis_connection import RedisConnection

        await self._slots.acquire()
        connection = (
            self._idle.pop()
            if self._idle
            else RedisConnection(self._address, self._host, self._port)
        )
        if connection.is_connected:
            return connection, False
        try:
            await self._connect(connection, clock)
        except BaseException:
            self.give_back(connection)
            raise
        return connection, True

    def give_back(self, connection: RedisConnection) -> None:
        """Let the next one use a connection."""
        self._idle.append(connection)
        self._slots.release()

    async def close(self) -> None:
        """Close those that nobody uses."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.close()

    async def _done(
        self, connection: RedisConnection, work: Callable[[RedisConnection], Awaitable[T]],
        clock: asyncio.Timeout, fresh: bool,
    ) -> T:  # fmt: skip
        from kamailiod.script.redis_connection import LOST

        try:
            return await work(connection)
        except LOST:
            if fresh:
                raise
        await self._connect(connection, clock)
        return await work(connection)

    async def _connect(self, connection: RedisConnection, clock: asyncio.Timeout) -> None:
        now = asyncio.get_running_loop().time
        begin, end = now(), clock.when()
        clock.reschedule(begin + self._address.connect_timeout)
        try:
            await connection.connect()
        except BaseException:
            await connection.close()
            raise
        clock.reschedule(None if end is None else end + now() - begin)
