"""The HTTP server over a real socket."""

import asyncio
import json
import os
import subprocess
import sys

import aiohttp
import pytest

from kamailiod.metrics.exposition import Exposition
from kamailiod.rpc.http import Health, HttpError, HttpServer, refuse_taken

ECHO = {"jsonrpc": "2.0", "method": "core.echo", "params": ["x"], "id": 1}


@pytest.fixture
def server(dispatcher, view):
    loop = asyncio.new_event_loop()
    exposition = Exposition(view.statistics, view.processes)
    made = HttpServer(dispatcher, exposition, Health(view.processes))
    made.start(loop, "127.0.0.1", 0)
    made.loop = loop
    yield made
    made.stop(loop)
    loop.close()


@pytest.fixture
def fetch(server):
    def send(method, path, **arguments):
        async def exchange():
            url = f"http://127.0.0.1:{server.port}{path}"
            async with aiohttp.request(method, url, **arguments) as response:
                return response.status, response.headers, await response.text()

        return server.loop.run_until_complete(exchange())

    return send


def test_a_call(fetch):
    status, headers, text = fetch("POST", "/rpc", json=ECHO)
    assert status == 200
    assert headers["Content-Type"].startswith("application/json")
    assert json.loads(text) == {"jsonrpc": "2.0", "result": ["x"], "id": 1}


@pytest.mark.parametrize(
    ("method", "status"), [("core.nope", 500), ("system.methodHelp", 400), ("core.uptime", 200)]
)
def test_the_status_is_the_faults_code(fetch, method, status):
    assert fetch("POST", "/rpc", json={**ECHO, "method": method, "params": []})[0] == status


def test_what_is_no_json(fetch):
    status, _, text = fetch("POST", "/rpc", data="x", headers={"Content-Type": "application/json"})
    assert status == 400
    assert json.loads(text)["error"]["message"] == "Parse error"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_what_a_web_form_can_send_is_refused(fetch, kind):
    status, _, _ = fetch("POST", "/rpc", data=json.dumps(ECHO), headers={"Content-Type": kind})
    assert status == 415


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:9494"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
        {"Host": "[::1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
def test_web_pages_are_refused(fetch, headers):
    assert fetch("POST", "/rpc", json=ECHO, headers=headers)[0] == 403


def test_names_of_this_machine_are_fine(fetch, server):
    for host in (f"localhost:{server.port}", "127.0.0.1", "[::1]:9494", "10.0.0.1:1"):
        assert fetch("POST", "/rpc", json=ECHO, headers={"Host": host})[0] == 200
    own = {"Host": "localhost:1", "Origin": "http://localhost:1"}
    assert fetch("POST", "/rpc", json=ECHO, headers=own)[0] == 200


def test_get_is_no_call(fetch):
    assert fetch("GET", "/rpc")[0] == 405


def test_a_huge_request_is_refused(fetch):
    assert fetch("POST", "/rpc", json={**ECHO, "params": ["x" * (1 << 20)]})[0] == 413


def test_metrics(fetch, statistics):
    statistics.open(1)
    statistics.counter("core:rcv_requests_invite")(2)
    status, headers, text = fetch("GET", "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert 'kamailiod_requests_total{method="INVITE",rank="1"} 2.0' in text


def test_index(fetch):
    assert "/metrics" in fetch("GET", "/")[2]


def test_health_names_what_is_missing(fetch, view):
    status, _, text = fetch("GET", "/health")
    assert status == 503
    assert json.loads(text) == {
        "status": "degraded",
        "workers": 2,
        "workers_alive": 1,
        "missing_ranks": [0, 2, -1, -2],
    }
    for index in range(5):
        view.processes.open(index)
    status, _, text = fetch("GET", "/health")
    assert (status, json.loads(text)["status"]) == (200, "ok")
    assert os.getpid() == view.processes.entries()[2].pid


def test_a_busy_port_is_told(server, dispatcher, view):
    other = HttpServer(dispatcher, None, Health(view.processes))
    with pytest.raises(HttpError) as caught:
        other.start(server.loop, "127.0.0.1", server.port)
    message = f"cannot serve HTTP on 127.0.0.1:{server.port}: Address already in use"
    assert str(caught.value) == message
    with pytest.raises(HttpError) as caught:
        refuse_taken("127.0.0.1", server.port)
    assert str(caught.value) == message


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-name.invalid"])
def test_an_address_that_is_not_ours(host):
    with pytest.raises(HttpError, match=f"cannot serve HTTP on {host}:0: "):
        refuse_taken(host, 0)


def test_a_free_address_is_fine():
    refuse_taken("127.0.0.1", 0)


def test_the_supervisor_loads_nothing_heavy_for_it():
    loaded = "import sys, kamailiod.rpc.http, kamailiod.rpc.core_commands; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert "kamailiod.rpc.http" in modules.stdout
    assert not {"aiohttp", "prometheus_client", "psutil"} & set(modules.stdout.split())
