"""What a request has with the Redis servers: its replies, queued commands, sessions and databases.

Owns that two requests that interleave do not see each other's; it is kept with the transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kamailiod.modules.redis_clients.client import Client
from kamailiod.modules.redis_clients.command_text import Words
from kamailiod.modules.redis_clients.replies import NO_REPLY, Held
from kamailiod.script.context import Context
from kamailiod.script.redis_reply import ErrorReply, Reply, Status
from kamailiod.script.redis_session import RedisSession

MOST_QUEUED = 1000
_SESSION_SECONDS = 10.0
_NOTE = "ndb_redis"
_BEGIN = (b"MULTI", b"WATCH")
_END = (b"EXEC", b"DISCARD", b"UNWATCH")


class RedisRequest:
    """One request's part; a session ends with EXEC or DISCARD, at the latest after ten seconds."""

    def __init__(self) -> None:
        self.replies: dict[bytes, Held] = {}
        self.queued: dict[str, list[tuple[Words, bytes]]] = {}
        self._databases: dict[str, int] = {}
        self._sessions: dict[str, RedisSession] = {}

    async def run(self, client: Client, commands: Sequence[Words]) -> list[Reply]:
        """Run commands where the request's earlier ones have led; raises RedisFailure, Disabled."""
        name = commands[-1][0].upper()
        session = self._sessions.get(client.name)
        if session is not None and not session.is_open:
            del self._sessions[client.name]
            session = None
        if session is not None:
            replies = await client.run_in(session, commands)
            if name in _END:
                del self._sessions[client.name]
                await session.end()
            return replies
        if client.is_cluster:
            return await client.run(commands)
        if any(words[0].upper() == b"SELECT" for words in commands):
            return await self._with_select(client, commands)
        if any(words[0].upper() in _BEGIN for words in commands) and name not in _END:
            session = await self._begin(client)
            return await client.run_in(session, commands)
        return await client.run(commands, self._databases.get(client.name))

    async def _begin(self, client: Client) -> RedisSession:
        session = await client.session(self._databases.get(client.name))
        self._sessions[client.name] = session
        loop = asyncio.get_running_loop()
        # A script may end without EXEC.
        loop.call_later(_SESSION_SECONDS, lambda: loop.create_task(session.end()))
        return session

    async def _with_select(self, client: Client, commands: Sequence[Words]) -> list[Reply]:
        if len(commands) == 1:
            return [await self._select(client, commands[0])]
        # The connections that requests share stay in their database.
        session = await client.session(self._databases.get(client.name))
        try:
            return await client.run_in(session, commands)
        finally:
            await session.end()

    async def _select(self, client: Client, words: Words) -> Reply:
        if len(words) != 2 or not words[1].isdigit():
            return ErrorReply(b"ERR invalid DB index")
        number = int(words[1])
        await client.run([(b"PING",)], number)
        self._databases[client.name] = number
        return Status(b"OK")


def request_of(context: Context) -> RedisRequest:
    """Return the part of a context's request, made when it has none."""
    notes = context.shared.notes
    found = notes.get(_NOTE)
    if not isinstance(found, RedisRequest):
        found = notes[_NOTE] = RedisRequest()
    return found


def reply_of(context: Context, name: bytes) -> Held:
    """Return a reply of a context's request by its name."""
    found = context.shared.notes.get(_NOTE)
    return found.replies.get(name, NO_REPLY) if isinstance(found, RedisRequest) else NO_REPLY
