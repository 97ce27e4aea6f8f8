"""The Redises of one process: one object a URL, connected when first used.

Owns that there is one a URL; it knows no commands.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable

from kamailiod.script.log import Log
from kamailiod.script.redis_address import RedisAddress, parse_redis_url
from kamailiod.script.redis_server import RedisServer


class RedisServers:
    """The Redises of one process; `loop` gives its event loop, None before the fork."""

    def __init__(self, loop: Callable[[], AbstractEventLoop | None], log: Log) -> None:
        self._loop = loop
        self._log = log
        self._open: dict[RedisAddress, RedisServer] = {}

    def server(self, place: str | RedisAddress) -> RedisServer:
        """Return the Redis of a URL or an address; nothing is connected yet.

        Raises RedisAddressError.
        """
        address = parse_redis_url(place) if isinstance(place, str) else place
        found = self._open.get(address)
        if found is None:
            found = self._open[address] = RedisServer(address, self._loop, self._log)
        return found
