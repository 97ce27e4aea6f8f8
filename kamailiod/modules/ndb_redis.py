"""Module ndb_redis (KSR.redis too): commands of scripts to Redis servers, without blocking.

Owns the script functions, variables and modparams; the rest is in redis_clients/.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import ClassVar

from kamailiod.modules.redis_clients.client import Client, Disabled, Policy
from kamailiod.modules.redis_clients.command_text import CommandError, Words, split_command
from kamailiod.modules.redis_clients.definition import Definition, parse_definition
from kamailiod.modules.redis_clients.replies import (
    NO_REPLY,
    TYPES,
    Held,
    first_value,
    parse_path,
    read,
)
from kamailiod.modules.redis_clients.request import (
    MOST_QUEUED,
    RedisRequest,
    reply_of,
    request_of,
)
from kamailiod.script.context import Context, Value
from kamailiod.script.module import Module, Params, kemi, pseudo_variable
from kamailiod.script.redis_address import RedisAddress
from kamailiod.script.redis_reply import ErrorReply, RedisFailure
from lua import Wait

_OK, _FAILED, _DISABLED = 0, -1, -2
_NOT_GIVEN = b"\0not given"


@dataclass(frozen=True, slots=True)
class NdbRedisParams(Params):
    """Kamailio's modparams of ndb_redis.

    The server starts without Redis in any case; init_without_redis leaves out the warning.
    """

    server: list[str] = ()  # type: ignore[assignment]  # an immutable default; see module.Params
    init_without_redis: int = 0
    connect_timeout: int = 1000
    cmd_timeout: int = 1000
    cluster: int = 0
    disable_time: int = 0
    allowed_timeouts: int = -1
    flush_on_reconnect: int = 0
    allow_dynamic_nodes: int = 0
    ca_path: str = ""


class NdbRedis(Module):
    """Redis servers by name."""

    name: ClassVar[str] = "ndb_redis"
    Params: ClassVar[type[NdbRedisParams]] = NdbRedisParams
    params: NdbRedisParams
    _clients: dict[bytes, Client]

    def mod_init(self) -> None:
        """Read the definitions of servers; nothing is connected yet."""
        params, redis = self.params, self.services.redis
        policy = Policy(
            params.allowed_timeouts, params.disable_time, bool(params.flush_on_reconnect)
        )
        self._clients = {
            definition.name.encode(): Client(
                definition.name, redis.server(definition.address), redis, policy,
                self.services.log, time.monotonic,
            )
            for definition in self._definitions()
        }  # fmt: skip

    def child_init(self, rank: int) -> None:
        """Connect in the background, so that the first request need not wait for it."""
        loop = getattr(self.services, "loop", None)
        if rank > 0 and loop is not None:
            self._started = [loop.create_task(self._start(c)) for c in self._clients.values()]

    @kemi("ndb_redis.redis_cmd", "redis.redis_cmd", native=(), waits=True)
    def redis_cmd(
        self, context: Context, server: bytes, command: bytes, reply: bytes
    ) -> int | Wait:
        """Run a command: 0, -1 when it failed, -2 when the server is disabled.

        The reply is in $redis(reply=>...), its first value in $avp(reply) too.
        """
        return self._cmd(context, server, command, (), reply)

    @kemi("ndb_redis.redis_cmd_p1", "redis.redis_cmd_p1", native=(), waits=True)
    def redis_cmd_p1(
        self, context: Context, server: bytes, command: bytes, first: bytes, reply: bytes
    ) -> int | Wait:
        """Run a command with a value for its %s."""
        return self._cmd(context, server, command, (first,), reply)

    @kemi("ndb_redis.redis_cmd_p2", "redis.redis_cmd_p2", native=(), waits=True)
    def redis_cmd_p2(
        self, context: Context, server: bytes, command: bytes, first: bytes, second: bytes,
        reply: bytes,
    ) -> int | Wait:  # fmt: skip
        """Run a command with values for its two %s."""
        return self._cmd(context, server, command, (first, second), reply)

    @kemi("ndb_redis.redis_cmd_p3", "redis.redis_cmd_p3", native=(), waits=True)
    def redis_cmd_p3(
        self, context: Context, server: bytes, command: bytes, first: bytes, second: bytes,
        third: bytes, reply: bytes,
    ) -> int | Wait:  # fmt: skip
        """Run a command with values for its three %s."""
        return self._cmd(context, server, command, (first, second, third), reply)

    @kemi("ndb_redis.redis_free", "redis.redis_free")
    def redis_free(self, context: Context, reply: bytes) -> int:
        """Forget a reply: 1, or -1 when the request had none of the name."""
        replies = request_of(context).replies
        if reply not in replies:
            return -1
        replies[reply] = NO_REPLY
        return 1

    @kemi(native="redis_cmd", waits=True)
    def native_cmd(
        self, context: Context, server: bytes, command: bytes, third: bytes,
        fourth: bytes = _NOT_GIVEN, fifth: bytes = _NOT_GIVEN, sixth: bytes = _NOT_GIVEN,
    ) -> int | Wait:  # fmt: skip
        """Run a command with up to three values, the reply's name behind them: 1 or -1."""
        values, reply = _values_and_reply(third, fourth, fifth, sixth)

        def native(code: int) -> int:
            return 1 if code == _OK else -1

        return self._cmd(context, server, command, values, reply, native)

    @kemi(native="redis_pipe_cmd")
    def native_pipe_cmd(
        self, context: Context, server: bytes, command: bytes, third: bytes,
        fourth: bytes = _NOT_GIVEN, fifth: bytes = _NOT_GIVEN, sixth: bytes = _NOT_GIVEN,
    ) -> int:  # fmt: skip
        """Queue a command for redis_execute: 1 or -1."""
        values, reply = _values_and_reply(third, fourth, fifth, sixth)
        client = self._client(server, command, reply)
        if client is None or not self._can_queue(client):
            return -1
        words = self._words(command, values)
        queue = request_of(context).queued.setdefault(client.name, [])
        if words is None or len(queue) >= MOST_QUEUED:
            return self._refuse(f"more than {MOST_QUEUED} commands are queued") if words else -1
        request_of(context).replies.setdefault(reply, NO_REPLY)
        queue.append((words, reply))
        return 1

    @kemi(native="redis_execute", waits=True)
    def native_execute(self, context: Context, server: bytes) -> int | Wait:
        """Send the queued commands in one piece: 1, -1, or -2 when the server is disabled."""
        client = self._clients.get(server)
        if client is None:
            return self._refuse(f"no redis server {_shown(server)}")
        if not self._can_queue(client):
            return -1
        request = request_of(context)
        if not request.queued.get(client.name):
            self.services.log.warning("ndb_redis", "redis_execute without queued commands")
            return -1
        return _waiting(lambda: self._execute(context, request, client), lambda code: code or 1)

    @pseudo_variable("redis")
    def redis_variable(self, context: Context, inner: bytes, index: object) -> Value:
        """$redis(name=>value): a reply's value, type, info or size, of an array by [n]."""
        path = parse_path(inner)
        return None if path is None else read(reply_of(context, path[0]), path[1])

    @pseudo_variable("redisd")
    def type_variable(self, context: Context, inner: bytes, index: object) -> Value:
        """$redisd(rpl_str): the number of a type of replies."""
        return TYPES.get(inner.strip())

    def _cmd(
        self, context: Context, server: bytes, command: bytes, values: tuple[bytes, ...],
        reply: bytes, returned: Callable[[int], int] = int,
    ) -> int | Wait:  # fmt: skip
        client = self._client(server, command, reply)
        words = None if client is None else self._words(command, values)
        if client is None or words is None:
            if reply:
                _keep(context, reply, NO_REPLY)
            return returned(_FAILED)
        return _waiting(lambda: self._run(context, client, words, reply), returned)

    async def _run(self, context: Context, client: Client, words: Words, reply: bytes) -> int:
        request = request_of(context)
        if request.queued.get(client.name):
            text = "redis_cmd with queued commands: they are executed before"
            self.services.log.notice("ndb_redis", text)
            await self._execute(context, request, client)
        _keep(context, reply, NO_REPLY)
        try:
            [got] = await request.run(client, [words])
        except Disabled:
            return _DISABLED
        except RedisFailure:
            return _FAILED
        _keep(context, reply, got)
        if isinstance(got, ErrorReply):
            text = got[:200].decode(errors="replace")
            self.services.log.error("ndb_redis", f"{client.name} answers: {text}")
            return _FAILED
        return _OK

    async def _execute(self, context: Context, request: RedisRequest, client: Client) -> int:
        queue = request.queued.pop(client.name)
        for _, reply in queue:
            _keep(context, reply, NO_REPLY)
        try:
            replies = await request.run(client, [words for words, _ in queue])
        except Disabled:
            return _DISABLED
        except RedisFailure:
            return _FAILED
        for (_, reply), got in zip(queue, replies, strict=True):
            _keep(context, reply, got)
        return _OK

    async def _start(self, client: Client) -> None:
        try:
            await client.run([(b"PING",)])
        except (RedisFailure, Disabled):
            if not self.params.init_without_redis:
                text = f"server {client.name} does not answer (init_without_redis is 0): going on"
                self.services.log.warning("ndb_redis", text)

    def _client(self, server: bytes, command: bytes, reply: bytes) -> Client | None:
        if not (server and command and reply):
            self._refuse("a server, a command and a reply's name are needed")
            return None
        client = self._clients.get(server)
        if client is None:
            self._refuse(f"no redis server {_shown(server)}")
        return client

    def _words(self, command: bytes, values: tuple[bytes, ...]) -> Words | None:
        try:
            return split_command(command, values)
        except CommandError as error:
            self._refuse(str(error))
            return None

    def _can_queue(self, client: Client) -> bool:
        if client.is_cluster:
            self._refuse("commands cannot be queued with cluster=1")
        return not client.is_cluster

    def _refuse(self, text: str) -> int:
        self.services.log.error("ndb_redis", text)
        return _FAILED

    def _definitions(self) -> list[Definition]:
        params = self.params
        defaults = RedisAddress(
            authorities=params.ca_path,
            connect_timeout=max(params.connect_timeout, 1) / 1000,
            command_timeout=max(params.cmd_timeout, 1) / 1000,
        )
        try:
            found = [parse_definition(text, defaults) for text in params.server]
        except ValueError as error:
            raise ValueError(f"ndb_redis: {error}") from None
        if not params.cluster:
            return found
        nodes = [definition.address.nodes[0] for definition in found]
        return [
            replace(
                definition,
                address=replace(
                    definition.address,
                    nodes=tuple(dict.fromkeys((definition.address.nodes[0], *nodes))),
                    cluster=True,
                    only_these=not params.allow_dynamic_nodes,
                ),
            )
            for definition in found
        ]


def _keep(context: Context, name: bytes, reply: Held) -> None:
    """Keep a reply for $redis, and its first value as the only one of $avp."""
    request_of(context).replies[name] = reply
    value = first_value(reply)
    if value is None:
        context.shared.avps.pop(name, None)
    else:
        context.shared.avps[name] = [value]


def _values_and_reply(*given: bytes) -> tuple[tuple[bytes, ...], bytes]:
    *values, reply = [text for text in given if text is not _NOT_GIVEN]
    return tuple(values), reply


def _waiting(
    work: Callable[[], Coroutine[object, object, int]], returned: Callable[[int], int]
) -> Wait:
    async def later() -> int:
        return returned(await work())

    return Wait(later)


def _shown(text: bytes) -> str:
    return repr(text[:64].decode(errors="replace"))
