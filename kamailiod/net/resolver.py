"""From a SIP URI to addresses: literals, static records, SRV and host names (RFC 3263).

Owns the cache of answers; names of the hosts file and A/AAAA records come from the system's
resolver (in a thread), SRV from DNS.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Awaitable, Mapping, Sequence
from functools import lru_cache

from kamailiod.sip.uri import DEFAULT_PORTS, Uri

Choice = tuple[bytes, bytes, int]
"""Transport, literal host, port."""

Resolution = list[Choice] | Awaitable[list[Choice] | None] | None
"""Choices, best first, at once or when awaited; None when there are none."""

_IPV4 = re.compile(
    rb"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\Z"
)
_LONGEST_LITERAL = 64
_POSITIVE_SECONDS = 30.0
_NEGATIVE_SECONDS = 5.0
_CACHE_ENTRIES = 10000


class Resolver:
    """Answers at once what needs no look-up, else with an awaitable; time-outs in seconds."""

    def __init__(self, use_srv: bool = True, timeout: float = 3.0) -> None:
        self._static: dict[bytes, Sequence[bytes]] = {}
        self._use_srv = use_srv
        self._timeout = timeout
        self._cache: dict[tuple[bytes, int, bytes], tuple[float, list[Choice] | None]] = {}

    def add_static(self, records: Mapping[bytes, Sequence[bytes]]) -> None:
        """Add names (lower case) with their literals, which are asked first."""
        self._static.update(records)

    def resolve(
        self, uri: Uri, transport: bytes
    ) -> Resolution:
        """Return choices for a URI, best first; None when there are none.

        `transport` is what to use when neither the URI nor SRV says.
        """
        host = uri.parameter(b"maddr") or uri.bare_host if uri.parameters else uri.bare_host
        named = uri.transport or transport
        port = uri.port
        if is_literal(host):
            return [(named, host, port or DEFAULT_PORTS.get(named, 5060))]
        name = host.lower().rstrip(b".")
        static = self._static.get(name)
        if static:
            return [(named, a, port or DEFAULT_PORTS.get(named, 5060)) for a in static]
        cached = self._cache.get((name, port, named))
        if cached is not None and cached[0] > time.monotonic():
            return cached[1]
        return self._look_up(name, port, named)

    async def _look_up(self, name: bytes, port: int, transport: bytes) -> list[Choice] | None:
        choices: list[Choice] = []
        if not port and self._use_srv:
            for target, target_port in await self._srv(name, transport):
                choices += [(transport, a, target_port) for a in await self._addresses(target)]
        if not choices:
            number = port or DEFAULT_PORTS.get(transport, 5060)
            choices = [(transport, a, number) for a in await self._addresses(name)]
        if len(self._cache) >= _CACHE_ENTRIES:
            self._cache.clear()
        seconds = _POSITIVE_SECONDS if choices else _NEGATIVE_SECONDS
        found = choices or None
        self._cache[name, port, transport] = (time.monotonic() + seconds, found)
        return found

    async def _addresses(self, name: bytes) -> list[bytes]:
        if is_literal(name):
            return [name]
        static = self._static.get(name)
        if static:
            return list(static)
        loop = asyncio.get_running_loop()
        try:
            found = await asyncio.wait_for(
                loop.getaddrinfo(name.decode("ascii"), None, type=socket.SOCK_DGRAM), self._timeout
            )
        except (TimeoutError, OSError, UnicodeError):
            return []
        return list(dict.fromkeys(str(info[4][0]).encode() for info in found))

    async def _srv(self, name: bytes, transport: bytes) -> list[tuple[bytes, int]]:
        from dns.asyncresolver import Resolver as DnsResolver  # heavy: loaded when first needed
        from dns.exception import DNSException

        service = "_sips._tcp" if transport == b"tls" else f"_sip._{transport.decode()}"
        try:
            resolver = DnsResolver()
            answer = await resolver.resolve(
                f"{service}.{name.decode('ascii')}", "SRV", lifetime=self._timeout
            )
        except (DNSException, OSError, UnicodeError):
            return []
        records = sorted(answer, key=lambda record: (record.priority, -record.weight))
        return [
            (record.target.to_text(omit_final_dot=True).lower().encode(), record.port)
            for record in records
        ]


def is_literal(host: bytes) -> bool:
    """Whether a host is an IPv4 or (unbracketed) IPv6 literal.

    Strict: the system would look up in DNS what is none, and the worker stand still meanwhile.
    """
    return len(host) <= _LONGEST_LITERAL and _is_literal(host)


@lru_cache(maxsize=4096)
def _is_literal(host: bytes) -> bool:
    return _IPV4.match(host) is not None or (b":" in host and _is_ipv6(host))


def _is_ipv6(host: bytes) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, host.decode("latin-1"))
    except (OSError, ValueError):
        return False
    return True
