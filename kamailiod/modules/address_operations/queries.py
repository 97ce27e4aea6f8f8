"""DNS questions of scripts: addresses of a host, SRV, NAPTR and PTR records.

Owns asking and ordering the answers; what waits is awaitable, nothing blocks.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any

Record = dict[bytes, bytes | int]

SYSTEM_TIMEOUT = 3.0
"""Seconds after which an answer is given up."""


class DnsQueries:
    """Asks the system's resolver for addresses, the system's name servers for other records.

    None says that there is no answer.  `servers` are (address, port) of name servers other than
    the system's.
    """

    def __init__(
        self, timeout: float = SYSTEM_TIMEOUT, servers: Sequence[tuple[str, int]] = ()
    ) -> None:
        self._timeout = timeout
        self._servers = servers

    async def addresses(self, name: bytes) -> list[Record] | None:
        """Return `addr` and `type` (4 or 6) of a host, each address once."""
        loop = asyncio.get_running_loop()
        try:
            found = await asyncio.wait_for(
                loop.getaddrinfo(name.decode("ascii"), None, type=socket.SOCK_DGRAM), self._timeout
            )
        except (TimeoutError, OSError, UnicodeError):
            return None
        unique = dict.fromkeys((info[0], str(info[4][0])) for info in found)
        return [
            {b"addr": address.encode(), b"type": 6 if family == socket.AF_INET6 else 4}
            for family, address in unique
        ]

    async def services(self, name: bytes) -> list[Record] | None:
        """Return the SRV records of a name, by priority and then weight (RFC 2782)."""
        return _ordered(await self._ask(name, "SRV"), _service, (b"priority", b"-weight"))

    async def pointers(self, name: bytes) -> list[Record] | None:
        """Return the NAPTR records of a name, by order and preference (RFC 2915)."""
        return _ordered(await self._ask(name, "NAPTR"), _pointer, (b"order", b"pref"))

    async def host(self, address: str) -> bytes | None:
        """Return the name that an address is said to have."""
        from dns.exception import DNSException
        from dns.reversename import from_address

        try:
            name = from_address(address).to_text()
        except (DNSException, ValueError):
            return None
        records = await self._ask(name.encode(), "PTR")
        return records[0].target.to_text(omit_final_dot=True).encode() if records else None

    async def _ask(self, name: bytes, kind: str) -> Sequence[Any]:
        from dns.asyncresolver import Resolver  # heavy: loaded when first needed
        from dns.exception import DNSException

        try:
            resolver = Resolver(configure=not self._servers)
            for address, port in self._servers:
                resolver.nameservers = [*resolver.nameservers, address]
                resolver.nameserver_ports[address] = port
            answer = await resolver.resolve(name.decode("ascii"), kind, lifetime=self._timeout)
        except (DNSException, OSError, UnicodeError):
            return ()
        return list(answer)


def _ordered(
    found: Sequence[Any], read: Callable[[Any], Record], keys: tuple[bytes, ...]
) -> list[Record] | None:
    if not found:
        return None

    def place(record: Record) -> tuple[int, ...]:
        values = [(key, record[key.lstrip(b"-")]) for key in keys]
        return tuple(
            -value if key[:1] == b"-" else value for key, value in values if isinstance(value, int)
        )

    return sorted(map(read, found), key=place)


def _service(record: Any) -> Record:
    return {
        b"priority": record.priority,
        b"weight": record.weight,
        b"port": record.port,
        b"target": record.target.to_text(omit_final_dot=True).encode(),
    }


def _pointer(record: Any) -> Record:
    return {
        b"order": record.order,
        b"pref": record.preference,
        b"flags": record.flags,
        b"services": record.service,
        b"regex": record.regexp,
        b"replace": record.replacement.to_text(omit_final_dot=True).encode(),
    }
