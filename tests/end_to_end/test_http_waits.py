"""Calls that wait for an HTTP answer: CANCEL, retransmissions, dead servers, statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.end_to_end.kemi import Kemi
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.sip_client import Peer
from tests.end_to_end.waiting import wait_until
from tests.http_server import HttpServer

MakePhone = Callable[..., Peer]
MORE = """
loadmodule "http_client.so"
modparam("http_client", "connection_timeout", 2)
"""
ASKING = """
function new_call()
    local status = KSR.http_client.query("%s/route", "$var(place)")
    KSR.info("asked: " .. status .. " " .. KSR.pv.get("$var(place)") .. "\\n")
    if status ~= 200 then
        KSR.sl.send_reply(500, "Error " .. status)
        return
    end
    KSR.pv.sets("$ru", target(KSR.pv.get("$rU")))
    KSR.tm.t_relay()
end
"""


@pytest.fixture
def api() -> Iterator[HttpServer]:
    with HttpServer() as started:
        yield started


def test_other_calls_go_on(kemi: Kemi, phone: MakePhone, api: HttpServer) -> None:
    """Ten calls wait in one worker at the same time."""
    api.slow("/route", 0.5, b"here")
    server = kemi(ASKING % api.url, more=MORE, children=1)
    alice, bob = phone(server), phone(server, "bob")
    calls = [alice.invite(f"bob+{bob.port}") for _ in range(10)]
    wait_until(lambda: len(api.asked) == 10, "ten questions")
    alice.ping()
    invites = [bob.expect("INVITE") for _ in calls]
    for invite in invites:
        bob.reply(invite, 486)
    for call in calls:
        alice.ack_failure(call, alice.expect(486, call_id=call.call_id))
    server.wait_for_log("asked: 200 here", count=10)


def test_retransmissions_ask_once(kemi: Kemi, phone: MakePhone, api: HttpServer) -> None:
    api.slow("/route", 0.4, b"here")
    alice, bob = phone(server := kemi(ASKING % api.url, more=MORE)), phone(server, "bob")
    call = alice.new_call(f"bob+{bob.port}")
    for _ in range(3):
        alice.request("INVITE", call, branch="z9hG4bKonce")
    invite = bob.expect("INVITE")
    alice.ping(call.call_id)
    bob.reply(invite, 486)
    alice.expect(486, call_id=call.call_id)
    assert len(api.asked) == 1


def test_a_cancel_ends_the_call(kemi: Kemi, phone: MakePhone, api: HttpServer) -> None:
    api.slow("/route", 0.6, b"here")
    alice, bob = phone(server := kemi(ASKING % api.url, more=MORE)), phone(server, "bob")
    call = alice.invite(f"bob+{bob.port}")
    wait_until(lambda: api.asked, "the question")
    alice.request("CANCEL", call, branch=call.branch)
    assert alice.expect(200).method == "CANCEL"
    alice.ack_failure(call, alice.expect(487, call_id=call.call_id))
    server.wait_for_log("asked: 200 here")
    alice.ping(call.call_id)
    assert not [m for m in bob.drain() if m.method == "INVITE"]


def test_a_server_that_hangs_dies_and_comes_back(kemi: Kemi, phone: MakePhone) -> None:
    with HttpServer() as first:
        port = first.port
        first.answers["/route"] = first.stall
        alice, bob = phone(server := kemi(ASKING % first.url, more=MORE)), phone(server, "bob")
        assert _failure(alice) == "SIP/2.0 500 Error 28"
    assert _failure(alice) == "SIP/2.0 500 Error 7"
    with HttpServer(port=port):
        call = alice.invite(f"bob+{bob.port}")
        bob.reply(bob.expect("INVITE"), 486)
        alice.ack_failure(call, alice.expect(486, call_id=call.call_id))


def _failure(alice: Peer) -> str:
    call = alice.invite("nobody")
    failure = alice.expect(500, call_id=call.call_id)
    alice.ack_failure(call, failure)
    return failure.start


NATIVE = """#!KAMAILIO
debug=2
log_stderror=yes
loadmodule "http_async_client.so"
loadmodule "http_client.so"
loadmodule "jansson.so"
loadmodule "json.so"
loadmodule "statistics.so"
modparam("http_async_client", "connection_timeout", 3000)
modparam("http_client", "httpcon", "api=>{url}/api;timeout=2")
request_route {{
    if (is_method("CANCEL")) {{
        if (t_relay_cancel()) exit;
        exit;
    }}
    if (is_method("INVITE")) {{
        t_newtran();
        $avp(caller) = $fU;
        $http_req(hdr) = "X-Call: " + $ci;
        $http_req(body) = '{{"user":"' + $rU + '"}}';
        http_async_query("{url}/route?u=$rU", "ANSWERED");
        xinfo("not queued\\n");
        sl_send_reply("500", "Not queued");
        exit;
    }}
    if (is_method("OPTIONS")) {{
        sl_send_reply("200", "OK");
        exit;
    }}
}}
route[ANSWERED] {{
    xinfo("answered $http_ok $http_rs [$http_rb] for $avp(caller)\\n");
    if (!$http_ok) {{
        t_reply("503", "$http_err");
        exit;
    }}
    jansson_get("code", "$http_rb", "$var(code)");
    http_connect("api", "/more", "$var(more)");
    t_reply("$var(code)", "$(var(more){{json.parse,why}})");
}}
"""


def test_a_native_config(
    tmp_path: Path, stack: ExitStack, phone: MakePhone, api: HttpServer
) -> None:
    api.answer("/route", body=b'{"code": 488}')
    api.answer("/api/more", body=b'{"why": "Not now"}')
    server = stack.enter_context(
        RunningServer(tmp_path, NATIVE.format(url=api.url), children=1, http=True)
    )
    alice = phone(server)
    call = alice.invite("bob")
    alice.expect(100)
    failure = alice.expect(488, call_id=call.call_id)
    assert failure.start == "SIP/2.0 488 Not now"
    alice.ack_failure(call, failure)
    assert api.asked[0].headers["x-call"] == call.call_id
    assert (api.asked[0].method, api.asked[0].body) == ("POST", b'{"user":"bob"}')
    server.wait_for_log(r'answered 1 200 \[\{"code": 488\}\] for alice')
    assert "not queued" not in server.log()
    api.answers["/route"] = api.stall
    late = alice.invite("bob")
    wait_until(lambda: len(api.asked) == 3, "the second question")
    alice.request("CANCEL", late, branch=late.branch)
    assert alice.expect(200).method == "CANCEL"
    alice.ack_failure(late, alice.expect(487, call_id=late.call_id))
    shown = server.ctl("rpc", "stats.get_statistics", "all")
    assert "http_async_client:requests = 2" in shown and "httpclient:connok = 1" in shown
    assert '"NAME": "api"' in server.ctl("rpc", "httpclient.listcon")
