"""To which node of a Redis a command goes: the only one, or in a cluster the owner of its key.

Owns the map of a cluster's slots, learnt from its redirections
(https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/); the time is bounded by
whoever calls.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Protocol

from kamailiod.script.redis_address import RedisAddress
from kamailiod.script.redis_pool import RedisPool
from kamailiod.script.redis_reply import Argument, ErrorReply, RedisFailure, Reply

Command = Sequence[Argument]
Node = tuple[str, int]

_REDIRECTIONS = 16
_PATIENCE = 0.05
_MOST_NODES = 1000
_NOT_IN_A_CLUSTER = frozenset((b"MULTI", b"EXEC", b"DISCARD", b"WATCH", b"UNWATCH"))
# Where the first key stands in commands that do not begin with it; MOVED corrects a wrong guess.
_KEY_AT = {
    b"EVAL": 3, b"EVALSHA": 3, b"EVAL_RO": 3, b"EVALSHA_RO": 3, b"FCALL": 3, b"FCALL_RO": 3,
    b"OBJECT": 2, b"MEMORY": 2, b"XGROUP": 2, b"XINFO": 2, b"BITOP": 2,
}  # fmt: skip


class Route(Protocol):
    """The nodes of one Redis, for one loop."""

    async def exchange(self, commands: Sequence[Command], clock: asyncio.Timeout) -> list[Reply]:
        """Send commands where they belong and return their replies; raises FAILURES."""

    async def nodes(self, clock: asyncio.Timeout) -> list[Node]:
        """Return the nodes that hold keys; raises FAILURES."""

    async def exchange_at(
        self, node: Node, commands: Sequence[Command], clock: asyncio.Timeout
    ) -> list[Reply]:
        """Send commands to one of the nodes; raises FAILURES."""

    async def close(self) -> None:
        """Close the connections."""


class ServerRoute:
    """The one server there is."""

    def __init__(self, address: RedisAddress) -> None:
        self._node = address.nodes[0]
        self._pool = RedisPool(address, *self._node)

    async def exchange(self, commands: Sequence[Command], clock: asyncio.Timeout) -> list[Reply]:
        """Send commands in one piece and return their replies; raises FAILURES."""
        return await self._pool.use(lambda connection: connection.exchange(commands), clock)

    async def nodes(self, clock: asyncio.Timeout) -> list[Node]:
        """Return the server."""
        return [self._node]

    async def exchange_at(
        self, node: Node, commands: Sequence[Command], clock: asyncio.Timeout
    ) -> list[Reply]:
        """Send commands to the server; raises FAILURES."""
        return await self.exchange(commands, clock)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()


class ClusterRoute:
    """The nodes of a cluster; a command follows MOVED and ASK, and a node that is lost is left."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._pools = {node: RedisPool(address, *node) for node in address.nodes}
        self._slots: dict[int, Node] = {}
        self._lost: Node | None = None
        self._doubted = False
        self._learnt = 0
        self._learning = asyncio.Lock()

    async def exchange(self, commands: Sequence[Command], clock: asyncio.Timeout) -> list[Reply]:
        """Send each command to the owner of its key, together those that go the same way."""
        from kamailiod.script.redis_connection import LOST

        if not self._slots:
            await self._learn()
        elif self._doubted:
            with contextlib.suppress(*LOST, RedisFailure):
                await self._learn()
        groups: dict[Node, list[int]] = {}
        replies: list[Reply] = [None] * len(commands)
        for index, command in enumerate(commands):
            if _bytes(command[0]).upper() in _NOT_IN_A_CLUSTER:
                replies[index] = ErrorReply(b"ERR there are no transactions in a cluster")
                continue
            groups.setdefault(self._owner(slot_of(command)), []).append(index)

        async def ask(node: Node, indexes: list[int]) -> None:
            got = await self._ask(node, [commands[index] for index in indexes], clock)
            for index, reply in zip(indexes, got, strict=True):
                replies[index] = await self._followed(commands[index], reply, clock)

        for node, indexes in groups.items():
            await ask(node, indexes)
        return replies

    async def nodes(self, clock: asyncio.Timeout) -> list[Node]:
        """Return the nodes that own slots; raises FAILURES."""
        await self._learn()
        return sorted(set(self._slots.values()))

    async def exchange_at(
        self, node: Node, commands: Sequence[Command], clock: asyncio.Timeout
    ) -> list[Reply]:
        """Send commands to a node, whatever their keys; raises FAILURES."""
        pool = self._pools.get(node)
        if pool is None:
            if self._address.only_these:
                raise RedisFailure("the cluster has a node that is not among those given")
            if len(self._pools) >= _MOST_NODES:
                raise RedisFailure("a cluster of too many nodes")
            pool = self._pools[node] = RedisPool(self._address, *node)
        return await pool.use(lambda connection: connection.exchange(commands), clock)

    async def close(self) -> None:
        """Close the connections."""
        for pool in self._pools.values():
            await pool.close()

    async def _ask(
        self, node: Node, commands: Sequence[Command], clock: asyncio.Timeout
    ) -> list[Reply]:
        from kamailiod.script.redis_connection import LOST

        try:
            return await self.exchange_at(node, commands, clock)
        except LOST:
            # Its replica may have taken its place: another node knows.
            self._lost = node
            await self._learn()
        except asyncio.CancelledError:
            # Out of time, without a word of it: the next command asks another node first.
            self._lost = node
            self._doubted = True
            raise
        return await self.exchange_at(self._owner(slot_of(commands[0])), commands, clock)

    async def _followed(self, command: Command, reply: Reply, clock: asyncio.Timeout) -> Reply:
        for _ in range(_REDIRECTIONS):
            if not isinstance(reply, ErrorReply):
                return reply
            kind = reply.partition(b" ")[0]
            if kind == b"MOVED":
                slot, node = _redirection(reply)
                self._slots[slot] = node
                [reply] = await self._ask(node, [command], clock)
            elif kind == b"ASK":
                slot, node = _redirection(reply)
                [_, reply] = await self.exchange_at(node, [(b"ASKING",), command], clock)
            elif kind in (b"TRYAGAIN", b"CLUSTERDOWN"):
                await asyncio.sleep(_PATIENCE)
                if kind == b"CLUSTERDOWN":
                    await self._learn()
                [reply] = await self._ask(self._owner(slot_of(command)), [command], clock)
            else:
                return reply
        return reply

    def _owner(self, slot: int | None) -> Node:
        found = None if slot is None else self._slots.get(slot)
        return found or next(iter(self._slots.values()), self._address.nodes[0])

    async def _learn(self) -> None:
        """Have the map of slots learnt once for all who want it; raises FAILURES."""
        seen = self._learnt
        async with self._learning:
            if self._learnt == seen:
                self._doubted = False
                await self._ask_for_slots()
                self._learnt += 1

    async def _ask_for_slots(self) -> None:
        from kamailiod.script.redis_connection import FAILURES

        lost: Exception = RedisFailure("no node of the cluster answers")
        share = self._address.command_timeout / 3
        for node in sorted(self._pools, key=lambda known: known == self._lost):
            try:
                async with asyncio.timeout(share) as own:
                    [ranges] = await self.exchange_at(node, [("CLUSTER", "SLOTS")], own)
            except FAILURES as error:
                lost = error
                continue
            if isinstance(ranges, ErrorReply):
                lost = RedisFailure(ranges.decode(errors="replace")[:100])
                continue
            slots = _slots(ranges, node[0])
            if slots:
                self._slots = slots
                return
        if isinstance(lost, TimeoutError):
            lost = RedisFailure("no node of the cluster answers in time")
        raise lost


def slot_of(command: Command) -> int | None:
    """Return the slot of a command's first key, None when it seems to have none."""
    from redis.crc import key_slot

    name = _bytes(command[0]).upper()
    place = _KEY_AT.get(name, 1)
    return key_slot(_bytes(command[place])) if len(command) > place else None


def _redirection(reply: bytes) -> tuple[int, Node]:
    # "MOVED" SP slot SP host ":" port
    words = reply.decode(errors="replace").split()
    host, _, port = words[2].rpartition(":")
    return int(words[1]), (host.strip("[]"), int(port))


def _slots(ranges: Reply, asked: str) -> dict[int, Node]:
    """Read the reply of CLUSTER SLOTS; a node without a host is the one that was asked."""
    slots: dict[int, Node] = {}
    for entry in ranges if isinstance(ranges, list) else ():
        if not isinstance(entry, list) or len(entry) < 3 or not isinstance(entry[2], list):
            continue
        first, last, owner = entry[0], entry[1], entry[2]
        host, port = owner[0], owner[1]
        if isinstance(first, int) and isinstance(last, int) and isinstance(port, int):
            node = ((host.decode() if isinstance(host, bytes) else "") or asked, port)
            slots.update(dict.fromkeys(range(first, last + 1), node))
    return slots


def _bytes(word: Argument) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode()
