"""The guide's scripts 10 and 24, bit exact, with a real HTTP server behind the names they use.

The URLs of the guide have no port: the server listens on port 80 of a loopback address.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.sip_client import Peer
from tests.end_to_end.waiting import wait_until
from tests.http_server import HttpServer

MakePhone = Callable[..., Peer]
GUIDE = Path(__file__).with_name("guide")
ADDRESS = "127.0.0.80"
MODULES = f"""
debug=2
log_stderror=yes
loadmodule "http_client.so"
loadmodule "http_async_client.so"
loadmodule "corex.so"
modparam("corex", "dns_cache", "name=api.example.com;addr={ADDRESS}")
modparam("http_client", "connection_timeout", 1)
"""


@pytest.fixture
def api() -> Iterator[HttpServer]:
    """What api.example.com is."""
    try:
        server = HttpServer(host=ADDRESS, port=80)
    except OSError as error:
        pytest.skip(f"port 80 of {ADDRESS} is not free for us: {error}")
    with server as started:
        started.answer("/check", body=b'{"allow":true}', Content_Type="application/json")
        yield started


class GuideServer:
    """Starts the guide's own kamailio.cfg with one of its scripts and the lines of a test."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack

    def __call__(self, number: str, loader: str, children: int = 1) -> RunningServer:
        (script,) = GUIDE.glob(f"{number}-*")
        (config,) = GUIDE.glob("02-*")
        text = config.read_text().replace(
            "/etc/kamailio/scripts/main.lua", str(self._folder / "main.lua")
        )
        text += MODULES + f'modparam("app_lua", "load", "{script.name}")\n'
        files: dict[str, Path | str] = {script.name: script, "main.lua": loader}
        return self._stack.enter_context(
            RunningServer(self._folder, text, files=files, children=children)
        )


@pytest.fixture
def start(tmp_path: Path, stack: ExitStack) -> GuideServer:
    return GuideServer(tmp_path, stack)


CHECKED = """
KSR = require("KSR")
function handle_request()
    if KSR.is_OPTIONS() then
        KSR.sl.send_reply(200, "OK")
    elseif KSR.is_INVITE() then
        local answer = check_external_api(KSR.pv.get("$fU"), KSR.pv.get("$rU"))
        if answer == nil then
            KSR.sl.send_reply(503, "No answer")
        elseif string.find(answer, '"allow":true', 1, true) then
            KSR.sl.send_reply(486, "Allowed")
        else
            KSR.sl.send_reply(403, "Forbidden")
        end
    end
end
"""


def test_asking_an_api(start: GuideServer, phone: MakePhone, api: HttpServer) -> None:
    """Script 10: check_external_api returns what the API answers to what it posts."""
    alice = phone(start("10", CHECKED))
    call = alice.invite("bob")
    alice.ack_failure(call, alice.expect(486, call_id=call.call_id))
    (asked,) = api.asked
    assert (asked.method, asked.path) == ("POST", "/check")
    assert json.loads(asked.body) == {"caller": "alice", "callee": "bob"}
    assert asked.headers["host"] == "api.example.com"
    assert asked.headers["content-type"] == "application/json"
    api.answer("/check", body=b'{"allow":false}')
    refused = alice.invite("bob")
    alice.ack_failure(refused, alice.expect(403, call_id=refused.call_id))


def test_an_api_that_fails(start: GuideServer, phone: MakePhone, api: HttpServer) -> None:
    """Script 10: nil for an error of the API, and for none within the time-out."""
    alice = phone(start("10", CHECKED))
    api.answer("/check", 500, b"oops")
    call = alice.invite("bob")
    alice.ack_failure(call, alice.expect(503, call_id=call.call_id))
    api.answers["/check"] = api.stall
    late = alice.invite("bob")
    wait_until(lambda: len(api.asked) == 2, "the second question")
    # The only worker answers others while the call waits.
    alice.ping()
    alice.ack_failure(late, alice.expect(503, call_id=late.call_id))
    api.answer("/check", body=b'{"allow":true}')
    healed = alice.invite("bob")
    alice.ack_failure(healed, alice.expect(486, call_id=healed.call_id))


SUSPENDED = """
KSR = require("KSR")
function handle_request()
    if not KSR.is_INVITE() then return end
    handle_invite()
    local index, label = KSR.pv.get("$T(id_index)"), KSR.pv.get("$T(id_label)")
    local verdict = check_external_api(KSR.pv.get("$fU"), KSR.pv.get("$rU"))
    KSR.pv.sets("$avp(verdict)", verdict or "none")
    KSR.info("continued: " .. KSR.tm.t_continue(index, label, "http_callback") .. "\\n")
end
function http_callback()
    KSR.info(KSR.pv.get("$avp(caller)") .. " calls " .. KSR.pv.get("$avp(callee)") .. ": " ..
        KSR.pv.get("$avp(verdict)") .. "\\n")
    KSR.tm.t_reply(480, "Called back")
end
"""


def test_suspending_for_an_answer(start: GuideServer, phone: MakePhone, api: HttpServer) -> None:
    """Script 10's handle_invite puts the transaction aside, and http_callback ends it."""
    server = start("10", SUSPENDED)
    alice = phone(server)
    call = alice.invite("bob")
    alice.expect(100)
    alice.ack_failure(call, alice.expect(480, call_id=call.call_id))
    server.wait_for_log(r'alice calls bob: {"allow":true}')
    server.wait_for_log("continued: 1")


PROCESSED = """
KSR = require("KSR")
function basic_check() return KSR.pv.get("$rU") ~= "nobody" end
function http_async_call(path)
    KSR.tm.t_newtran()
    KSR.http_async_client.query("http://api.example.com" .. path, "http_callback")
end
function http_callback()
    if KSR.pv.get("$http_ok") == 1 then
        KSR.tm.t_reply(KSR.pv.get("$http_rs") + 280, KSR.pv.get("$http_rb"))
    else
        KSR.tm.t_reply(503, KSR.pv.get("$http_err"))
    end
end
function handle_request()
    if KSR.is_OPTIONS() then
        KSR.sl.send_reply(200, "OK")
    elseif KSR.is_INVITE() then
        handle_invite()
    end
end
"""


def test_delegating_to_a_service(start: GuideServer, phone: MakePhone, api: HttpServer) -> None:
    """Script 24: handle_invite gives the heavy work to an HTTP service."""
    alice = phone(start("24", PROCESSED))
    api.answer("/api/process", body=b"Processed")
    call = alice.invite("bob")
    answer = alice.expect(480, call_id=call.call_id)
    assert answer.start == "SIP/2.0 480 Processed"
    alice.ack_failure(call, answer)
    api.answers["/api/process"] = api.stall
    late = alice.invite("bob")
    alice.ping()
    answer = alice.expect(503, call_id=late.call_id)
    assert answer.start == "SIP/2.0 503 Timeout was reached"
    alice.ack_failure(late, answer)
    assert [asked.path for asked in api.asked] == ["/api/process"] * 2
