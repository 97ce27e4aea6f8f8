"""http_async_client: transactions that wait for an HTTP answer, and routes without one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import kamailiod.modules.http_async_client as module_under_test
from kamailiod.modules.http_async_client import HttpAsyncClient
from kamailiod.script.context import Context, Route
from tests.http_server import HttpServer
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.inviting import invite
from tests.kamailiod.script.proxy_world import ProxyWorld


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as started:
        started.answers["/stall"] = started.stall
        yield started


class World(ProxyWorld):
    """A proxy whose request route asks `url` and whose route BACK hears of the answer."""

    def __init__(self, services: FakeServices, url: str, **params: object) -> None:
        super().__init__(services)
        self.client: HttpAsyncClient = services.load(HttpAsyncClient, **params)
        self.client.child_init(1)
        services.variables.register_module(self.client)
        self.loop = asyncio.new_event_loop()
        services.loop = self.loop
        self.url = url
        self.returned: list[int] = []
        self.heard: list[Context] = []
        self.prepare: Callable[[Context], object] = lambda context: None
        self.script.request_route = self._ask
        self.script.named[b"BACK"] = self._hear
        self.then: Callable[[Context], object] = lambda context: None

    def _ask(self, context: Context) -> None:
        if context.message.method != b"INVITE":
            self.relay(context)
            return
        self.prepare(context)
        self.returned.append(self.client.query(context, self.url.encode(), b"BACK"))

    def _hear(self, context: Context) -> None:
        self.heard.append(context)
        self.then(context)

    def until(self, condition: Callable[[], object]) -> None:
        """Let the loop run until something holds."""

        async def wait() -> None:
            async with asyncio.timeout(8):
                while not condition():
                    await asyncio.sleep(0.005)

        self.loop.run_until_complete(wait())

    def call(self) -> Context:
        """Send an INVITE, and return the context in which BACK ran."""
        self.invite()
        self.until(lambda: self.heard)
        return self.heard[-1]

    def read(self, context: Context, variable: str) -> Any:
        return self.services.variables.accessors[variable.encode()].get(context)

    def write(self, context: Context, key: str, value: bytes | int | None) -> bool:
        accessor = self.services.variables.accessors[f"$http_req({key})".encode()]
        return accessor.set(context, value)

    def count(self, name: str) -> int:
        statistics = self.services.statistics
        return statistics.counts[f"http_async_client:{name}"]

    def end(self) -> None:
        self.client.child_exit(1)
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()
        self.services.loop = None


@pytest.fixture
def make(services: FakeServices, server: HttpServer) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def world(path: str = "/x", **params: object) -> World:
        url = path if ":" in path else server.url + path
        made.append(World(services, url, **{"connection_timeout": 5000, **params}))
        return made[0]

    yield world
    for found in made:
        found.end()


def begin(world: World) -> Callable[[Context], object]:
    return world.tm.t_newtran


def test_a_transaction_waits_for_the_answer(
    make: Callable[..., World], server: HttpServer
) -> None:
    world = make("/x?u=bob")
    server.answer("/x", 201, b"sip:b@127.0.0.1:6002", X_A="v", X_B="w")
    world.prepare = begin(world)
    world.then = lambda context: world.relay(context, [6002])
    context = world.call()
    assert world.returned == [0]
    assert world.codes[0] == 100
    values = {name: world.read(context, f"$http_{name}") for name in
              ("ok", "err", "rs", "rr", "rb", "bs", "hdr(x-a)", "hdr(none)")}  # fmt: skip
    assert values == {
        "ok": 1, "err": None, "rs": 201, "rr": b"Created", "rb": b"sip:b@127.0.0.1:6002",
        "bs": 20, "hdr(x-a)": b"v", "hdr(none)": None,
    }  # fmt: skip
    assert world.read(context, "$http_mb").startswith(b"HTTP/1.1 201 Created\r\n")
    assert world.read(context, "$http_ml") == len(world.read(context, "$http_mb"))
    assert context.message.method == b"INVITE" and context.route is Route.FAILURE
    world.answer(200, 6002)
    assert world.finals == [200]
    assert (server.asked[0].method, server.asked[0].path) == ("GET", "/x?u=bob")
    assert (world.count("requests"), world.count("replies")) == (1, 1)
    assert world.count("errors") == world.count("timeouts") == 0


def test_what_was_set_before_is_there_afterwards(make: Callable[..., World]) -> None:
    world = make()

    def prepare(context: Context) -> None:
        world.tm.t_newtran(context)
        context.shared.avps[b"caller"] = [b"alice"]

    world.prepare = prepare
    world.then = lambda context: world.sl.send_reply(context, 403, b"No")
    context = world.call()
    assert context.shared.avps[b"caller"] == [b"alice"]
    identity = world.read(context, "$http_req_id")
    assert isinstance(identity, bytes) and identity.partition(b"-")[2] == b"1"
    assert world.finals == [403]
    world.request(b"ACK", to=b"<sip:b@b.example>;tag=x")


def test_retransmissions_are_absorbed(make: Callable[..., World], server: HttpServer) -> None:
    world = make()
    world.prepare = begin(world)
    world.then = lambda context: world.relay(context, [6002])
    world.invite()
    world.invite()
    world.until(lambda: world.heard)
    world.invite()
    assert len(server.asked) == len(world.heard) == len(world.to(6002)) == 1
    world.answer(200, 6002)


def test_a_cancel_ends_the_wait(make: Callable[..., World]) -> None:
    world = make("/stall", connection_timeout=300)
    world.prepare = begin(world)
    world.invite()
    world.request(b"CANCEL")
    assert world.finals == [200, 487]
    world.until(lambda: world.count("timeouts"))
    world.until(lambda: not world.client._under_way)
    assert world.heard == []
    assert world.finals == [200, 487]
    world.request(b"ACK", to=b"<sip:b@b.example>;tag=x")


def test_a_route_that_does_nothing_is_answered(make: Callable[..., World]) -> None:
    world = make()
    world.prepare = begin(world)
    world.call()
    assert world.finals == [500]
    world.request(b"ACK", to=b"<sip:b@b.example>;tag=x")


def test_a_route_may_ask_again(make: Callable[..., World], server: HttpServer) -> None:
    world = make()
    world.prepare = begin(world)

    def again(context: Context) -> None:
        if len(world.heard) < 3:
            assert world.client.query(context, f"{server.url}/again".encode(), b"BACK") == 0
        else:
            world.sl.send_reply(context, 200, b"OK")

    world.then = again
    world.invite()
    world.until(lambda: len(world.heard) == 3)
    assert world.finals == [200]


@pytest.mark.parametrize(
    ("path", "text", "counter"),
    [
        ("/stall", b"Timeout was reached", "timeouts"),
        ("http://127.0.0.1:1/", b"Couldn't connect to server", "errors"),
        ("http://nosuch.invalid/", b"Couldn't resolve host name", "errors"),
    ],
)
def test_errors(make: Callable[..., World], path: str, text: bytes, counter: str) -> None:
    world = make(path, connection_timeout=4000 if "nosuch" in path else 200)
    world.prepare = begin(world)
    world.then = lambda context: world.sl.send_reply(context, 503, b"No")
    context = world.call()
    values = [world.read(context, f"$http_{name}") for name in ("ok", "err", "rs", "rb", "ml")]
    assert values == [0, text, None, None, None]
    assert world.finals == [503]
    assert world.count(counter) == world.count("requests") == 1
    world.request(b"ACK", to=b"<sip:b@b.example>;tag=x")


def test_without_a_transaction(make: Callable[..., World]) -> None:
    world = make()
    world.prepare = lambda context: None
    context = world.call()
    assert world.returned == [1]
    assert context.message.method == b"OPTIONS" and context.transaction is None
    assert world.read(context, "$http_rb") == b"ok "


def test_without_suspending(make: Callable[..., World]) -> None:
    world = make()

    def prepare(context: Context) -> None:
        world.tm.t_newtran(context)
        assert world.write(context, "suspend", 0)

    world.prepare = prepare
    context = world.call()
    assert world.returned == [1]
    assert context.transaction is None and context.route is Route.REQUEST
    (server,) = world.tm.transactions.servers.values()
    assert not server.suspended
    world.tm.relay.reply(server, 200, b"OK")


def test_what_cannot_be_asked(make: Callable[..., World]) -> None:
    world = make()
    context = invite()
    assert world.client.query(context, b"", b"BACK") == -1
    assert world.client.query(context, b"http://127.0.0.1/", b"") == -1
    assert world.client.query(context, b"http://127.0.0.1/", b"NOSUCH") == -1


def test_too_many_queries(make: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_under_test, "MOST_QUERIES", 1)
    world = make("/stall", connection_timeout=200)
    url = world.url.encode()
    assert [world.client.query(invite(), url, b"BACK") for _ in range(2)] == [1, -1]
    world.until(lambda: world.heard)
    assert world.client.query(invite(), url, b"BACK") == 1


def test_an_answered_transaction_cannot_wait(make: Callable[..., World]) -> None:
    world = make()

    def prepare(context: Context) -> None:
        world.tm.t_newtran(context)
        world.sl.send_reply(context, 200, b"OK")

    world.prepare = prepare
    world.invite()
    assert world.returned == [-1]


def test_settings_of_a_query(make: Callable[..., World], server: HttpServer) -> None:
    world = make()
    context = invite()
    for key, value in (("method", b"put"), ("hdr", b"X-A: 1"), ("hdr", b"X-B: 2"),
                       ("body", b"text"), ("hdr", b"Content-Type: text/x")):  # fmt: skip
        assert world.write(context, key, value)
    assert world.read(context, "$http_req(body)") is None
    assert world.client.query(context, world.url.encode(), b"BACK") == 1
    assert world.client.query(context, world.url.encode(), b"BACK") == 1
    world.until(lambda: len(server.asked) == 2)
    put = next(asked for asked in server.asked if asked.method == "PUT")
    assert (put.headers["x-a"], put.headers["x-b"], put.body) == ("1", "2", b"text")
    assert put.headers["content-type"] == "text/x"
    assert {asked.method for asked in server.asked} == {"GET", "PUT"}, "settings are for one query"
    world.until(lambda: len(world.heard) == 2)


def test_a_body_alone_is_posted(make: Callable[..., World], server: HttpServer) -> None:
    world = make()
    context = invite()
    world.write(context, "body", b"a=1")
    world.client.query(context, world.url.encode(), b"BACK")
    world.until(lambda: world.heard)
    (asked,) = server.asked
    assert (asked.method, asked.body) == ("POST", b"a=1")
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"


def test_all_settings_return_to_what_they_were(
    make: Callable[..., World], server: HttpServer
) -> None:
    world = make()
    context = invite()
    for key, value in (("method", b"DELETE"), ("hdr", b"X-A: 1"), ("body", b"x")):
        world.write(context, key, value)
    assert world.write(context, "all", None)
    world.client.query(context, world.url.encode(), b"BACK")
    world.until(lambda: world.heard)
    assert (server.asked[0].method, server.asked[0].body) == ("GET", b"")
    assert "x-a" not in server.asked[0].headers


def test_timeout_of_a_query(make: Callable[..., World]) -> None:
    world = make("/stall", connection_timeout=60_000)
    world.prepare = lambda context: world.write(context, "timeout", 100)
    assert world.read(world.call(), "$http_err") == b"Timeout was reached"


def test_credentials_of_a_query(make: Callable[..., World], server: HttpServer) -> None:
    world = make()
    context = invite()
    for key, value in (("username", b"u"), ("password", b"p"), ("authmethod", 1)):
        assert world.write(context, key, value)
    world.client.query(context, world.url.encode(), b"BACK")
    world.until(lambda: world.heard)
    assert server.asked[0].headers["authorization"] == "Basic dTpw"


def test_redirects(make: Callable[..., World], server: HttpServer) -> None:
    server.answer("/moved", 302, Location="/x")
    world = make("/moved")
    assert world.read(world.call(), "$http_rs") == 302
    world.prepare = lambda context: world.write(context, "follow_redirect", 1)
    world.heard.clear()
    world.invite(b"second")
    world.until(lambda: world.heard)
    assert world.read(world.heard[0], "$http_rs") == 200


def test_times(make: Callable[..., World], server: HttpServer) -> None:
    server.slow("/x", 0.05)
    world = make()
    context = world.call()
    times = {name: world.read(context, f"$http_time({name})") for name in
             ("total", "connect", "starttransfer", "redirect", "lookup")}  # fmt: skip
    assert times["total"] >= times["starttransfer"] >= 50 and times["redirect"] == 0
    assert 0 <= times["connect"] <= times["starttransfer"]


def test_keepalive_and_old_versions(make: Callable[..., World], server: HttpServer) -> None:
    world = make(tcp_keepalive=1, tcp_ka_idle=5)
    context = invite()
    for key, value in (("keepalive", 1), ("ka-idle", 7), ("ka-interval", 3), ("http_version", 1)):
        assert world.write(context, key, value)
    world.client.query(context, world.url.encode(), b"BACK")
    world.client.query(invite(), world.url.encode(), b"BACK")
    world.until(lambda: len(world.heard) == 2)
    assert [world.read(heard, "$http_rs") for heard in world.heard] == [200, 200]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("method", b"PATCH"), ("method", 1), ("timeout", b"soon"), ("suspend", b"x"), ("hdr", 1),
        ("body", 1), ("username", 1), ("authmethod", b"x"), ("keepalive", b"x"),
    ],
)  # fmt: skip
def test_settings_of_the_wrong_kind(
    make: Callable[..., World], key: str, value: bytes | int
) -> None:
    assert make().write(invite(), key, value) is False


def test_unknown_settings(make: Callable[..., World]) -> None:
    assert make().services.variables.compile(b"$http_req(nosuch)") is None


def test_settings_may_be_unset(make: Callable[..., World]) -> None:
    world = make()
    for key in ("hdr", "body", "method", "timeout", "suspend", "tls_client_cert", "tls_client_key",
                "tls_ca_path", "authmethod", "username", "password", "follow_redirect",
                "keepalive", "ka-idle", "ka-interval", "http_version"):  # fmt: skip
        assert world.write(invite(), key, None), key


def test_tls_settings(make: Callable[..., World]) -> None:
    world = make("https://127.0.0.1:1/")
    world.prepare = lambda context: (
        world.write(context, "tls_client_cert", b"/nowhere.pem"),
        world.write(context, "tls_client_key", b"/nowhere.pem"),
    )
    assert world.read(world.call(), "$http_err") == b"Problem with the local SSL certificate"


def test_verbose(make: Callable[..., World], server: HttpServer) -> None:
    server.answer("/x", body=b"x", X_A="shown", Set_Cookie="hidden=1")
    world = make("/x?key=secret", curl_verbose=1)
    world.call()
    world.url = "http://127.0.0.1:1/"
    world.heard.clear()
    world.invite(b"second")
    world.until(lambda: world.heard)
    text = "".join(world.services.lines)
    assert "shown" in text and "Couldn't connect" in text
    assert "hidden" not in text and "secret" not in text


def test_from_lua(make: Callable[..., World]) -> None:
    world = make()
    lua = LuaCalls(world.services, [world.client])
    context = invite()
    call = f'return KSR.http_async_client.query("{world.url}", "BACK")'
    assert lua(context, call) == 1
    world.until(lambda: world.heard)
    assert lua(context, 'return KSR.http_async_client.query("", "BACK")') == -1


def test_no_connections_are_left(make: Callable[..., World], server: HttpServer) -> None:
    world = make()
    for number in range(20):
        world.heard.clear()
        world.invite(b"b%d" % number)
        world.until(lambda: world.heard)
    assert len(server.connections) == 1, "connections are kept"
    assert not world.client._under_way
