"""Module http_client: asks HTTP servers; the script waits, the worker does not.

Owns the script functions, modparams and commands; requests are in http_requests.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from kamailiod import __version__
from kamailiod.modules.http_requests.answer import HttpAnswer, first_line
from kamailiod.modules.http_requests.answer_variables import AnswerVariables, keep_answer
from kamailiod.modules.http_requests.connections import (
    Connection,
    DefinitionError,
    parse_connection,
    read_connections,
    with_port,
)
from kamailiod.modules.http_requests.curl_errors import error_text
from kamailiod.modules.http_requests.request import (
    HttpRequest,
    Pooling,
    Profile,
    Tls,
    header_fields,
)
from kamailiod.modules.http_requests.requester import Requester
from kamailiod.modules.http_requests.tls import HIGHEST_VERSION
from kamailiod.script.context import Context, Route, Value
from kamailiod.script.module import (
    Params,
    RpcFault,
    Template,
    Variable,
    kemi,
    pseudo_variable,
    rpc,
)
from kamailiod.script.services import Services
from kamailiod.script.variables.accessor import Accessor
from kamailiod.script.variables.value import strict_integer
from lua import Wait

PRODUCT = f"kamailiod ({__version__} ({platform.machine()}/{platform.system().lower()}))"

_ROUTES = Route.REQUEST | Route.ONREPLY | Route.REPLY | Route.FAILURE | Route.BRANCH
_NO_TIMEOUT, _MILLISECONDS = 0, 2
_HIDDEN = "******"
_CONNECTIONS = "httpclient:connections"
_NO_VARIABLE = Variable(b"")
_ABSENT = Template(b"\0")
"""A parameter that was not given, as an empty one may be."""


@dataclass(frozen=True, slots=True)
class HttpClientParams(Params):
    """Kamailio's modparams of http_client."""

    connection_timeout: int = 4
    timeout_mode: int = 1
    cacert: str = ""
    client_cert: str = ""
    client_key: str = ""
    cipher_suites: str = ""
    tlsversion: int = 0
    verify_peer: int = 1
    verify_host: int = 2
    httpproxyport: int = 0
    httpproxy: str = ""
    httpredirect: int = 0
    useragent: str = PRODUCT
    maxdatasize: int = 0
    config_file: str = ""
    httpcon: list[str] = ()  # type: ignore[assignment]  # an immutable default for a repeatable one
    authmethod: int = 3
    keep_connections: int = 0
    query_result: int = 1
    query_maxdatasize: int = 0
    netinterface: str = ""


class HttpClient(AnswerVariables):
    """Asks HTTP servers for scripts."""

    name: ClassVar[str] = "http_client"
    Params: ClassVar[type[HttpClientParams]] = HttpClientParams
    params: HttpClientParams
    statistics: ClassVar[tuple[str, ...]] = (
        _CONNECTIONS, "httpclient:connok", "httpclient:connfail",
    )  # fmt: skip
    gauges: ClassVar[tuple[str, ...]] = (_CONNECTIONS,)

    def __init__(self, params: HttpClientParams, services: Services) -> None:
        super().__init__(params, services)
        self._requester = Requester(
            services.network.resolver, lambda: getattr(services, "loop", None)
        )
        self._seconds = {_NO_TIMEOUT: 0.0, _MILLISECONDS: 0.001}.get(params.timeout_mode, 1.0)
        self._profile = self._make_profile()
        self._connections = {found.name: found for found in self._definitions()}
        self._last_urls: dict[str, bytes] = {}
        self._good: Callable[..., None] = lambda: None
        self._bad: Callable[..., None] = lambda: None

    def _make_profile(self) -> Profile:
        params = self.params
        version = params.tlsversion
        if not 0 <= version <= HIGHEST_VERSION:
            self.services.log.warning(self.name, f"tlsversion {version} is not known: 0 is used")
            version = 0
        seconds = self._seconds
        default = 4 if seconds == 1.0 else 4000
        proxy = params.httpproxy
        return Profile(
            timeout=(params.connection_timeout or default) * seconds,
            user_agent=params.useragent,
            methods=params.authmethod,
            tls=Tls(
                params.cacert, "", params.client_cert, params.client_key, params.cipher_suites,
                version, bool(params.verify_peer), bool(params.verify_host),
            ),
            pooling=Pooling(bool(params.keep_connections), params.netinterface),
            redirects=bool(params.httpredirect),
            proxy=with_port(proxy, params.httpproxyport) if params.httpproxyport else proxy,
            most=params.query_maxdatasize,
        )  # fmt: skip

    def _definitions(self) -> list[Connection]:
        params = self.params
        # As in Kamailio, connections have a proxy only where a port is given for it.
        proxy = with_port(params.httpproxy, params.httpproxyport)
        defaults = replace(self._profile, most=params.maxdatasize, proxy=proxy)
        try:
            found = [parse_connection(text, defaults, self._seconds) for text in params.httpcon]
            if params.config_file:
                path = self._path(params.config_file)
                found += read_connections(path, defaults, self._seconds)
        except DefinitionError as error:
            raise ValueError(f"http_client: {error}") from None
        return found

    def _path(self, name: str) -> str:
        if name.startswith((".", "/")):
            return name
        return os.path.join(os.path.dirname(self.services.config_file), name)

    def child_init(self, rank: int) -> None:
        """Count in this process's cells from now on."""
        statistics = self.services.statistics
        self._good = statistics.counter("httpclient:connok")
        self._bad = statistics.counter("httpclient:connfail")
        if rank == 0:
            statistics.counter(_CONNECTIONS)(len(self._connections))
        if rank > 0:
            self._requester.prepare_soon()

    def child_exit(self, rank: int) -> None:
        """End the connections that are kept."""
        self._requester.close()

    @kemi("http_client.query", native=(), routes=_ROUTES, waits=True)
    def query(self, context: Context, url: bytes, target: Variable) -> object:
        """GET a URL, its body (first line, with query_result) into a variable; the HTTP status.

        Below 100 it is libcurl's error, -1 a bad variable. What is no `$variable` is posted
        instead, and the answer's body is returned, nil when there is none.
        """
        if target and not target.startswith(b"$"):
            return self._posted(context, HttpRequest(url, target, content_type=_kind_of(target)))
        return self._query(context, HttpRequest(url), target)

    @kemi("http_client.query_post", native=(), routes=_ROUTES, waits=True)
    def query_post(
        self, context: Context, url: bytes, body: bytes, target: Variable
    ) -> int | Wait:
        """POST a body (GET when it is empty); returns what query returns."""
        return self._query(context, HttpRequest(url, body), target)

    @kemi("http_client.query_post_hdrs", native=(), routes=_ROUTES, waits=True)
    def query_post_hdrs(
        self, context: Context, url: bytes, body: bytes, headers: bytes, target: Variable
    ) -> int | Wait:
        """POST a body with header lines; returns what query returns."""
        return self._query(context, HttpRequest(url, body, header_fields(headers)), target)

    @kemi("http_client.get_hdrs", native="http_client_get", routes=_ROUTES, waits=True)
    def get_hdrs(
        self, context: Context, url: bytes, body: bytes, headers: bytes, target: Variable
    ) -> int | Wait:
        """GET a URL with a body and header lines, either empty; returns what query returns."""
        request = HttpRequest(url, body, header_fields(headers), "GET")
        return self._query(context, request, target)

    @kemi(
        "http_client.query_request", "http_client.request", native="http_client_request",
        routes=_ROUTES, waits=True,
    )  # fmt: skip
    def query_request(
        self, context: Context, method: bytes, url: bytes, body: bytes, headers: bytes,
        target: Variable,
    ) -> int | Wait:  # fmt: skip
        """Ask with any method, a body and header lines; returns what query returns."""
        request = HttpRequest(url, body, header_fields(headers), method.decode("latin-1"))
        return self._query(context, request, target)

    @kemi("http_client.get", native=(), routes=_ROUTES, waits=True)
    def get(self, context: Context, url: bytes, target: Variable = _NO_VARIABLE) -> object:
        """GET a URL and return the body, nil without; with a `$variable`, do as query."""
        if target:
            return self._query(context, HttpRequest(url), target)
        return self._posted(context, HttpRequest(url))

    @kemi("http_client.post", native=(), routes=_ROUTES, waits=True)
    def post(
        self, context: Context, url: bytes, body: bytes, target: Variable = _NO_VARIABLE
    ) -> object:
        """POST a body and return that of the answer, nil without; with a `$variable`, as query."""
        if target:
            return self._query(context, HttpRequest(url, body, method="POST"), target)
        kind = _kind_of(body)
        return self._posted(context, HttpRequest(url, body, method="POST", content_type=kind))

    @kemi(native=("http_client_query", "http_query"), routes=_ROUTES, waits=True)
    def native_query(
        self, context: Context, url: bytes, first: Template, second: Template = _ABSENT,
        third: Template = _ABSENT,
    ) -> int | Wait:  # fmt: skip
        """GET or POST: url, [body, [headers,]] variable; returns what query returns."""
        *given, target = [text for text in (first, second, third) if text is not _ABSENT]
        body, headers, *_ = [*(self._expanded(context, text) for text in given), b"", b""]
        request = HttpRequest(url, body, header_fields(headers))
        return self._query(context, request, target)

    @kemi("http_client.curl_connect", native=(), routes=_ROUTES, waits=True)
    def curl_connect(
        self, context: Context, connection: bytes, path: bytes, target: Variable
    ) -> int | Wait:
        """GET a path below a connection's URL, the whole body into a variable; as query."""
        return self._connect(context, connection, HttpRequest(path), target)

    @kemi("http_client.curl_connect_post", native=(), routes=_ROUTES, waits=True)
    def curl_connect_post(
        self, context: Context, connection: bytes, path: bytes, kind: bytes, body: bytes,
        target: Variable,
    ) -> int | Wait:  # fmt: skip
        """POST a body of a content type below a connection's URL; returns what query returns."""
        return self._connect(context, connection, _typed(path, kind, body), target)

    @kemi(native="http_connect", routes=_ROUTES, waits=True)
    def native_connect(
        self, context: Context, connection: bytes, path: bytes, first: Template,
        body: Template = _ABSENT, target: Variable = _NO_VARIABLE,
    ) -> int | Wait:  # fmt: skip
        """GET or POST: connection, path, [content type, body,] variable; as query."""
        if not target:
            return self._connect(context, connection, HttpRequest(path), first)
        request = _typed(path, first, self._expanded(context, body))
        return self._connect(context, connection, request, target)

    @kemi(native="http_connect_raw", routes=_ROUTES, waits=True)
    def native_connect_raw(
        self, context: Context, connection: bytes, path: bytes, kind: Template, body: Template,
        target: Variable,
    ) -> int | Wait:  # fmt: skip
        """POST a body as it stands, `$` included, below a connection's URL; as query."""
        return self._connect(context, connection, _typed(path, kind, body), target)

    @kemi(native="http_get_redirect", routes=_ROUTES)
    def http_get_redirect(self, context: Context, connection: bytes, target: Variable) -> int:
        """Store where this process's last request of a connection ended; -1 for no connection."""
        name = connection.decode("utf-8", "surrogateescape")
        accessor = self._target(target)
        if accessor is None:
            return -1
        known = name in self._connections
        accessor.set(context, self._last_urls.get(name, b"") if known else b"")
        return 1 if known else -1

    @pseudo_variable("curlerror")
    def curlerror(self, context: Context, inner: bytes, index: object) -> Value:
        """$curlerror(n): what libcurl says of an error number."""
        return error_text(strict_integer(inner) or 0)

    @rpc("httpclient.listcon")
    def rpc_listcon(self) -> object:
        """List the connections; passwords are not shown."""
        if not self._connections:
            raise RpcFault(500, "No Connection Definitions")
        return [{"CONNECTION": self._shown(found)} for found in self._connections.values()]

    def _shown(self, connection: Connection) -> dict[str, object]:
        profile = connection.profile
        unit = self._seconds or 1.0
        return {
            "NAME": connection.name,
            "SCHEMA": connection.scheme,
            "URI": connection.address,
            "USERNAME": profile.username,
            "PASSWORD": _HIDDEN if profile.password else "",
            "FAILOVER": connection.failover,
            "TIMEOUT": round(profile.timeout / unit),
        }

    def _expanded(self, context: Context, text: bytes) -> bytes:
        return self.services.variables.format(text).expand(context)

    def _target(self, variable: bytes) -> Accessor | None:
        accessor = self.services.variables.compile(variable)
        if accessor is None or not accessor.writable:
            self.services.log.error(self.name, f"no variable to write to: {variable[:64]!r}")
            return None
        return accessor

    def _query(self, context: Context, request: HttpRequest, target: bytes) -> int | Wait:
        accessor = self._target(target)
        if accessor is None:
            return -1

        async def later() -> int:
            answer = await self._ask(context, request, self._profile)
            result = answer.result
            accessor.set(context, first_line(result) if self.params.query_result else result)
            return answer.return_code

        return Wait(later)

    def _posted(self, context: Context, request: HttpRequest) -> Wait:
        async def later() -> bytes | None:
            answer = await self._ask(context, request, self._profile)
            return answer.body if 200 <= answer.status < 300 else None

        return Wait(later)

    def _connect(
        self, context: Context, name: bytes, request: HttpRequest, target: bytes
    ) -> int | Wait:
        accessor = self._target(target)
        if accessor is None:
            return -1
        connection = self._connections.get(name.decode("utf-8", "surrogateescape"))
        if connection is None:
            self.services.log.error(self.name, f"no connection {name[:64]!r}")
            accessor.set(context, b"")
            return -1

        async def later() -> int:
            answer = await self._ask_connection(context, connection, request)
            other = self._connections.get(connection.failover)
            if (answer.error or answer.status >= 500) and other is not None:
                answer = await self._ask_connection(context, other, request)
            accessor.set(context, answer.result)
            return answer.return_code

        return Wait(later)

    async def _ask_connection(
        self, context: Context, connection: Connection, request: HttpRequest
    ) -> HttpAnswer:
        url = connection.url(request.url)
        answer = await self._ask(context, replace(request, url=url), connection.profile)
        self._last_urls[connection.name] = answer.url
        return answer

    async def _ask(self, context: Context, request: HttpRequest, profile: Profile) -> HttpAnswer:
        answer = await self._requester.ask(request, profile)
        keep_answer(context, answer)
        if answer.status == 200:
            self._good()
        else:
            self._bad()
        if answer.error:
            what = answer.error_text.decode()
            # What stands behind "?" may be a secret.
            url = request.url.partition(b"?")[0].rpartition(b"@")[2][:128]
            self.services.log.warning(self.name, f"{what} ({answer.error}): {url!r}")
        return answer


def _typed(path: bytes, kind: bytes, body: bytes) -> HttpRequest:
    return HttpRequest(path, body, content_type=kind.decode("latin-1"))


def _kind_of(body: bytes) -> str | None:
    """Return the content type of what a script posts without saying one; None is a form."""
    return "application/json" if body.lstrip()[:1] in (b"{", b"[") else None
