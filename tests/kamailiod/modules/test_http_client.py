"""http_client's functions against a real HTTP server: what they return and store."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kamailiod.modules.http_client import PRODUCT, HttpClient
from kamailiod.script.context import Context
from kamailiod.script.module import RpcFault
from tests.http_server import HttpServer
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.inviting import invite
from tests.kamailiod.native_calls import NativeCalls


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as started:
        started.answer("/lines", body=b"line1\r\nline2\n")
        started.answer("/404", 404, b"not here\nsecond")
        started.answer("/500", 500, b"oops")
        started.answer("/empty")
        started.answer("/302", 302, b"mv", Location="/lines")
        started.answers["/stall"] = started.stall
        yield started


@pytest.fixture(autouse=True)
def ended(services: FakeServices) -> Iterator[None]:
    """Let the modules end as in a process."""
    yield
    for module in services.modules.values():
        module.child_exit(1)


class World:
    """http_client with modparams; calls leave their result in $var(r)."""

    def __init__(self, services: FakeServices, **params: object) -> None:
        self.services = services
        self.module: HttpClient = services.load(HttpClient, **params)
        services.start()
        self.lua = LuaCalls(services, [self.module])
        self.context: Context = invite()

    def __call__(self, call: str) -> tuple[object, object]:
        """Return what a function returned and what $var(r) then holds, "old" before."""
        self.context = invite()
        self.context.variables[b"r"] = b"old"
        returned = self.lua(self.context, f"return KSR.http_client.{call}")
        return returned, self.context.variables.get(b"r")

    def read(self, variable: str) -> object:
        return self.services.variables.accessors[variable.encode()].get(self.context)


# What Debian's Kamailio 5.6.3 returns and stores for the same.
KAMAILIO = [
    ("/lines", 200, b"line1\r"),
    ("/404", 404, b"not here"),
    ("/500", 500, b""),
    ("/302", 302, b"mv"),
    ("/empty", 200, b""),
    ("/a b", 3, b""),
]


@pytest.mark.parametrize(("path", "status", "result"), KAMAILIO)
def test_query(
    services: FakeServices, server: HttpServer, path: str, status: int, result: bytes
) -> None:
    assert World(services)(f'query("{server.url}{path}", "$var(r)")') == (status, result)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("", 3), ("http://", 3), ("ftp://127.0.0.1/", 1), ("http://nosuch.invalid/", 6),
        ("http://127.0.0.1:1/", 7), ("http://127.0.0.1:99999/", 3), ("http://\\0x/", 3),
    ],
)  # fmt: skip
def test_a_query_that_fails(services: FakeServices, url: str, error: int) -> None:
    world = World(services)
    assert world(f'query("{url}", "$var(r)")') == (error, b"")
    assert world.read("$http_ok") == 0
    assert world.read("$http_err") == world.read(f"$curlerror({error})")
    assert world.read("$http_rs") is None
    assert services.statistics.counts["httpclient:connfail"] == 1


def test_a_url_without_a_scheme_is_http(services: FakeServices, server: HttpServer) -> None:
    assert World(services)(f'query("127.0.0.1:{server.port}/lines", "$var(r)")')[0] == 200


def test_a_variable_that_cannot_be_written(services: FakeServices, server: HttpServer) -> None:
    world = World(services)
    for target in ("$var(", "$ci", "$nosuch", ""):
        assert world(f'query("{server.url}/lines", "{target}")')[0] == -1
        assert world(f'query_post("{server.url}/lines", "x", "{target}")')[0] == -1
    assert server.asked == []


def test_what_a_query_sends(services: FakeServices, server: HttpServer) -> None:
    World(services)(f'query("{server.url}/x?a=b%20c&d=$%C3%A9", "$var(r)")')
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", "/x?a=b%20c&d=$%C3%A9")
    assert asked.headers == {
        "host": f"127.0.0.1:{server.port}", "user-agent": PRODUCT, "accept": "*/*",
        "connection": "close",
    }  # fmt: skip


def test_query_post(services: FakeServices, server: HttpServer) -> None:
    world = World(services)
    assert world(f'query_post("{server.url}/p", "a=1", "$var(r)")') == (200, b"ok a=1")
    assert world(f'query_post("{server.url}/p", "", "$var(r)")') == (200, b"ok ")
    post, get = server.asked
    assert (post.method, post.body) == ("POST", b"a=1")
    assert post.headers["content-type"] == "application/x-www-form-urlencoded"
    assert get.method == "GET"


def test_headers(services: FakeServices, server: HttpServer) -> None:
    world = World(services)
    lines = "Content-Type: application/json\\r\\nX-A: b\\nX-A: c\\nUser-Agent: me\\nbad"
    call = f'query_post_hdrs("{server.url}/p", "{{}}", "{lines}", "$var(r)")'
    assert world(call) == (200, b"ok {}")
    (asked,) = server.asked
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["user-agent"] == "me"
    assert asked.headers["x-a"] == "c"
    call = f'query_post_hdrs("{server.url}/p", "", "X-C: \\0", "$var(r)")'
    assert world(call) == (3, b"")


def test_get_hdrs(services: FakeServices, server: HttpServer) -> None:
    world = World(services)
    call = f'get_hdrs("{server.url}/g", "body", "X-B: c", "$var(r)")'
    assert world(call) == (200, b"ok body")
    (asked,) = server.asked
    assert (asked.method, asked.body, asked.headers["x-b"]) == ("GET", b"body", "c")


def test_request(services: FakeServices, server: HttpServer) -> None:
    world = World(services)
    for name in ("request", "query_request"):
        call = f'{name}("PUT", "{server.url}/u", "x", "X-B: c", "$var(r)")'
        assert world(call) == (200, b"ok x")
    assert [asked.method for asked in server.asked] == ["PUT", "PUT"]


def test_the_guides_form(services: FakeServices, server: HttpServer) -> None:
    world = World(services)
    assert world(f"query('{server.url}/c', '{{\"a\":1}}')") == (b'ok {"a":1}', b"old")
    assert server.asked[-1].headers["content-type"] == "application/json"
    server.answer("/two", body=b"one\ntwo")
    assert world(f'query("{server.url}/two", "a=b")')[0] == b"one\ntwo"
    assert server.asked[-1].headers["content-type"] == "application/x-www-form-urlencoded"
    for path in ("/404", "/500", "/302"):
        assert world(f'query("{server.url}{path}", "x")')[0] is None
    assert world('query("http://127.0.0.1:1/", "x")')[0] is None
    assert world("query('', 'x')")[0] is None


def test_get_and_post_return_the_body(services: FakeServices, server: HttpServer) -> None:
    world = World(services)
    assert world(f'get("{server.url}/lines")') == (b"line1\r\nline2\n", b"old")
    assert world(f'get("{server.url}/404")')[0] is None
    assert world(f'get("{server.url}/404", "$var(r)")') == (404, b"not here")
    assert world(f'post("{server.url}/p", "x")') == (b"ok x", b"old")
    assert world(f'post("{server.url}/p", "x", "$var(r)")') == (200, b"ok x")
    assert world(f'post("{server.url}/p", "")') == (b"ok ", b"old")
    assert [a.method for a in server.asked] == ["GET", "GET", "GET", "POST", "POST", "POST"]


def test_query_result_and_sizes(services: FakeServices, server: HttpServer) -> None:
    server.answer("/big", body=b"x" * 1000)
    world = World(services, query_result=0, query_maxdatasize=11, maxdatasize=5,
                  httpcon=[f"c=>{server.url}", f"d=>{server.url};maxdatasize=7"])  # fmt: skip
    assert world(f'query("{server.url}/lines", "$var(r)")') == (200, b"line1\r\nline")
    assert world(f'query("{server.url}/big", "$var(r)")') == (200, b"x" * 11)
    assert world('curl_connect("c", "/big", "$var(r)")') == (200, b"x" * 5)
    assert world('curl_connect("d", "/big", "$var(r)")') == (200, b"x" * 7)


def test_a_body_without_end_is_an_error(
    services: FakeServices, server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import kamailiod.modules.http_requests.exchange as exchange

    monkeypatch.setattr(exchange, "LONGEST_BODY", 100_000)
    server.answer("/huge", body=b"x" * 200_000)
    assert World(services)(f'query("{server.url}/huge", "$var(r)")') == (23, b"")


def test_redirects(services: FakeServices, server: HttpServer) -> None:
    server.answer("/loop", 302, Location="/loop")
    server.answer("/ftp", 302, Location="ftp://127.0.0.1/")
    world = World(services, httpredirect=1)
    assert world(f'query("{server.url}/302", "$var(r)")') == (200, b"line1\r")
    assert world(f'query("{server.url}/loop", "$var(r)")') == (47, b"")
    assert world(f'query("{server.url}/ftp", "$var(r)")') == (1, b"")


@pytest.mark.parametrize("params", [{"connection_timeout": 1},
                                    {"connection_timeout": 100, "timeout_mode": 2}])  # fmt: skip
def test_a_server_that_hangs(
    services: FakeServices, server: HttpServer, params: dict[str, int]
) -> None:
    assert World(services, **params)(f'query("{server.url}/stall", "$var(r)")') == (28, b"")


class RawServer:
    """Takes one connection after the other and writes what it is given, then closes it."""

    def __init__(self, reply: bytes) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self._reply = reply
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.recv(65536)
            connection.sendall(self._reply)
            connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"", 52),
        (b"garbage\r\n\r\n", 8),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", 18),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 8),
    ],
)
def test_a_server_that_answers_nonsense(
    services: FakeServices, reply: bytes, error: int
) -> None:
    server = RawServer(reply)
    assert World(services)(f'query("{server.url}", "$var(r)")') == (error, b"")
    server.close()


def test_connections_by_name(services: FakeServices, server: HttpServer) -> None:
    world = World(
        services,
        useragent="me",
        httpcon=[
            f"one=>{server.url}/base;useragent=you",
            f"two => {server.url}",
        ],
    )
    assert world('curl_connect("one", "/x", "$var(r)")') == (200, b"ok ")
    assert world('curl_connect("one", "y?z", "$var(r)")') == (200, b"ok ")
    assert world('curl_connect("two", "/lines", "$var(r)")') == (200, b"line1\r\nline2\n")
    assert world('curl_connect("two", "", "$var(r)")') == (200, b"ok ")
    assert world('curl_connect("nosuch", "/x", "$var(r)")') == (-1, b"")
    assert world('curl_connect("one", "/x", "$ci")')[0] == -1
    assert [asked.path for asked in server.asked] == ["/base/x", "/base/y?z", "/lines", "/"]
    assert [asked.headers["user-agent"] for asked in server.asked] == ["you", "you", "me", "me"]
    world('curl_connect_post("two", "/p", "application/json", "{}", "$var(r)")')
    world('curl_connect_post("two", "/p", "", "{}", "$var(r)")')
    typed, untyped = server.asked[-2:]
    assert (typed.method, typed.headers["content-type"]) == ("POST", "application/json")
    assert "content-type" not in untyped.headers and untyped.body == b"{}"


def test_failover(services: FakeServices, server: HttpServer) -> None:
    dead = "http://127.0.0.1:1"
    world = World(services, httpcon=[
        f"dead=>{dead};failover=live", f"live=>{server.url}", f"sick=>{server.url}/x;failover=live",
        f"far=>{dead};failover=dead", f"lost=>{dead};failover=nosuch",
    ])  # fmt: skip
    server.answer("/x/lines", 503)
    assert world('curl_connect("dead", "/lines", "$var(r)")')[0] == 200
    assert world('curl_connect("sick", "/lines", "$var(r)")')[0] == 200
    assert world('curl_connect("far", "/lines", "$var(r)")') == (7, b"")
    assert world('curl_connect("lost", "/lines", "$var(r)")') == (7, b"")


def test_the_last_redirect(services: FakeServices, server: HttpServer, tmp_path: Path) -> None:
    module = services.load(
        HttpClient, httpcon=[f"one=>{server.url};httpredirect=1", f"two=>{server.url}"]
    )
    services.start()
    context = NativeCalls(services, [module], tmp_path, """
request_route {
    http_connect("one", "/302", "$var(r)");
    http_get_redirect("one", "$var(u)");
    $var(a) = $rc;
    http_get_redirect("two", "$var(v)");
    $var(b) = $rc;
    http_get_redirect("nosuch", "$var(w)");
    $var(c) = $rc;
}
""").run(invite())  # fmt: skip
    found = context.variables
    assert found[b"u"] == f"{server.url}/lines".encode()
    assert (found[b"a"], found[b"b"], found[b"c"]) == (1, 1, -1)
    assert found[b"v"] == found[b"w"] == b""


def test_native_functions(services: FakeServices, server: HttpServer, tmp_path: Path) -> None:
    module = services.load(HttpClient, httpcon=[f"one=>{server.url}"])
    services.start()
    url = server.url
    context = NativeCalls(services, [module], tmp_path, f"""
request_route {{
    http_client_query("{url}/$rU", "$var(a)");
    $var(rc) = $rc;
    http_client_query("{url}/2", "a $ci", "$var(b)");
    http_client_query("{url}/3", "", "X-C: $ci", "$var(c)");
    http_client_get("{url}/4", "", "X-C: $ci", "$var(d)");
    http_client_request("DELETE", "{url}/5", "", "", "$var(e)");
    http_connect("one", "/6", "$var(f)");
    http_connect("one", "/7", "text/plain", "$ci", "$var(g)");
    http_connect_raw("one", "/8", "text/plain", "$ci", "$var(h)");
    http_query("{url}/404", "$var(i)");
    $var(rc2) = $rc;
}}
""").run(invite())  # fmt: skip
    asked = [(a.method, a.path, a.body) for a in server.asked]
    assert asked == [
        ("GET", "/bob", b""), ("POST", "/2", b"a i"), ("GET", "/3", b""), ("GET", "/4", b""),
        ("DELETE", "/5", b""), ("GET", "/6", b""), ("POST", "/7", b"i"), ("POST", "/8", b"$ci"),
        ("GET", "/404", b""),
    ]  # fmt: skip
    assert server.asked[2].headers["x-c"] == server.asked[3].headers["x-c"] == "i"
    assert (context.variables[b"rc"], context.variables[b"rc2"]) == (200, 404)
    assert context.variables[b"g"] == b"ok i"


def test_a_config_file(services: FakeServices, server: HttpServer, tmp_path: Path) -> None:
    services.config_file = str(tmp_path / "kamailio.cfg")
    (tmp_path / "http.cfg").write_text(f"""
# connections
[api]
url = {server.url}/v1
username = "u"
password = p%1
authmethod = 1
timeout = 1
maxdatasize = 4
tlsversion = TLSv1.2
verify_peer = yes
keep_connections = 1
http_follow_redirect = no
failover = other
""")
    world = World(services, config_file="http.cfg")
    assert world('curl_connect("api", "/x", "$var(r)")') == (200, b"ok ")
    assert server.asked[0].headers["authorization"] == "Basic dTpwJTE="
    assert world.module.rpc_listcon() == [{"CONNECTION": {
        "NAME": "api", "SCHEMA": "http", "URI": f"127.0.0.1:{server.port}/v1", "USERNAME": "u",
        "PASSWORD": "******", "FAILOVER": "other", "TIMEOUT": 1,
    }}]  # fmt: skip


@pytest.mark.parametrize(
    "params",
    [
        {"httpcon": ["nothing"]}, {"httpcon": ["a=>host"]}, {"httpcon": ["=>http://x"]},
        {"httpcon": ["a=>http://x;nosuch=1"]}, {"httpcon": ["a=>http://x;timeout=soon"]},
        {"config_file": "/nowhere/http.cfg"},
    ],
)  # fmt: skip
def test_a_bad_definition_is_refused(services: FakeServices, params: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="http_client: "):
        services.load(HttpClient, **params)


def test_no_connection_to_list(services: FakeServices) -> None:
    with pytest.raises(RpcFault, match="No Connection Definitions"):
        World(services).module.rpc_listcon()


def _challenge(server: HttpServer, path: str, *challenges: str) -> None:
    from aiohttp import web

    async def handle(request: web.Request) -> web.Response:
        if "Authorization" in request.headers:
            return web.Response(body=b"in")
        response = web.Response(status=401)
        for challenge in challenges:
            response.headers.add("WWW-Authenticate", challenge)
        return response

    server.answers[path] = handle


def test_authentication(services: FakeServices, server: HttpServer) -> None:
    digest = 'Digest realm="d", nonce="abc", qop="auth,auth-int", opaque="o"'
    _challenge(server, "/both", 'Basic realm="b"', digest)
    _challenge(server, "/joined", f'Basic realm="b", {digest}')
    _challenge(server, "/basic", 'Basic realm="b"')
    at = server.url.replace("http://", "http://user:pw@")
    world = World(services, httpcon=[f"c=>{at}"], authmethod=3)
    for path in ("/both", "/joined"):
        assert world(f'curl_connect("c", "{path}", "$var(r)")') == (200, b"in")
        header = server.asked[-1].headers["authorization"]
        assert header.startswith('Digest username="user", realm="d", nonce="abc"'), header
        assert f'uri="{path}"' in header and "qop=auth," in header and 'opaque="o"' in header
    assert world('curl_connect("c", "/basic", "$var(r)")') == (200, b"in")
    assert server.asked[-1].headers["authorization"] == "Basic dXNlcjpwdw=="
    assert world(f'query("{at}/basic", "$var(r)")') == (200, b"in")
    assert world(f'query("{server.url}/basic", "$var(r)")') == (401, b"")
    assert "pw" not in "".join(services.lines)


def test_the_digest_is_right(services: FakeServices, server: HttpServer) -> None:
    """RFC 2617 3.5's user, checked by our own digests."""
    from kamailiod.sip.digest import first_hash, matches, parse_credentials

    _challenge(server, "/dir/index.html", 'Digest realm="testrealm@host.com", nonce="n", '
               'qop="auth", algorithm=SHA-256')  # fmt: skip
    at = server.url.replace("http://", "http://Mufasa:Circle%20Of%20Life@")
    assert World(services)(f'query("{at}/dir/index.html", "$var(r)")') == (200, b"in")
    credentials = parse_credentials(server.asked[-1].headers["authorization"].encode())
    assert credentials is not None
    ha1 = first_hash(b"SHA-256", b"Mufasa", b"testrealm@host.com", b"Circle Of Life")
    assert matches(credentials, b"SHA-256", ha1, b"GET")


def test_a_proxy(services: FakeServices, server: HttpServer) -> None:
    proxy = f"http://127.0.0.1:{server.port}"
    world = World(services, httpproxy=proxy, httpcon=["c=>http://far.invalid/x"])
    assert world('query("http://far.invalid/lines", "$var(r)")')[0] == 200
    assert server.asked[-1].headers["host"] == "far.invalid"
    assert world('curl_connect("c", "/x", "$var(r)")') == (6, b"")


def test_a_proxy_with_its_port_apart(services: FakeServices, server: HttpServer) -> None:
    world = World(services, httpproxy="127.0.0.1", httpproxyport=server.port,
                  httpcon=["c=>http://far.invalid", "d=>http://far.invalid"])  # fmt: skip
    assert world('curl_connect("c", "/lines", "$var(r)")')[0] == 200
    assert world('query("http://far.invalid/lines", "$var(r)")')[0] == 200


def test_a_proxy_that_is_not_there(services: FakeServices) -> None:
    assert World(services, httpproxy="http://127.0.0.1:1")('query("http://x/", "$var(r)")')[0] == 7


def test_a_proxy_without_an_address(services: FakeServices) -> None:
    world = World(services, httpproxy="http://nosuch.invalid")
    assert world('query("http://x/", "$var(r)")')[0] == 5


def test_static_records(services: FakeServices, server: HttpServer) -> None:
    services.network.resolver.add_static({b"api.example.com": [b"127.0.0.1"]})
    call = f'query("http://api.example.com:{server.port}/lines", "$var(r)")'
    assert World(services)(call)[0] == 200
    assert server.asked[0].headers["host"] == f"api.example.com:{server.port}"


def test_a_local_address(services: FakeServices, server: HttpServer) -> None:
    world = World(services, netinterface="lo")
    assert world(f'query("{server.url}/lines", "$var(r)")')[0] == 200


def test_a_local_address_that_is_none(services: FakeServices, server: HttpServer) -> None:
    world = World(services, netinterface="nosuch0")
    assert world(f'query("{server.url}/lines", "$var(r)")')[0] == 45


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate of localhost that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = str(folder / "key.pem"), str(folder / "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
         certificate, "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


@pytest.fixture
def tls_server(certificate: tuple[str, str]) -> Iterator[HttpServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    with HttpServer(context) as started:
        yield started


@pytest.mark.parametrize(
    ("params", "host", "expected"),
    [
        ({}, "localhost", 60),
        ({"verify_peer": 0}, "localhost", 200),
        ({"cacert": "CERT"}, "localhost", 200),
        ({"cacert": "CERT"}, "127.0.0.1", 60),
        ({"cacert": "CERT", "verify_host": 0}, "127.0.0.1", 200),
        ({"cacert": "CERT", "tlsversion": 6}, "localhost", 200),
        ({"cacert": "CERT", "tlsversion": 7}, "localhost", 200),
        ({"cacert": "CERT", "tlsversion": 99}, "localhost", 200),
        ({"tlsversion": 2}, "localhost", 4),
        ({"cacert": "/nowhere.pem"}, "localhost", 77),
        ({"client_cert": "/nowhere.pem", "client_key": "/nowhere.pem"}, "localhost", 58),
        ({"cacert": "CERT", "client_cert": "CERT", "client_key": "KEY"}, "localhost", 200),
        ({"cipher_suites": "nosuch"}, "localhost", 59),
        ({"cacert": "CERT", "cipher_suites": "HIGH"}, "localhost", 200),
    ],
)  # fmt: skip
def test_tls(
    services: FakeServices, tls_server: HttpServer, certificate: tuple[str, str],
    params: dict[str, object], host: str, expected: int,
) -> None:  # fmt: skip
    named = {"CERT": certificate[0], "KEY": certificate[1]}
    given = {key: named.get(str(value), value) for key, value in params.items()}
    world = World(services, **given)
    assert world(f'query("https://{host}:{tls_server.port}/", "$var(r)")')[0] == expected


def test_tls_to_a_server_without(services: FakeServices, server: HttpServer) -> None:
    world = World(services)
    assert world(f'query("https://127.0.0.1:{server.port}/", "$var(r)")')[0] == 35


def test_a_request_before_the_fork(services: FakeServices, server: HttpServer) -> None:
    """mod_init has no loop: each request runs on one of its own, and leaves nothing behind."""
    world = World(services, keep_connections=1)
    assert services.loop is None
    for _ in range(2):
        wait = world.module.get(invite(), f"{server.url}/lines".encode())
        assert asyncio.run(wait.awaitable_factory()) == b"line1\r\nline2\n"  # type: ignore[attr-defined]  # a Wait
    assert len(server.connections) == 2


def test_kept_connections(services: FakeServices, server: HttpServer) -> None:
    world = World(services, keep_connections=1)

    async def ask() -> None:
        services.loop = asyncio.get_running_loop()
        for _ in range(3):
            wait = world.module.query(invite(), f"{server.url}/lines".encode(), b"$var(r)")  # type: ignore[arg-type]  # a Variable is bytes
            assert await wait.awaitable_factory() == 200  # type: ignore[attr-defined]  # a Wait

    asyncio.run(ask())
    services.loop = None
    assert len(server.connections) == 1


def test_a_kept_connection_that_has_ended(services: FakeServices) -> None:
    """The server closes after each answer without saying so."""
    server = RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    world = World(services, keep_connections=1)

    async def ask() -> None:
        services.loop = asyncio.get_running_loop()
        for _ in range(3):
            wait = world.module.query_post(invite(), server.url.encode(), b"x", b"$var(r)")  # type: ignore[arg-type]  # a Variable is bytes
            assert await wait.awaitable_factory() == 200  # type: ignore[union-attr]  # a Wait

    asyncio.run(ask())
    services.loop = None
    server.close()


def test_variables_of_the_answer(services: FakeServices, server: HttpServer) -> None:
    world = World(services)
    assert world.read("$http_rs") is None and world.read("$http_ok") is None
    server.answer("/v", 201, b"body", X_A="1", x_a="2")
    world(f'get("{server.url}/v")')
    names = ("$http_ok", "$http_rs", "$http_rr", "$http_rb", "$http_bs")
    assert [world.read(name) for name in names] == [
        1, 201, b"Created", b"body", 4,
    ]  # fmt: skip
    assert world.read("$http_err") is None
    assert world.read("$http_hdr(content-length)") == b"4"
    assert world.read("$http_hdr(nosuch)") is None
    whole = world.read("$http_mb")
    assert isinstance(whole, bytes) and whole.startswith(b"HTTP/1.1 201 Created\r\n")
    assert whole.endswith(b"\r\n\r\nbody") and world.read("$http_ml") == len(whole)
    total = world.read("$http_time(total)")
    assert isinstance(total, int) and 0 <= total < 5000


def test_curlerror(services: FakeServices) -> None:
    world = World(services)
    expected = {
        "0": b"No error", "7": b"Couldn't connect to server", "28": b"Timeout was reached",
        "200": b"HTTP result code", "-1": b"Bad CURL error code", "x": b"No error",
    }  # fmt: skip
    assert {n: world.read(f"$curlerror({n})") for n in expected} == expected
    world.context.variables[b"e"] = 7
    assert world.read("$curlerror($var(e))") == expected["7"]


def test_counters(services: FakeServices, server: HttpServer) -> None:
    world = World(services, httpcon=[f"c=>{server.url}"])
    world.module.child_init(0)
    world(f'get("{server.url}/lines")')
    world(f'get("{server.url}/404")')
    world('get("http://127.0.0.1:1/")')
    counts = services.statistics.counts
    assert (counts["httpclient:connok"], counts["httpclient:connfail"]) == (1, 2)
    assert counts["httpclient:connections"] == 1


def test_secrets_are_not_logged(services: FakeServices) -> None:
    World(services)('query("http://me:hidden@127.0.0.1:1/x?key=secret", "$var(r)")')
    text = "".join(services.lines)
    assert "127.0.0.1:1/x" in text and "secret" not in text and "hidden" not in text
