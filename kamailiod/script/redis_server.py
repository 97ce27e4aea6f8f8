"""One Redis, server or cluster, as modules and scripts use it: commands that end in time.

Owns time-outs, the log lines of its failing and healing, and which loop its connections belong to;
it knows no meaning of a command.
"""

from __future__ import annotations

import asyncio
import importlib
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from kamailiod.script.log import Log
from kamailiod.script.redis_address import RedisAddress
from kamailiod.script.redis_reply import (
    Argument,
    ErrorReply,
    RedisFailure,
    RedisTimeout,
    Reply,
)
from kamailiod.script.redis_route import ClusterRoute, Command, Node, Route, ServerRoute
from kamailiod.script.redis_session import RedisSession

T = TypeVar("T")

_BATCH = 500
_SESSIONS = 16


class RedisServer:
    """A Redis; `loop` gives the process's event loop, None before the fork.

    Connections are kept for that loop only, and opened by the first command.  A command run in
    another loop (mod_init, a thread) has one of its own.
    """

    def __init__(
        self, address: RedisAddress, loop: Callable[[], AbstractEventLoop | None], log: Log
    ) -> None:
        self.address = address
        self._loop = loop
        self._health = Health(log, str(address))
        self._route: Route | None = None
        self._home: AbstractEventLoop | None = None
        self._loading: asyncio.Future[None] | None = None
        self._sessions = 0

    async def command(self, *words: Argument) -> Reply:
        """Run one command and return its reply, an ErrorReply included; raises RedisFailure.

        It takes the address's command_timeout at most, and connect_timeout when it must connect.
        """
        [reply] = await self.pipeline([words])
        return reply

    async def pipeline(self, commands: Sequence[Command]) -> list[Reply]:
        """Run commands sent in one piece, and return their replies in order; raises RedisFailure.

        They are no transaction, unless the first is MULTI and the last EXEC; a cluster refuses
        MULTI (and WATCH): EVAL does for one key there.
        """
        if not commands:
            return []
        return await self._run(lambda route, clock: route.exchange(commands, clock))

    async def keys(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        """Give the keys that fit a pattern, in batches, of all nodes; raises RedisFailure.

        A key may be given twice, and one that comes or goes meanwhile be given or not (SCAN).
        """
        nodes = await self._run(lambda route, clock: route.nodes(clock))
        for node in nodes:
            cursor: Argument = b"0"
            while True:
                words = ("SCAN", cursor, "MATCH", pattern, "COUNT", _BATCH)
                reply = await self._run(_at(node, words))
                if not isinstance(reply, list) or not isinstance(reply[1], list):
                    raise RedisFailure("SCAN is refused")
                yield [key for key in reply[1] if isinstance(key, bytes)]
                cursor = reply[0] if isinstance(reply[0], bytes) else b"0"
                if cursor == b"0":
                    break

    async def session(self) -> RedisSession:
        """Return a connection of its own, for what is kept with one (MULTI); raises RedisFailure.

        Whoever asks must end it; only so many may be open at once.
        """
        if self.address.cluster:
            raise RedisFailure("a cluster has no sessions")
        if self._sessions >= _SESSIONS:
            raise RedisFailure("too many sessions are open")
        self._sessions += 1

        def ended() -> None:
            self._sessions -= 1

        try:
            await self._loaded()
            return await self._guarded(
                lambda clock: RedisSession.open(self.address, self._guarded, ended, clock)
            )
        except BaseException:
            ended()
            raise

    def command_blocking(self, *words: Argument) -> Reply:
        """Do what `command` does where nothing may wait: in mod_init, at the end of a process."""
        return self.blocking(lambda server: server.command(*words))

    def pipeline_blocking(self, commands: Sequence[Command]) -> list[Reply]:
        """Do what `pipeline` does where nothing may wait."""
        return self.blocking(lambda server: server.pipeline(commands))

    def blocking(self, work: Callable[[RedisServer], Coroutine[object, object, T]]) -> T:
        """Run work over this Redis to its end, with connections and a loop of its own."""

        async def alone() -> T:
            server = self._elsewhere()
            try:
                return await work(server)
            finally:
                await server.close()

        # In a thread, as this one may run a loop already.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, alone()).result()

    async def close(self) -> None:
        """Close the connections; the next command opens new ones."""
        route, self._route = self._route, None
        if route is not None:
            await route.close()

    async def load(self) -> None:
        """Load the library, in a thread; the first command does it otherwise."""
        await self._loaded()

    async def _run(self, work: Callable[[Route, asyncio.Timeout], Awaitable[T]]) -> T:
        loop = asyncio.get_running_loop()
        if loop is not self._loop():
            server = self._elsewhere()
            try:
                return await server._run(work)
            finally:
                await server.close()
        await self._loaded()
        if self._route is None or self._home is not loop:
            self._home = loop
            kind = ClusterRoute if self.address.cluster else ServerRoute
            self._route = kind(self.address)
        route = self._route
        return await self._guarded(lambda clock: work(route, clock))

    async def _guarded(self, work: Callable[[asyncio.Timeout], Awaitable[T]]) -> T:
        from kamailiod.script.redis_connection import FAILURES, reason_of

        try:
            async with asyncio.timeout(self.address.command_timeout) as clock:
                result = await work(clock)
        except TimeoutError:
            self._health.bad("no answer in time")
            raise RedisTimeout("no answer in time") from None
        except RedisFailure as error:
            self._health.bad(str(error))
            raise
        except FAILURES as error:
            reason = reason_of(error)
            self._health.bad(reason)
            raise RedisFailure(reason) from None
        self._health.good()
        return result

    def _elsewhere(self) -> RedisServer:
        loop: list[AbstractEventLoop] = []

        def running() -> AbstractEventLoop:
            if not loop:
                loop.append(asyncio.get_running_loop())
            return loop[0]

        server = RedisServer(self.address, running, self._health.log)
        server._health = self._health
        return server

    async def _loaded(self) -> None:
        if self._route is None:
            loop = asyncio.get_running_loop()
            if self._loading is None or self._loading.get_loop() is not loop:
                self._loading = loop.run_in_executor(None, _load)
            await asyncio.shield(self._loading)


class Health:
    """Whether a Redis answers; logs when that changes, not at each command."""

    __slots__ = ("_name", "_works", "log")

    def __init__(self, log: Log, name: str) -> None:
        self.log = log
        self._name = name
        self._works = True

    def good(self) -> None:
        """Take note of a command that was answered."""
        if not self._works:
            self._works = True
            self.log.notice("redis", f"{self._name} works again")

    def bad(self, reason: str) -> None:
        """Take note of one that was not."""
        if self._works:
            self._works = False
            self.log.error("redis", f"{self._name} fails: {reason}")


def _at(node: Node, words: Command) -> Callable[[Route, asyncio.Timeout], Awaitable[Reply]]:
    async def ask(route: Route, clock: asyncio.Timeout) -> Reply:
        [reply] = await route.exchange_at(node, [words], clock)
        return None if isinstance(reply, ErrorReply) else reply

    return ask


def _load() -> None:
    importlib.import_module("kamailiod.script.redis_connection")
