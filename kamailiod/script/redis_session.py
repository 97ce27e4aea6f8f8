"""A connection to a Redis that one user has alone: MULTI, WATCH and SELECT are kept with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from kamailiod.script.redis_address import RedisAddress
from kamailiod.script.redis_reply import Reply

if TYPE_CHECKING:
    from kamailiod.script.redis_connection import RedisConnection
    from kamailiod.script.redis_route import Command

T = TypeVar("T")


class _Guard(Protocol):
    async def __call__(self, work: Callable[[asyncio.Timeout], Awaitable[T]], /) -> T: ...


class RedisSession:
    """One connection; a failure ends the session."""

    def __init__(
        self, connection: RedisConnection, guarded: _Guard, ended: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._guarded = guarded
        self._ended = ended
        self._used = asyncio.Lock()
        self.is_open = True

    @classmethod
    async def open(
        cls, address: RedisAddress, guarded: _Guard, ended: Callable[[], None],
        clock: asyncio.Timeout,
    ) -> RedisSession:  # fmt: skip
        """Connect, within connect_timeout; raises FAILURES."""
        from kamailiod.script.redis_connection import RedisConnection

        clock.reschedule(asyncio.get_running_loop().time() + address.connect_timeout)
        connection = RedisConnection(address, *address.nodes[0])
        try:
            await connection.connect()
        except BaseException:
            await connection.close()
            raise
        return cls(connection, guarded, ended)

    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        """Run commands in order and return their replies; raises RedisFailure."""

        async def work(clock: asyncio.Timeout) -> list[Reply]:
            async with self._used:
                return await self._connection.exchange(commands)

        try:
            return await self._guarded(work)
        except BaseException:
            await self.end()
            raise

    async def end(self) -> None:
        """Close the connection: what it had begun is undone."""
        if self.is_open:
            self.is_open = False
            self._ended()
            await self._connection.close()
