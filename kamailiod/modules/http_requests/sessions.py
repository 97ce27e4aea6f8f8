"""The pools of connections of one event loop, one session for each kind of pooling.

Imported when the first request is made: it brings aiohttp with it.  It knows no script.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Any

import aiohttp
import psutil
from aiohttp.abc import AbstractResolver, ResolveResult

from kamailiod.modules.http_requests.curl_errors import BAD_INTERFACE
from kamailiod.modules.http_requests.request import Pooling
from kamailiod.modules.http_requests.target import TargetError
from kamailiod.net.resolver import Resolver
from kamailiod.sip.uri import parse_uri

_MOST_CONNECTIONS = 1024
_LONGEST_HEADER = 102400
_KEPT_SECONDS = 60.0
_PROBE_SECONDS = 60


class Sessions:
    """Sessions made when they are first asked for; `close` ends their connections."""

    def __init__(self, loop: AbstractEventLoop, resolver: Resolver) -> None:
        self.loop = loop
        self._names = Names(resolver)
        self._sessions: dict[Pooling, aiohttp.ClientSession] = {}

    def session(self, pooling: Pooling) -> aiohttp.ClientSession:
        """Return the session of a kind of pooling; raises TargetError for a bad interface."""
        found = self._sessions.get(pooling)
        if found is None:
            found = self._sessions[pooling] = self._make(pooling)
        return found

    async def close(self) -> None:
        """End all connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    def abandon(self) -> None:
        """Forget the connections of a loop that has ended."""
        for session in self._sessions.values():
            session.detach()
        self._sessions.clear()

    def _make(self, pooling: Pooling) -> aiohttp.ClientSession:
        address = _address_of(pooling.interface)
        # aiohttp takes no such time where connections are not kept.
        kept: dict[str, Any] = {"keepalive_timeout": _KEPT_SECONDS} if pooling.keep else {}
        connector = aiohttp.TCPConnector(
            resolver=self._names,
            use_dns_cache=False,
            limit=_MOST_CONNECTIONS,
            local_addr=(address, 0) if address else None,
            force_close=not pooling.keep,
            socket_factory=_probing(*pooling.keepalive) if pooling.keepalive else None,
            **kept,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            skip_auto_headers=("User-Agent", "Accept-Encoding", "Content-Type"),
            auto_decompress=False,
            version=aiohttp.HttpVersion10 if pooling.old_version else aiohttp.HttpVersion11,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            trace_configs=[_trace()] if pooling.traced else None,
        )


class Names(AbstractResolver):
    """Host names by the server's resolver, whose static records come first."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name; raises OSError when there are none."""
        # With a port in the URI no SRV record is asked for, as a URL wants it.
        uri = parse_uri(f"sip:{host}:{port}".encode())
        found = None if uri is None else self._resolver.resolve(uri, b"tcp")
        choices = found if found is None or isinstance(found, list) else await found
        addresses = [address.decode() for _, address, _ in choices or ()]
        results = [
            _result(host, address, port)
            for address in addresses
            if family in (socket.AF_UNSPEC, _family(address))
        ]
        if not results:
            raise OSError(f"no address of {host}")
        return results

    async def close(self) -> None:
        """Do nothing: the resolver is the server's."""


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _result(host: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host, host=address, port=port, family=_family(address), proto=0,
        flags=socket.AI_NUMERICHOST,
    )  # fmt: skip


def _address_of(interface: str) -> str:
    """Return the address of an interface given by name; an address is one already."""
    if not interface:
        return ""
    for address in psutil.net_if_addrs().get(interface, ()):
        if address.family == socket.AF_INET:
            return str(address.address)
    try:
        socket.inet_pton(_family(interface), interface)
    except OSError:
        raise TargetError(BAD_INTERFACE) from None
    return interface


def _probing(idle: int, interval: int) -> Callable[[tuple[Any, ...]], socket.socket]:
    def make(information: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol = information[:3]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle or _PROBE_SECONDS)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval or _PROBE_SECONDS)
        made.setblocking(False)
        return made

    return make


def _trace() -> aiohttp.TraceConfig:
    """Note the instants of a request in the list that is its trace_request_ctx."""
    config = aiohttp.TraceConfig()

    def noting(name: bytes):  # type: ignore[no-untyped-def]  # aiohttp has no name for it
        async def note(session: object, context: object, parameters: object) -> None:
            times = getattr(context, "trace_request_ctx", None)
            if isinstance(times, dict):
                times[name] = asyncio.get_running_loop().time()

        return note

    config.on_dns_resolvehost_end.append(noting(b"lookup"))
    config.on_connection_create_end.append(noting(b"connect"))
    config.on_request_redirect.append(noting(b"redirect"))
    config.on_request_headers_sent.append(noting(b"pretransfer"))
    config.freeze()
    return config
