"""The HTTP side of a running server: /rpc, /metrics, /health.

Owns addresses, content types and who may call; aiohttp is imported when the server starts, which
only the RPC process does.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from asyncio import AbstractEventLoop
from typing import TYPE_CHECKING

from kamailiod.rpc.dispatcher import Answer, RpcDispatcher, to_json

if TYPE_CHECKING:
    from aiohttp.web import AppRunner, Request, Response

    from kamailiod.metrics.exposition import Exposition
    from kamailiod.metrics.process_table import ProcessTable

_LARGEST_REQUEST = 1 << 20
_PARSE_ERROR = {"code": 400, "message": "Parse error"}
_INDEX = (
    "kamailiod\n\n"
    "/health   whether all processes run\n"
    "/metrics  for Prometheus\n"
    "/rpc      JSON-RPC 2.0, by POST\n"
)


class HttpError(OSError):
    """The server cannot listen; the message says where and why."""


def refuse_taken(host: str, port: int) -> None:
    """Raise HttpError when the address cannot be had: the supervisor asks before it forks."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise _cannot_serve(host, port, error) from error


class Health:
    """Whether every process runs."""

    def __init__(self, processes: ProcessTable) -> None:
        self._processes = processes

    def report(self) -> tuple[bool, dict[str, object]]:
        """Return whether all is well, and the facts: counts and the ranks that are missing."""
        entries = self._processes.entries()
        workers = [entry for entry in entries if entry.role.is_worker]
        missing = [entry.role.rank for entry in entries if not entry.alive]
        return not missing, {
            "status": "degraded" if missing else "ok",
            "workers": len(workers),
            "workers_alive": sum(entry.alive for entry in workers),
            "missing_ranks": missing,
        }


class HttpServer:
    """Serves one address; `remote_rpc` lets other machines call /rpc too, not only this one."""

    def __init__(
        self,
        dispatcher: RpcDispatcher,
        metrics: Exposition,
        health: Health,
        remote_rpc: bool = False,
    ) -> None:
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._health = health
        self._remote_rpc = remote_rpc
        self._runner: AppRunner | None = None
        self.port = 0

    def start(self, loop: AbstractEventLoop, host: str, port: int) -> None:
        """Listen on a loop that does not run yet; raises HttpError, `port` tells the one bound."""
        loop.run_until_complete(self.listen(host, port))

    def stop(self, loop: AbstractEventLoop) -> None:
        """Close all connections, on a loop that no longer runs."""
        if self._runner is not None:
            loop.run_until_complete(self._runner.cleanup())

    async def listen(self, host: str, port: int) -> None:
        """Listen on an address, port 0 for any; raises HttpError."""
        from aiohttp import web

        application = web.Application(client_max_size=_LARGEST_REQUEST)
        application.router.add_get("/", self._index)
        application.router.add_get("/health", self._show_health)
        application.router.add_get("/metrics", self._show_metrics)
        application.router.add_post("/rpc", self._call)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, host, port, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise _cannot_serve(host, port, error) from error
        self._runner = runner
        self.port = int(runner.addresses[0][1])

    async def _index(self, request: Request) -> Response:
        from aiohttp import web

        return web.Response(text=_INDEX)

    async def _show_health(self, request: Request) -> Response:
        from aiohttp import web

        well, facts = self._health.report()
        return web.json_response(facts, status=200 if well else 503)

    async def _show_metrics(self, request: Request) -> Response:
        from aiohttp import web

        body, content_type = self._metrics.render(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _call(self, request: Request) -> Response:
        from aiohttp import web

        refusal = self._refusal(request)
        if refusal:
            return web.Response(status=403, text=f"{refusal}\n")
        if request.content_type not in ("application/json", "application/json-rpc"):
            return web.Response(status=415, text="Content-Type: application/json is expected\n")
        answer = await self._dispatcher.answer_json(await request.read())
        if answer is None:
            answer = {"jsonrpc": "2.0", "error": _PARSE_ERROR, "id": None}
        return web.json_response(answer, status=_status(answer), dumps=to_json)

    def _refusal(self, request: Request) -> str:
        """Return why this caller may not, "" when it may.

        A web page in a browser of this machine could otherwise call, directly or by a name that it
        has point here: so a Host that is a foreign name and a foreign Origin are refused.
        """
        host = request.headers.get("Host", "")
        origin = request.headers.get("Origin")
        if not _is_literal(host):
            return "The Host must be an address or localhost"
        if origin is not None and origin.partition("://")[2] != host:
            return "Not for other origins"
        if not self._remote_rpc and not _is_from_here(request):
            return "Only for callers on this machine"
        return ""


def _cannot_serve(host: str, port: int, error: OSError) -> HttpError:
    # asyncio's and the resolver's own texts repeat the address or carry no errno of the system.
    known = error.errno if error.errno and error.errno > 0 else None
    reason = os.strerror(known) if known else error.strerror or str(error)
    return HttpError(f"cannot serve HTTP on {host}:{port}: {reason}")


def _status(answer: Answer) -> int:
    """Return the HTTP status, which is the fault's code, as Kamailio has it."""
    fault = answer.get("error")
    code = fault.get("code") if isinstance(fault, dict) else 200
    return code if isinstance(code, int) and 200 <= code <= 599 else 500


def _is_literal(host: str) -> bool:
    """Whether a Host header (`name[:port]`) is an address or localhost."""
    name, separator, port = host.rpartition(":")
    if not separator or not port.isdecimal():
        name = host
    return name == "localhost" or _address(name.strip("[]")) is not None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_from_here(request: Request) -> bool:
    if request.transport is None:
        return False
    peer = request.transport.get_extra_info("peername")[0]
    own = request.transport.get_extra_info("sockname")[0]
    address = _address(peer)
    return peer == own or (address is not None and address.is_loopback)
