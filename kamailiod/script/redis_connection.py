"""One connection to a Redis by redis-py: owns what of that library is used.

It is imported when a Redis is first used: the library takes a good tenth of a second.  It knows no
pool and no time-outs; whoever calls bounds the time.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from typing import Any

from redis._parsers.resp2 import _AsyncRESP2Parser  # the one parser whose replies we can tell apart
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import AuthenticationError, InvalidResponse, RedisError
from redis.exceptions import ConnectionError as LostConnection

from kamailiod.script.redis_address import RedisAddress
from kamailiod.script.redis_reply import Argument, ErrorReply, Reply, Status

FAILURES: tuple[type[Exception], ...] = (RedisError, OSError, EOFError)
"""What using a connection raises when it cannot be used."""

LOST: tuple[type[Exception], ...] = (LostConnection, OSError, EOFError)
"""The part of them that says that the connection has ended."""


class RedisConnection:
    """A connection, made and made again by `connect`."""

    __slots__ = ("_address", "_connection")

    def __init__(self, address: RedisAddress, host: str, port: int) -> None:
        self._address = address
        self._connection = _connection(address, host, port)

    @property
    def is_connected(self) -> bool:
        """Whether it was not closed by us; the server may have closed it since."""
        return bool(self._connection.is_connected)

    async def connect(self) -> None:
        """Connect, give user and password and choose the database; raises FAILURES.

        Where there are sentinels they are asked for the node before.
        """
        if self._address.sentinels:
            self._connection = _connection(self._address, *await _found(self._address))
        await self._connection.connect()  # type: ignore[no-untyped-call]  # redis-py's own

    async def exchange(self, commands: Sequence[Sequence[Argument]]) -> list[Reply]:
        """Send commands in one piece and return their replies; raises FAILURES.

        When it does not end well, or is cancelled, the connection is closed: what comes late
        cannot become the answer of another command.
        """
        connection = self._connection
        whole = False
        try:
            await connection.send_packed_command(
                connection.pack_commands(commands), check_health=False
            )
            replies = [await connection.read_response() for _ in commands]
            whole = True
            return replies
        finally:
            if not whole:
                await self.close()

    async def close(self) -> None:
        """Close it, without waiting."""
        await self._connection.disconnect(nowait=True)


def reason_of(error: Exception) -> str:
    """Return what went wrong, fit for the log."""
    if isinstance(error, AuthenticationError):
        return "wrong user or password"
    if isinstance(error, LostConnection | OSError):
        return str(error)[:200] or type(error).__name__
    return type(error).__name__


class _ReplyParser(_AsyncRESP2Parser):
    """Gives status and error replies types of their own instead of strings and exceptions."""

    async def _read_response(self, disable_decoding: bool = False) -> Any:
        line = await self._readline()
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else bytes(await self._read(int(rest)))
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return Status(rest)
        if kind == b"-":
            return ErrorReply(rest)
        if kind == b"*":
            count = int(rest)
            return None if count < 0 else [await self._read_response() for _ in range(count)]
        raise InvalidResponse("not a reply of a Redis")


async def _found(address: RedisAddress) -> tuple[str, int]:
    # https://redis.io/docs/latest/develop/reference/sentinel-clients/
    words: tuple[Argument, ...] = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.group)
    if address.replica:
        words = ("SENTINEL", "REPLICAS", address.group)
    share = address.connect_timeout / (len(address.sentinels) + 1)
    for host, port in address.sentinels:
        sentinel = RedisConnection(RedisAddress(), host, port)
        try:
            async with asyncio.timeout(share):
                await sentinel.connect()
                [reply] = await sentinel.exchange([words])
        except FAILURES:
            continue
        finally:
            await sentinel.close()
        for host_and_port in _replicas(reply) if address.replica else [reply]:
            if isinstance(host_and_port, list):
                name, number = (word for word in host_and_port if isinstance(word, bytes))
                return name.decode(), int(number)
    raise LostConnection(f"no sentinel knows a node of the group {address.group}")


def _replicas(reply: Reply) -> list[Reply]:
    """Return address and port of the replicas that are not down, in an order by chance."""
    found: list[Reply] = []
    for entry in reply if isinstance(reply, list) else ():
        if isinstance(entry, list):
            known: dict[Any, Any] = dict(zip(entry[::2], entry[1::2], strict=False))
            if b"down" not in known.get(b"flags", b"") and b"ip" in known and b"port" in known:
                found.append([known[b"ip"], known[b"port"]])
    random.shuffle(found)
    return found


def _connection(address: RedisAddress, host: str, port: int) -> AbstractConnection:
    options: dict[str, Any] = {
        "db": 0 if address.cluster else address.db,
        "username": address.user or None,
        "password": address.password or None,
        "parser_class": _ReplyParser,
        "protocol": 2,
        "driver_info": None,
        "socket_timeout": None,
        "socket_connect_timeout": None,
    }
    if address.unix:
        return UnixDomainSocketConnection(path=address.unix, **options)
    options |= {"host": host, "port": port}
    if not address.tls:
        return Connection(**options)
    options["ssl_cert_reqs"] = "required" if address.verify else "none"
    options["ssl_check_hostname"] = address.verify
    if address.authorities:
        is_folder = os.path.isdir(address.authorities)
        options["ssl_ca_path" if is_folder else "ssl_ca_certs"] = address.authorities
    return SSLConnection(**options)
