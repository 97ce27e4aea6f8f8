"""Module http_async_client: HTTP queries that a route hears of later.

Owns the script functions, variables, modparams and counters; requests are in http_requests, the
suspended transaction is tm's.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from kamailiod.modules.http_requests.answer import HttpAnswer
from kamailiod.modules.http_requests.answer_variables import AnswerVariables, keep_answer
from kamailiod.modules.http_requests.curl_errors import TIMED_OUT
from kamailiod.modules.http_requests.query_settings import QuerySettings, known
from kamailiod.modules.http_requests.request import HttpRequest, Pooling, Profile, Tls
from kamailiod.modules.http_requests.requester import Requester
from kamailiod.modules.http_requests.tls import HIGHEST_VERSION
from kamailiod.modules.tm import Tm
from kamailiod.script.context import Context, Route, Value
from kamailiod.script.log import INFO
from kamailiod.script.module import Params, kemi, pseudo_variable, variable_factory
from kamailiod.script.services import Services
from kamailiod.script.variables.accessor import Accessor, Specification

_SETTINGS, _IDENTITY = "http_req", "http_req_id"
_SECRET = frozenset((b"authorization", b"cookie", b"set-cookie", b"www-authenticate"))

MOST_QUERIES = 4096
"""Queries of one worker that may be under way; a further one fails at once."""


@dataclass(frozen=True, slots=True)
class HttpAsyncClientParams(Params):
    """Kamailio's modparams of http_async_client."""

    workers: int = 1
    connection_timeout: int = 500
    hash_size: int = 2048
    tls_version: int = 0
    tls_verify_host: int = 1
    tls_verify_peer: int = 1
    curl_verbose: int = 0
    curl_follow_redirect: int = 0
    tls_client_cert: str = ""
    tls_client_key: str = ""
    tls_ca_path: str = ""
    memory_manager: str = "shm"
    authmethod: int = 3
    tcp_keepalive: int = 0
    tcp_ka_idle: int = 0
    tcp_ka_interval: int = 0


@dataclass(frozen=True, slots=True)
class Query:
    """One query under way: what is asked, and which transaction waits for it (None for none)."""

    identity: bytes
    request: HttpRequest
    profile: Profile
    route: bytes
    transaction: tuple[int, int] | None


class HttpAsyncClient(AnswerVariables):
    """Asks HTTP servers and runs a route when they answer."""

    name: ClassVar[str] = "http_async_client"
    Params: ClassVar[type[HttpAsyncClientParams]] = HttpAsyncClientParams
    params: HttpAsyncClientParams
    without_effect: ClassVar[tuple[str, ...]] = ("workers", "hash_size", "memory_manager")
    statistics: ClassVar[tuple[str, ...]] = (
        "http_async_client:requests", "http_async_client:replies",
        "http_async_client:errors", "http_async_client:timeouts",
    )  # fmt: skip

    def __init__(self, params: HttpAsyncClientParams, services: Services) -> None:
        super().__init__(params, services)
        self._tm = services.module(Tm)
        self._requester = Requester(
            services.network.resolver, lambda: getattr(services, "loop", None)
        )
        self._profile = self._make_profile()
        self._numbers = itertools.count(1)
        self._under_way: set[asyncio.Task[None]] = set()
        self._count: dict[str, Callable[..., None]] = {}

    def _make_profile(self) -> Profile:
        params = self.params
        version = params.tls_version if 0 <= params.tls_version <= HIGHEST_VERSION else 0
        probes = (params.tcp_ka_idle, params.tcp_ka_interval) if params.tcp_keepalive else None
        return Profile(
            timeout=params.connection_timeout / 1000,
            methods=params.authmethod,
            tls=Tls(
                "", params.tls_ca_path, params.tls_client_cert, params.tls_client_key, "", version,
                bool(params.tls_verify_peer), bool(params.tls_verify_host),
            ),
            # libcurl's multi interface, which Kamailio has here, keeps its connections.
            pooling=Pooling(keep=True, keepalive=probes, traced=True),
            redirects=bool(params.curl_follow_redirect),
        )  # fmt: skip

    def child_init(self, rank: int) -> None:
        """Count in this process's cells from now on."""
        counter = self.services.statistics.counter
        self._count = {name.partition(":")[2]: counter(name) for name in self.statistics}
        if rank > 0:
            self._requester.prepare_soon()

    def child_exit(self, rank: int) -> None:
        """Give up what is under way."""
        for task in self._under_way:
            task.cancel()
        self._requester.close()

    @kemi("http_async_client.query", native="http_async_query")
    def query(self, context: Context, url: bytes, route: bytes) -> int:
        """Ask a URL and run a route on the answer: 0 queued, and the transaction is suspended.

        1 without a transaction or with $http_req(suspend) = 0: the route then runs over a faked
        message. -1 when it cannot be queued.
        """
        settings = self._settings(context)
        context.shared.notes.pop(_SETTINGS, None)
        if not url or not route or not self._can_run(route):
            self.services.log.error(self.name, f"no URL, or no route {route[:64]!r}")
            return -1
        if len(self._under_way) >= MOST_QUERIES:
            self.services.log.error(self.name, f"{MOST_QUERIES} queries are under way")
            return -1
        may_wait = context.message.is_request and context.message.method != b"ACK"
        waiting = may_wait and context.transaction is not None and settings.suspend
        if waiting and not self._tm.suspension.suspend(context):
            return -1
        identity = b"%d-%d" % (os.getpid(), next(self._numbers))
        context.shared.notes[_IDENTITY] = identity
        transaction = context.transaction.identity if waiting and context.transaction else None
        self._start(
            Query(identity, settings.request(url), settings.profile, route, transaction)
        )
        return 0 if waiting else 1

    def _can_run(self, route: bytes) -> bool:
        script = self.services.script
        return script.named_route(route) is not None or script.defines(route)

    def _start(self, query: Query) -> None:
        task = self.services.loop.create_task(self._run(query))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _run(self, query: Query) -> None:
        self._count["requests"]()
        answer = await self._requester.ask(query.request, query.profile)
        if not answer.error:
            self._count["replies"]()
        else:
            self._count["timeouts" if answer.error == TIMED_OUT else "errors"]()
        if self.params.curl_verbose:
            self._show(query, answer)
        self._continue(query, answer)

    def _continue(self, query: Query, answer: HttpAnswer) -> None:
        script = self.services.script

        def run(context: Context, done: Callable[[bool], None]) -> None:
            keep_answer(context, answer)
            context.shared.notes[_IDENTITY] = query.identity
            script.run_route(context, query.route, done)

        if query.transaction is None:
            context = self.services.faked_context()
            context.route = Route.REQUEST
            run(context, lambda ok: None)
            return
        suspension = self._tm.suspension
        # What was cancelled or timed out meanwhile is no longer suspended, and has its answer.
        suspension.resume(
            *query.transaction,
            lambda context: run(context, lambda ok: suspension.settle(context)),
        )

    def _show(self, query: Query, answer: HttpAnswer) -> None:
        log = self.services.log
        request = query.request
        log.line(INFO, self.name, f"{query.identity!r} asked {request.url.partition(b'?')[0]!r}")
        if answer.error:
            log.line(INFO, self.name, f"{query.identity!r}: {answer.error_text.decode()}")
            return
        shown = [field for field in answer.headers if field[0].lower() not in _SECRET]
        log.line(INFO, self.name, f"{query.identity!r}: {answer.status} {shown}")

    def _settings(self, context: Context) -> QuerySettings:
        found = context.shared.notes.get(_SETTINGS)
        if not isinstance(found, QuerySettings):
            found = context.shared.notes[_SETTINGS] = QuerySettings(self._profile)
        return found

    @variable_factory("http_req")
    def http_req(self, specification: Specification) -> Accessor | None:
        """$http_req(key): a setting of the next query, to be written only; $null is the default.

        Keys: all (with $null), hdr (adds one), body, method, timeout (ms), suspend, authmethod,
        username, password, tls_client_cert, tls_client_key, tls_ca_path, follow_redirect,
        keepalive, ka-idle, ka-interval, http_version.
        """
        key = specification.inner
        if not known(key):
            return None

        def write(context: Context, value: Value) -> bool:
            taken = self._settings(context).set(key, value)
            if not taken:
                self.services.log.error(self.name, f"not a value of $http_req({key.decode()})")
            return taken

        return Accessor(lambda context: None, write)

    @pseudo_variable("http_req_id")
    def http_req_id(self, context: Context, inner: bytes, index: object) -> Value:
        """$http_req_id: the identity of the query made last, or of the one that was answered."""
        found = context.shared.notes.get(_IDENTITY)
        return found if isinstance(found, bytes) else None
