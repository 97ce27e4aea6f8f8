"""One Redis server of ndb_redis in one process: whether it is disabled, and what a failure entails.

Owns Kamailio's rules of disabling and flushing; connections and time-outs are the RedisServer's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from kamailiod.modules.redis_clients.command_text import Words
from kamailiod.script.log import Log
from kamailiod.script.redis_reply import RedisFailure, Reply
from kamailiod.script.redis_server import RedisServer
from kamailiod.script.redis_servers import RedisServers
from kamailiod.script.redis_session import RedisSession

_MOST_DATABASES = 1024


@dataclass(frozen=True, slots=True)
class Policy:
    """allowed_timeouts (negative: never disabled), disable_time in seconds, flush_on_reconnect."""

    allowed_timeouts: int = -1
    disable_time: int = 0
    flush_on_reconnect: bool = False


class Disabled(Exception):
    """The server is not asked for the moment."""


class Client:
    """A server that scripts know by name; `now` is a clock in seconds."""

    def __init__(
        self, name: str, server: RedisServer, servers: RedisServers, policy: Policy, log: Log,
        now: Callable[[], float],
    ) -> None:  # fmt: skip
        self.name = name
        self.server = server
        self._servers = servers
        self._policy = policy
        self._log = log
        self._now = now
        self._failures = 0
        self._disabled_until = 0.0
        self._flush_due = False
        self._flushing: asyncio.Future[None] | None = None

    @property
    def is_cluster(self) -> bool:
        """Whether the server is part of a cluster."""
        return self.server.address.cluster

    async def run(self, commands: Sequence[Words], database: int | None = None) -> list[Reply]:
        """Run commands, in another database when one is given; raises RedisFailure, Disabled."""
        server = self.server if database is None else self._database(database)
        return await self._counted(lambda: server.pipeline(commands))

    async def run_in(self, session: RedisSession, commands: Sequence[Words]) -> list[Reply]:
        """Run commands in a session; raises RedisFailure, Disabled."""
        return await self._counted(lambda: session.exchange(commands))

    async def session(self, database: int | None = None) -> RedisSession:
        """Return a session; raises RedisFailure, Disabled."""
        server = self.server if database is None else self._database(database)
        self.check()
        try:
            return await server.session()
        except RedisFailure:
            self._failed()
            raise

    def check(self) -> None:
        """Raise Disabled while the server is disabled."""
        if not self._disabled_until:
            return
        if self._now() < self._disabled_until:
            raise Disabled
        self._disabled_until = 0.0
        self._failures = 0
        self._log.notice("ndb_redis", f"server {self.name} is enabled again")

    async def _counted(self, work: Callable[[], Awaitable[list[Reply]]]) -> list[Reply]:
        self.check()
        try:
            if self._flush_due or self._flushing is not None:
                await self._flushed()
            replies = await work()
        except RedisFailure:
            self._failed()
            raise
        self._failures = 0
        return replies

    def _failed(self) -> None:
        policy = self._policy
        self._flush_due = policy.flush_on_reconnect
        self._failures += 1
        if 0 <= policy.allowed_timeouts < self._failures and not self._disabled_until:
            self._disabled_until = self._now() + policy.disable_time
            text = f"server {self.name} is disabled for {policy.disable_time} seconds"
            self._log.warning("ndb_redis", text)

    async def _flushed(self) -> None:
        """Have FLUSHALL done once for all who wait for it; raises RedisFailure."""
        flushing = self._flushing
        if flushing is None:
            flushing = self._flushing = asyncio.ensure_future(self._flush())
            flushing.add_done_callback(self._flush_ended)
        await asyncio.shield(flushing)

    async def _flush(self) -> None:
        await self.server.command(b"FLUSHALL")
        self._flush_due = False

    def _flush_ended(self, flushing: asyncio.Future[None]) -> None:
        self._flushing = None
        if not flushing.cancelled():
            flushing.exception()

    def _database(self, number: int) -> RedisServer:
        if not 0 <= number < _MOST_DATABASES:
            raise RedisFailure("there is no such database")
        return self._servers.server(replace(self.server.address, db=number))
