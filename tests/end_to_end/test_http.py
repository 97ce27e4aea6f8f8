"""Metrics, health and RPC over HTTP, and kamailiod-ctl."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.end_to_end.embedded_default import embedded_default
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.sip_client import Peer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with embedded_default(tmp_path, http=True) as running:
        yield running


@pytest.fixture
def phones(server: RunningServer, stack: ExitStack) -> tuple[Peer, Peer]:
    """Alice and bob, added by kamailiod-ctl and registered."""
    found = []
    for user in ("alice", "bob"):
        server.ctl("add", user, "secret")
        found.append(stack.enter_context(Peer((server.host, server.port), user)))
        found[-1].register("secret")
    return found[0], found[1]


def get(server: RunningServer, path: str) -> tuple[int, str]:
    url = f"http://{server.host}:{server.http_port}{path}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.status, answer.read().decode()


def samples(server: RunningServer) -> dict[str, float]:
    """Return the sum of each metric over its labels."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(get(server, "/metrics")[1]):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def test_health(server: RunningServer) -> None:
    assert get(server, "/health")[0] == 200


def test_metrics_count_what_happened(server: RunningServer, phones: tuple[Peer, Peer]) -> None:
    alice, bob = phones
    alice.invite("bob")
    bob.reply(bob.expect("INVITE"), 486)
    bob.expect("ACK")
    found = samples(server)
    requests = next(name for name in found if name.endswith("requests_total"))
    assert found[requests] >= 5
    text = get(server, "/metrics")[1]
    assert 'method="REGISTER"' in text
    assert 'method="INVITE"' in text


def test_subscribers(server: RunningServer) -> None:
    server.ctl("add", "alice", "open-sesame")
    server.ctl("add", "bob", "open-sesame")
    assert {"alice", "bob"} <= set(server.ctl("list").split())
    server.ctl("rm", "bob")
    assert "bob" not in server.ctl("list")
    assert "open-sesame" not in server.log() + server.ctl("list")


def test_a_call_is_shown(server: RunningServer, phones: tuple[Peer, Peer]) -> None:
    alice, bob = phones
    assert alice.uri in server.ctl("online")
    assert bob.uri in server.ctl("ul", "show", "bob")
    call = alice.invite("bob")
    invite = bob.expect("INVITE")
    bob.reply(invite, 200)
    dialog = alice.answered(call, alice.expect(200, call_id=call.call_id))
    bob.expect("ACK")
    assert call.call_id in server.ctl("dlg", "list")
    alice.request("BYE", dialog)
    bob.reply(bob.expect("BYE"), 200)
    alice.expect(200)
    assert "2xx" in server.ctl("rpc", "tm.stats")


def test_processes_and_uptime(server: RunningServer) -> None:
    listed = server.ctl("ps")
    for process in server.processes():
        assert str(process.pid) in listed
    assert server.ctl("uptime")
    assert server.ctl("rpc", "core.ps")


def test_a_contact_is_forgotten(server: RunningServer, phones: tuple[Peer, Peer]) -> None:
    server.ctl("ul", "rm", "bob")
    assert "bob" not in server.ctl("online")


def test_an_unknown_method(server: RunningServer) -> None:
    with pytest.raises(AssertionError, match="error"):
        server.ctl("rpc", "no.such")


def test_the_script_is_reloaded(server: RunningServer) -> None:
    script = server.folder / "deploy/pbx.lua"
    script.write_text(script.read_text().replace('"Forbidden"', '"Reloaded"'))
    server.ctl("reload")
    with Peer((server.host, server.port)) as peer:
        for number in range(200):
            if peer.ping(f"{number}-reload-0123456789").start.endswith("Reloaded"):
                return
    raise AssertionError("the old script still answers")


def test_the_http_port_is_taken(
    server: RunningServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    second = embedded_default(tmp_path_factory.mktemp("second"), http=True)
    command = [
        word.replace(str(second.http_port), str(server.http_port)) for word in second.command
    ]
    done = subprocess.run(command, cwd=second.folder, capture_output=True, text=True, timeout=15)
    assert done.returncode == 255
    assert f":{server.http_port}" in done.stderr
    assert second.segments() == []
