"""A real HTTP server in a thread of the test, on a free port: what tests of HTTP clients ask."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class HttpServer:
    """Answers by path: `answers[path]` is a Response factory; what has none gets "ok BODY".

    `asked` holds the requests; `stall` answers nothing before the server ends.
    """

    def __init__(
        self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.asked: list[Asked] = []
        self.answers: dict[str, Handler] = {}
        self.connections: set[object] = set()
        self._tls = tls
        self._socket = socket.create_server((host, port))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://{host}:{self.port}"
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> HttpServer:
        self._thread.start()
        assert self._up.wait(5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    def answer(self, path: str, status: int = 200, body: bytes = b"", **headers: str) -> None:
        """Let a path be answered so; `_` in a header's name stands for `-`."""

        async def handle(request: web.Request) -> web.Response:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.Response(status=status, body=body, headers=named)

        self.answers[path] = handle

    def slow(self, path: str, seconds: float, body: bytes = b"late") -> None:
        """Let a path be answered after some time."""

        async def handle(request: web.Request) -> web.Response:
            await asyncio.sleep(seconds)
            return web.Response(body=body)

        self.answers[path] = handle

    async def stall(self, request: web.Request) -> web.Response:
        """Answer when the server ends."""
        await self._stop.wait()
        return web.Response(status=503)

    def _serve(self) -> None:
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await runner.setup()
        site = web.SockSite(runner, self._socket, ssl_context=self._tls)
        await site.start()
        self._up.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(Asked(request.method, request.path_qs, headers, body))
        self.connections.add(request.transport)
        handler = self.answers.get(request.path)
        if handler is None:
            return web.Response(body=b"ok " + body, headers={"X-Name": "one"})
        return await handler(request)  # type: ignore[arg-type]  # what web.Server hands on
