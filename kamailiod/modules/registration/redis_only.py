"""Location tables that are nowhere but in a Redis, for all servers that use it (db_mode 3).

Owns the keys there: a user is one hash, `kamailiod:location:TABLE:USER`, with a contact for each
ruid, so that a cluster has it in one place and it changes in one step.  Beside it stand, as hints
that are never taken for true, the user of each ruid and, sorted, when contacts expire.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Sequence
from typing import TypeVar
from weakref import WeakValueDictionary

import msgpack

from kamailiod.modules.registration.stored_locations import Fetched
from kamailiod.script.log import Log
from kamailiod.script.redis_reply import Argument, ErrorReply, RedisFailure, Reply
from kamailiod.script.redis_server import RedisServer
from shm import Binding

T = TypeVar("T")

_CHANGED = """
local key, before, mark, expires, gone = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if (redis.call('HGET', key, '') or '') ~= before then return 0 end
for i = 5, 4 + gone do redis.call('HDEL', key, ARGV[i]) end
for i = 5 + gone, #ARGV, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
if redis.call('HLEN', key) <= redis.call('HEXISTS', key, '') then
    redis.call('DEL', key)
    return 1
end
redis.call('HSET', key, '', mark)
if expires == '0' then redis.call('PERSIST', key)
else redis.call('EXPIREAT', key, expires) end
return 1
"""
"""Changes a user's hash unless another did since it was read: its field '' tells.

KEYS: the hash.  ARGV: the mark when it was read, the new mark, when the hash vanishes (unix
seconds, 0 for never), the number of ruids that go, these, then a ruid and its contact each.
"""

_DROPPED = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
if redis.call('HLEN', KEYS[1]) <= 1 then redis.call('DEL', KEYS[1])
else redis.call('HSET', KEYS[1], '', ARGV[3]) end
return 1
"""
"""Removes a contact unless it has changed.  ARGV: the ruid, the contact, the new mark."""

_MARK = b""
_TRIES = 16
"""How often a change begins anew because another server changed the same user meanwhile."""

_SLICE = 500
_GLOB = re.compile(rb"([\\*?\[\]])")


class RedisLocations:
    """All location tables of a Redis; each call reads or writes there.

    `order` brings a user's contacts into the order in which they are tried; `grace` is how many
    seconds a user is kept when all contacts have expired, for `remove_expired` to find them.
    With a `server_id` only contacts that this server saved are seen (server_id_filter).
    """

    def __init__(
        self, redis: RedisServer, order: Callable[[list[Binding]], None], grace: int,
        server_id: int | None, log: Log,
    ) -> None:  # fmt: skip
        self._redis = redis
        self._order = order
        self._grace = grace
        self._server_id = server_id
        self._log = log
        self._refusal = ""
        self._turns: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    def read_at_once(self, table: bytes, aor: bytes) -> list[Binding] | None:
        """Return None: a Redis must be awaited."""
        return None

    async def read(self, table: bytes, aor: bytes) -> list[Binding] | None:
        """Return a user's contacts, expired ones included; None when the Redis failed."""
        try:
            return self._seen(_all_of(await self._fields(_key(table, aor))))
        except RedisFailure:
            return None

    async def of_ruid(self, table: bytes, ruid: bytes) -> tuple[bytes, Binding] | None:
        """Return user and contact of a ruid; None when there is none."""
        try:
            aor = await self._ask("GET", _owner_key(table, ruid))
            if not isinstance(aor, bytes):
                return None
            binding = _binding(await self._ask("HGET", _key(table, aor), ruid))
        except RedisFailure:
            return None
        return None if binding is None or not self._is_seen(binding) else (aor, binding)

    async def all(self, table: bytes) -> list[tuple[bytes, list[Binding]]] | None:
        """Return all users with their contacts; None when the Redis failed."""
        start = _key(table, b"")
        found: dict[bytes, list[Binding]] = {}
        try:
            async for keys in self._redis.keys(_GLOB.sub(rb"\\\1", start) + b"*"):
                replies = await self._redis.pipeline([("HGETALL", key) for key in keys])
                for key, reply in zip(keys, replies, strict=True):
                    bindings = self._seen(_all_of(_pairs(reply)))
                    if bindings:
                        found[key[len(start) :]] = bindings
        except RedisFailure:
            return None
        return list(found.items())

    async def update(self, table: bytes, aor: bytes, work: Callable[[Fetched], T]) -> T | None:
        """Have `work` change a user's contacts; returns what it returned, None when that failed.

        `work` is called again, with the newer contacts, when another server was faster.
        """
        key = _key(table, aor)
        # Within a process one after the other: they would only make each other begin anew.
        turn = self._turns.setdefault(key, asyncio.Lock())
        address = self._redis.address
        try:
            async with asyncio.timeout(address.connect_timeout + address.command_timeout), turn:
                return await self._update(table, aor, work)
        except (RedisFailure, TimeoutError):
            return None

    async def _update(self, table: bytes, aor: bytes, work: Callable[[Fetched], T]) -> T | None:
        key = _key(table, aor)
        for _ in range(_TRIES):
            fields = await self._fields(key)
            every = _all_of(fields)
            change = Fetched(self._seen(every))
            result = work(change)
            if not change.is_changed:
                return result
            unseen = [binding for binding in every if not self._is_seen(binding)]
            vanishes = self._vanishes([*change.after, *unseen])
            if await self._write(key, fields.get(_MARK, b""), change, vanishes):
                await self._hint(table, aor, change)
                return result
        return None

    async def remove_expired(self, table: bytes, now: int) -> list[tuple[bytes, Binding]]:
        """Delete what expired by `now`, and give it: to one server only, however many ask."""
        removed: list[tuple[bytes, Binding]] = []
        key = _expiry_key(table)
        try:
            while True:
                words = ("ZRANGEBYSCORE", key, "-inf", now, "LIMIT", 0, _SLICE)
                members = await self._ask(*words)
                if not isinstance(members, list) or not members:
                    return removed
                for member in members:
                    assert isinstance(member, bytes)
                    found = await self._remove_one(table, member, now)
                    if found is not None:
                        removed.append(found)
        except RedisFailure:
            return removed

    async def _remove_one(
        self, table: bytes, member: bytes, now: int
    ) -> tuple[bytes, Binding] | None:
        ruid, _, aor = member.partition(b"\0")
        key = _key(table, aor)
        expiry = _expiry_key(table)
        stored = await self._ask("HGET", key, ruid)
        binding = _binding(stored)
        if binding is None or not isinstance(stored, bytes) or not binding.expires:
            await self._ask("ZREM", expiry, member)
            return None
        if binding.expires > now:
            # Refreshed: the hint had not come yet, or never will.
            await self._ask("ZADD", expiry, binding.expires, member)
            return None
        if await self._ask("EVAL", _DROPPED, 1, key, ruid, stored, os.urandom(8)) != 1:
            return None
        await self._redis.pipeline([("ZREM", expiry, member), ("DEL", _owner_key(table, ruid))])
        return aor, binding

    async def _ask(self, *words: Argument) -> Reply:
        """Run one command; raises RedisFailure, also for one that is refused."""
        reply = await self._redis.command(*words)
        if isinstance(reply, ErrorReply):
            text = reply.decode("utf-8", "replace")
            if text != self._refusal:
                self._refusal = text
                self._log.error("usrloc", f"{self._redis.address} refuses {words[0]!s}: {text}")
            raise RedisFailure(text)
        return reply

    async def _fields(self, key: bytes) -> dict[bytes, bytes]:
        return _pairs(await self._ask("HGETALL", key))

    async def _write(self, key: bytes, mark: bytes, change: Fetched, vanishes: int) -> bool:
        """Write what was changed; False when another server was faster.  Raises RedisFailure."""
        gone = [binding.ruid for binding in change.gone()]
        words: list[Argument] = [
            "EVAL", _CHANGED, 1, key, mark, os.urandom(8), vanishes, len(gone), *gone,
        ]  # fmt: skip
        for binding in change.put():
            words += (binding.ruid, _packed(binding))
        return await self._ask(*words) == 1

    async def _hint(self, table: bytes, aor: bytes, change: Fetched) -> None:
        """Note users of ruids and expiries; a user's contacts are found without them too."""
        now = int(time.time())
        expiry = _expiry_key(table)
        commands: list[Sequence[Argument]] = []
        for binding in change.put():
            owner = _owner_key(table, binding.ruid)
            member = b"%b\0%b" % (binding.ruid, aor)
            if binding.expires:
                left = max(binding.expires - now, 1) + self._grace
                commands += (("SET", owner, aor, "EX", left),)
                commands += (("ZADD", expiry, binding.expires, member),)
            else:
                commands += (("SET", owner, aor), ("ZREM", expiry, member))
        for binding in change.gone():
            commands += (("DEL", _owner_key(table, binding.ruid)),)
            commands += (("ZREM", expiry, b"%b\0%b" % (binding.ruid, aor)),)
        try:
            await self._redis.pipeline(commands)
        except RedisFailure:
            return

    def _vanishes(self, bindings: Sequence[Binding]) -> int:
        if any(not binding.expires for binding in bindings):
            return 0
        return max((binding.expires for binding in bindings), default=1) + self._grace

    def _seen(self, bindings: list[Binding]) -> list[Binding]:
        found = [binding for binding in bindings if self._is_seen(binding)]
        if len(found) > 1:
            self._order(found)
        return found

    def _is_seen(self, binding: Binding) -> bool:
        return self._server_id is None or binding.server_id == self._server_id


def _key(table: bytes, aor: bytes) -> bytes:
    return b"kamailiod:location:%b:%b" % (table, aor)


def _owner_key(table: bytes, ruid: bytes) -> bytes:
    return b"kamailiod:location-user:%b:%b" % (table, ruid)


def _expiry_key(table: bytes) -> bytes:
    return b"kamailiod:location-expiry:%b" % table


def _pairs(reply: Reply) -> dict[bytes, bytes]:
    if isinstance(reply, ErrorReply):
        raise RedisFailure(reply.decode("utf-8", "replace"))
    words = [word for word in reply if isinstance(word, bytes)] if isinstance(reply, list) else []
    return dict(zip(words[::2], words[1::2], strict=False))


def _all_of(fields: dict[bytes, bytes]) -> list[Binding]:
    found = (_binding(value) for ruid, value in fields.items() if ruid != _MARK)
    return [binding for binding in found if binding is not None]


def _packed(binding: Binding) -> bytes:
    # A connection is its server's own: to others its number means nothing.
    packed: bytes = msgpack.packb(tuple(binding._replace(connection_id=0)))
    return packed


def _binding(value: Reply) -> Binding | None:
    """Return a contact, None for what is none: another version's, or a stranger's."""
    if not isinstance(value, bytes) or isinstance(value, ErrorReply):
        return None
    try:
        return Binding(*msgpack.unpackb(value))
    except (ValueError, TypeError, msgpack.UnpackException):
        return None
