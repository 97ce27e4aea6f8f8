"""tm's further functions from Lua: switches, lifetime, next hops, serial forking, own requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kamailiod.modules.tmx import Tmx
from kamailiod.script.context import Branch, Context
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.script.proxy_world import ProxyWorld

Script = Callable[[Context], object]


@pytest.fixture
def world(services: FakeServices) -> Iterator[ProxyWorld]:
    services.settings.call_id_hash_offset = 0
    found = ProxyWorld(services)
    yield found
    found.assert_empty()


@pytest.fixture
def lua(world: ProxyWorld, services: FakeServices) -> LuaCalls:
    return LuaCalls(services, [world.tm, services.load(Tmx)])


def script(world: ProxyWorld, route: Script) -> None:
    world.script.request_route = lambda context: bool(route(context)) and None


def test_no_100(world: ProxyWorld, lua: LuaCalls) -> None:
    def route(context: Context) -> None:
        assert lua(context, "return KSR.tm.t_set_auto_inv_100(0)") == 1
        world.relay(context)

    script(world, route)
    world.invite()
    assert world.codes == []
    world.answer(486)
    assert world.finals == [486]
    world.request(b"ACK")


@pytest.mark.parametrize(("off", "final"), [(1, 404), (0, 603)])
def test_6xx_is_like_others_when_disabled(
    world: ProxyWorld, lua: LuaCalls, off: int, final: int
) -> None:
    def route(context: Context) -> None:
        assert lua(context, f"return KSR.tm.t_set_disable_6xx({off})") == 1
        assert lua(context, "return KSR.tm.t_set_disable_failover(1)") == 1
        world.relay(context, (6001, 6002))

    script(world, route)
    world.invite()
    world.answer(180, port=6002)
    world.answer(603, port=6001)
    assert (b"CANCEL" in world.methods(6002)) is not bool(off)
    world.answer(404, port=6002)
    assert world.finals == [final]
    world.request(b"ACK")
    if not off:
        world.answer(200, port=6002, method=b"CANCEL")


def test_a_cancels_reason_stays_here(world: ProxyWorld, lua: LuaCalls) -> None:
    def route(context: Context) -> None:
        if context.message.method == b"INVITE":
            assert lua(context, "return KSR.tm.t_set_no_e2e_cancel_reason(1)") == 1
        world.relay(context)

    script(world, route)
    world.invite()
    world.answer(180)
    world.request(b"CANCEL", more=b"Reason: SIP;cause=200\r\n")
    (cancel,) = world.to(6001, b"CANCEL")
    assert cancel.header(b"reason") is None
    world.answer(200, method=b"CANCEL")
    world.answer(487)
    world.request(b"ACK")


@pytest.mark.parametrize(("off", "codes"), [(1, []), (0, [478])])
def test_a_failed_relay_is_not_answered(
    world: ProxyWorld, lua: LuaCalls, off: int, codes: list[int]
) -> None:
    def route(context: Context) -> None:
        lua(context, f"assert(KSR.tm.t_set_disable_internal_reply({off}) == 1)")
        world.tm.t_newtran(context)
        context.set_uri(b"tel:123")
        assert world.relay(context) < 0

    script(world, route)
    world.request(b"OPTIONS", uri=b"sip:b@127.0.0.1:6001")
    assert world.finals == codes


@pytest.mark.parametrize("early", [True, False])
def test_a_lifetime(world: ProxyWorld, lua: LuaCalls, early: bool) -> None:
    contexts = []

    def route(context: Context) -> None:
        contexts.append(context)
        if not early:
            world.tm.t_newtran(context)
        assert lua(context, "return KSR.tm.t_set_max_lifetime(3000, 1000)") == 1
        world.relay(context)

    script(world, route)
    world.invite()
    world.answer(180)
    world.pass_time(2.5)
    assert world.finals == []
    assert lua(contexts[0], "return KSR.tm.t_is_expired()") == -1
    world.pass_time(1.0)
    assert lua(contexts[0], "return KSR.tm.t_is_expired()") == 1
    assert world.finals == [408]
    world.request(b"ACK")
    world.answer(200, method=b"CANCEL")


def test_a_lifetime_can_be_taken_back(world: ProxyWorld, lua: LuaCalls) -> None:
    def route(context: Context) -> None:
        lua(context, "KSR.tm.t_set_max_lifetime(1000, 1000)")
        world.relay(context)
        assert lua(context, "return KSR.tm.t_reset_max_lifetime()") == 1

    script(world, route)
    world.invite()
    world.answer(180)
    world.pass_time(2.0)
    assert world.finals == []
    world.answer(486)
    world.request(b"ACK")


@pytest.mark.parametrize(
    ("call", "port", "transport"),
    [
        ('t_relay_to_proxy("udp:127.0.0.1:6009")', 6009, b"udp"),
        ('t_relay_to_proxy("127.0.0.1:6009")', 6009, b"udp"),
        ('t_relay_to_proxy_flags("127.0.0.1:6009", 1)', 6009, b"udp"),
        ("t_relay_to_flags(1)", 6001, b"udp"), ('t_relay_to_proto("udp")', 6001, b"udp"),
        ('t_relay_to_proto_addr("udp", "127.0.0.1", 6009)', 6009, b"udp"),
    ],
)  # fmt: skip
def test_another_next_hop(
    world: ProxyWorld, lua: LuaCalls, call: str, port: int, transport: bytes
) -> None:
    script(world, lambda context: lua(context, f"assert(KSR.tm.{call} == 1)"))
    world.invite()
    (sent,) = world.to(port, b"INVITE")
    assert sent.uri_text == b"sip:b@127.0.0.1:6001"
    assert (100 in world.codes) is ("flags" not in call)
    world.answer(486, port=port)
    world.request(b"ACK")


def test_next_hops_that_are_none(world: ProxyWorld, lua: LuaCalls) -> None:
    def route(context: Context) -> None:
        for call in ('t_relay_to_proxy("no host")', 't_relay_to_proto("zz")',
                     't_relay_to_proto_addr("udp", "", 1)'):  # fmt: skip
            assert lua(context, f"return KSR.tm.{call}") == -1
        world.relay(context)

    script(world, route)
    world.request(b"OPTIONS")
    world.answer(200, method=b"OPTIONS")
    assert world.finals == [200]


def test_a_copy_for_another_server(world: ProxyWorld, lua: LuaCalls) -> None:
    def route(context: Context) -> None:
        assert lua(context, 'return KSR.tm.t_replicate("sip:127.0.0.1:6005")') == 1
        assert lua(context, 'return KSR.tm.t_replicate("nonsense")') == -1
        world.tm.t_reply(context, 200, b"OK")

    script(world, route)
    world.request(b"REGISTER")
    (copy,) = world.to(6005)
    assert (copy.method, copy.uri_text) == (b"REGISTER", b"sip:127.0.0.1:6005")
    world.answer(500, port=6005, method=b"REGISTER")
    assert world.finals == [200]


def test_serial_forking(world: ProxyWorld, lua: LuaCalls) -> None:
    results = []

    def route(context: Context) -> None:
        context.set_uri(b"sip:b@127.0.0.1:6001")
        context.shared.notes["ruri_q"] = 900
        context.branches = [
            Branch(b"sip:b@127.0.0.1:6003", q=100), Branch(b"sip:b@127.0.0.1:6002", q=900),
        ]  # fmt: skip
        assert lua(context, "return KSR.tm.t_load_contacts()") == 1
        results.append(lua(context, "return KSR.tm.t_next_contacts()"))
        found = [(context.uri, [branch.uri for branch in context.branches])]
        results.append(lua(context, "return KSR.tm.t_next_contacts()"))
        found.append((context.uri, [branch.uri for branch in context.branches]))
        results.append(lua(context, "return KSR.tm.t_next_contacts()"))
        assert found == [
            (b"sip:b@127.0.0.1:6001", [b"sip:b@127.0.0.1:6002"]), (b"sip:b@127.0.0.1:6003", []),
        ]  # fmt: skip

    script(world, route)
    world.request(b"OPTIONS")
    assert results == [1, 1, -2]


def test_contacts_one_by_one_or_all_the_same(world: ProxyWorld, lua: LuaCalls) -> None:
    def route(context: Context) -> None:
        context.branches = [Branch(b"sip:b@127.0.0.1:6002")]
        lua(context, "assert(KSR.tm.t_load_contacts() == 1 and KSR.tm.t_next_contacts() == 1)")
        assert [branch.uri for branch in context.branches] == [b"sip:b@127.0.0.1:6002"]
        lua(context, "assert(KSR.tm.ki_t_load_contacts_mode(1) == 1)")
        lua(context, "assert(KSR.tm.t_next_contacts() == 1)")
        assert context.branches == []

    script(world, route)
    world.request(b"OPTIONS")


def test_a_request_of_the_scripts(world: ProxyWorld, lua: LuaCalls) -> None:
    call = 'return KSR.tm.t_uac_send("MESSAGE", "sip:z@h", "sip:127.0.0.1:6007", "", {}, "hi")'
    results: list[Any] = []

    def route(context: Context) -> None:
        headers = '"From: <sip:me@h>\\r\\nContent-Type: text/plain\\r\\nCSeq: 7 MESSAGE\\r\\n"'
        results.append(lua(context, call.format(headers)))
        results.append(lua(context, call.format('"X: y\\r\\n"')))

    script(world, route)
    world.request(b"OPTIONS")
    assert results == [1, -1]
    (sent,) = world.to(6007)
    assert sent.fault is None
    assert (sent.uri_text, sent.body, sent.cseq) == (b"sip:z@h", b"hi", (7, b"MESSAGE"))
    assert sent.header(b"content-type") == b"text/plain"
    assert sent.from_tag
    world.answer(200, port=6007, method=b"MESSAGE")


def test_small_questions(world: ProxyWorld, lua: LuaCalls) -> None:
    seen = []

    def route(context: Context) -> None:
        if context.message.method == b"CANCEL":
            seen.append(lua(context, "return KSR.tm.t_lookup_cancel_flags(1)"))
            seen.append(context.shared.flags)
        else:
            context.shared.flags = 4
            seen.append(lua(context, """local t, x = KSR.tm, KSR.tmx
                return t.t_lookup_cancel_flags(1) .. t.t_lookup_request() .. t.t_save_lumps()
                  .. x.t_flush_flags() .. x.t_flush_xflags()"""))
            world.tm.t_newtran(context)
            seen.append(lua(context, """local t, x = KSR.tm, KSR.tmx
                return t.t_lookup_request() .. t.t_save_lumps() .. t.t_use_uac_headers()
                  .. t.t_is_retr_async_reply() .. t.t_clean() .. x.t_flush_flags()
                  .. x.t_flush_xflags()"""))
        world.relay(context)

    script(world, route)
    world.invite()
    world.answer(180)
    world.request(b"CANCEL")
    assert seen == [b"-1-1-1-1-1", b"111-1111", 1, 4]
    world.answer(200, method=b"CANCEL")
    world.answer(487)
    world.request(b"ACK")


def test_dropped_replies_are_not_chosen(world: ProxyWorld, lua: LuaCalls) -> None:
    modes = []

    def failed(context: Context) -> None:
        for mode in ("x", "n", "l", "a"):
            modes.append(lua(context, f'return KSR.tm.t_drop_replies("{mode}")'))
        modes.append(lua(context, "return KSR.tm.t_drop_replies_all()"))
        context.set_uri(b"sip:b@127.0.0.1:6002")
        world.relay(context)

    def route(context: Context) -> None:
        world.tm.t_on_failure(context, b"failed")
        world.relay(context)

    script(world, route)
    world.script.named[b"failed"] = failed
    world.invite()
    world.answer(603)
    world.answer(486, port=6002)
    assert modes == [-1, 1, 1, 1, 1]
    assert world.finals == [486]
    world.request(b"ACK")


def test_by_call_id(world: ProxyWorld, lua: LuaCalls) -> None:
    contexts = []

    def route(context: Context) -> None:
        contexts.append(context)
        world.relay(context)

    script(world, route)
    world.invite()
    world.answer(180)
    other = contexts[0].derive(contexts[0].route)
    assert lua(other, 'return KSR.tmx.t_cancel_callid("none", "1", 3)') == -1
    assert lua(other, 'return KSR.tmx.t_cancel_callid_reason("call", "1", 3, 480)') == 1
    assert contexts[0].shared.flags & 8
    (cancel,) = world.to(6001, b"CANCEL")
    assert cancel.header(b"reason") == b"SIP;cause=480"
    world.answer(200, method=b"CANCEL")
    assert lua(other, 'return KSR.tmx.t_reply_callid("call", "2", 480, "Gone")') == -1
    assert lua(other, 'return KSR.tmx.t_reply_callid("call", "1", 480, "Gone")') == 1
    assert world.finals == [480]
    assert lua(other, 'return KSR.tmx.t_cancel_callid("call", "1", 3)') == -1
    world.request(b"ACK")
    world.answer(487)


@pytest.mark.parametrize("call", ["t_drop()", "t_drop_rcode(480)"])
def test_an_end_without_an_answer(world: ProxyWorld, lua: LuaCalls, call: str) -> None:
    def route(context: Context) -> None:
        assert lua(context, f"return KSR.tmx.{call}") == -1
        world.tm.t_newtran(context)
        assert lua(context, f"return KSR.tmx.{call}") == 1
        assert lua(context, f"return KSR.tmx.{call}") == -1

    script(world, route)
    world.request(b"OPTIONS")
    assert world.finals == []


def test_a_branch_failure_route(world: ProxyWorld, lua: LuaCalls) -> None:
    seen = []

    def branch_failed(context: Context) -> None:
        status = lua(context, "return KSR.tm.t_get_status_code()")
        seen.append((context.branch, context.uri, status))
        if status == 480 and len(seen) == 1:
            context.branches.append(Branch(b"sip:b@127.0.0.1:6003"))
            world.tm.t_on_branch_failure(context, b"branch")
            world.relay(context)
        elif status == 503:
            assert lua(context, "return KSR.tmx.t_reuse_branch()") == 1
            world.relay(context)

    def route(context: Context) -> None:
        assert lua(context, 'return KSR.tm.t_on_branch_failure("branch")') == 1
        assert lua(context, "return KSR.tmx.t_reuse_branch()") == -1
        world.relay(context, (6001, 6002))

    script(world, route)
    world.script.named[b"branch"] = branch_failed
    world.invite()
    world.answer(480, port=6001)
    assert world.methods(6003) == [b"INVITE"]
    world.answer(486, port=6002)
    assert world.finals == []
    world.answer(503, port=6003)
    assert world.methods(6003) == [b"INVITE", b"ACK", b"INVITE"]
    world.answer(404, port=6003)
    assert len(world.finals) == 1
    assert seen == [
        (0, b"sip:b@127.0.0.1:6001", 480), (1, b"sip:b@127.0.0.1:6002", 486),
        (2, b"sip:b@127.0.0.1:6003", 503),
    ]  # fmt: skip
    world.request(b"ACK")


def test_a_branch_that_times_out_has_failed(world: ProxyWorld, lua: LuaCalls) -> None:
    seen = []

    def route(context: Context) -> None:
        lua(context, 'KSR.tm.t_on_branch_failure("branch")')
        world.relay(context)

    script(world, route)
    world.script.named[b"branch"] = lambda context: seen.append(world.tm.t_get_status_code(context))
    world.invite()
    world.pass_time(30.2)
    assert seen == [408]
    assert world.finals == [408]
    world.request(b"ACK")


def test_native_forms(world: ProxyWorld) -> None:
    tm = world.tm

    def route(context: Context) -> None:
        if context.message.method == b"CANCEL":
            assert tm.t_relay_cancel(context) == 0
        else:
            assert tm.t_relay_cancel(context) == 1
            assert tm.t_replicate_udp(context, b"127.0.0.1", 6005) == 1
            assert tm.t_replicate_tcp(context, b"", 6005) == -1
            assert tm.t_replicate_tls(context, b"no host", 1) == -1
            assert tm.t_relay_to_tls(context, b"127.0.0.1", 6006) == -478
            assert tm.t_relay_to_tcp(context, b"127.0.0.1", 6006) == -478
            assert tm.t_relay_at(context, b"127.0.0.1", 6007) == 1

    script(world, route)
    world.invite()
    assert world.methods(6005) == world.methods(6007) == [b"INVITE"]
    world.answer(486, port=6005)
    world.answer(180, port=6007)
    world.request(b"CANCEL")
    world.answer(200, port=6007, method=b"CANCEL")
    world.answer(487, port=6007)
    world.request(b"ACK")


def test_forwarding_what_is_no_ack(world: ProxyWorld) -> None:
    results: list[object] = []
    script(world, lambda context: results.append(world.tm.t_forward_nonack_uri(context)))
    world.request(b"OPTIONS")
    world.request(b"ACK", b"other", call_id=b"other")
    assert results == [1, -1]
    world.answer(200, method=b"OPTIONS")
