"""dispatcher: selecting and failover from Lua, with the answers that Kamailio 5.6.3 gave."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kamailiod.modules.dispatching.hashing import dispatch_hash
from kamailiod.net.resolver import Choice
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.modules.dispatcher_setup import OTHER, Balanced, message

HASHES: list[Any] = json.loads(Path(__file__).with_name("dispatcher_hashes.json").read_text())
"""Call-ID, From, To, R-URI, X-Key; the ports Kamailio 5.6.3 chose by algorithms 0 to 3 and 7."""

SEVEN = "".join(f"4 sip:127.0.0.1:70{port}\n" for port in range(11, 18))


@pytest.fixture
def balanced(services: FakeServices, tmp_path: Path) -> Balanced:
    return Balanced(
        services, tmp_path, hash_pvar="$hdr(X-Key)", setid_pvname="$var(setid)",
        attrs_pvname="$var(attrs)",
    )  # fmt: skip


def test_hashes_choose_what_kamailio_chooses(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(services, tmp_path, SEVEN, hash_pvar="$hdr(X-Key)")
    for call_id, from_, to, uri, key, ports in HASHES:
        headers = [f"X-Key: {key}"] if key else []
        chosen = [
            balanced.chosen(4, algorithm, message("OPTIONS", call_id, from_, to, uri, headers))
            for algorithm in (0, 1, 2, 3, 7)
        ]
        assert " ".join(chosen) == ports, (call_id, from_, to, uri, key)
    assert len(HASHES) >= 100


def test_hash_of_the_user_alone(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(services, tmp_path, SEVEN, flags=1)
    chosen = {
        balanced.chosen(4, 1, message(from_=f"sip:alice@{host}.example")) for host in "abcdefgh"
    }
    assert chosen == {str(17 - dispatch_hash(b"alice") % 7)}


@pytest.mark.parametrize(
    ("algorithm", "ports"),
    [
        (4, "15 14 13 12 11 15 14"), (5, "15 14 13 12 11 15 14"), (8, "15 15 15 15 15 15 15"),
        (13, "15 14 13 12 11 15 14"), (99, "15 15 15 15 15 15 15"), (-1, "15 15 15 15 15 15 15"),
        (9, "15 15 15 15 15 15 15"), (11, "15 15 15 15 15 15 15"),
        (10, "15 15 15 15 15 15 15"),
    ],
)  # fmt: skip
def test_turns(balanced: Balanced, algorithm: int, ports: str) -> None:
    assert [balanced.chosen(4, algorithm) for _ in range(7)] == ports.split()


def test_turns_go_by_what_is_up(balanced: Balanced) -> None:
    assert [balanced.chosen(2, 4) for _ in range(4)] == ["05", "04", "05", "04"]


def test_random_chooses_all(balanced: Balanced) -> None:
    assert {balanced.chosen(4, 6) for _ in range(300)} == {"11", "12", "13", "14", "15"}


def test_hash_of_the_authenticated_user(balanced: Balanced) -> None:
    digest = 'Digest username="bob",realm="x",nonce="n",uri="sip:x",response="0"'
    context = message(headers=[f"Proxy-Authorization: {digest}"])
    expected = str(15 - dispatch_hash(b"bob") % 5)
    assert [balanced.chosen(4, 5, context) for _ in range(2)] == [expected, expected] == ["14"] * 2


def test_a_text_that_is_not_configured_chooses_nothing(
    services: FakeServices, tmp_path: Path
) -> None:
    assert Balanced(services, tmp_path).call("ds_select_dst(4, 7)") == -1


def test_weights(services: FakeServices, tmp_path: Path) -> None:
    lines = "1 sip:h1:1 0 0 weight=30;rweight=10\n1 sip:h1:2 0 0 weight=60;rweight=30\n"
    balanced = Balanced(services, tmp_path, lines)
    # The last destination has what is left of a hundred.
    counts = Counter(balanced.chosen(1, 9) for _ in range(200))
    assert counts == {":2": 120, ":1": 80}
    assert Counter(balanced.chosen(1, 11) for _ in range(200)) == {":2": 150, ":1": 50}
    balanced.module.rpc_set_state("i", 1, "sip:h1:2")
    assert Counter(balanced.chosen(1, 11) for _ in range(100)) == {":1": 100}
    assert Counter(balanced.chosen(1, 9) for _ in range(100)) == {":1": 100}


def test_selecting_a_next_hop(balanced: Balanced) -> None:
    context = message()
    assert balanced.call("ds_select_dst(1, 8)", context) == 1
    assert context.destination == b"sip:127.0.0.1:7003;transport=udp"
    assert context.uri == b"sip:bob@c.example"
    first, second, _ = context.shared.xavps[b"_dsdst_"]
    assert first == {
        b"uri": [b"sip:127.0.0.1:7003;transport=udp"], b"grp": [1],
        b"attrs": [b"duid=c;foo=bar"],
    }  # fmt: skip
    assert isinstance(second, dict)
    assert second[b"sock"] == [b"udp:127.0.0.2:5062"]
    assert context.shared.xavps[b"_dsctx_"] == [{b"cnt": [3]}]
    assert context.socket is None
    assert balanced.call("ds_next_dst()", context) == 1
    assert context.destination == b"sip:127.0.0.1:7002"
    assert context.socket is OTHER
    assert balanced.call("ds_next_dst()", context) == 1
    assert balanced.call("ds_next_dst()", context) == -1
    assert context.destination == b"sip:127.0.0.1:7001"
    assert balanced.call("ds_next_dst()", context) == -1


def test_two_selections_put_their_lists_behind_each_other(balanced: Balanced) -> None:
    context = message()
    balanced.call("ds_select_dst(1, 8)", context)
    balanced.call("ds_select_dst_limit(4, 8, 2)", context)
    assert [uri[-4:] for uri in balanced.listed(context)[:3]] == [b"7015", b"7014", b"=udp"]
    assert context.shared.xavps[b"_dsctx_"] == [{b"cnt": [2]}, {b"cnt": [3]}]


def test_limits(balanced: Balanced) -> None:
    for call, count in (
        ("ds_select_dst_limit(4, 8, 2)", 2), ("ds_select_domain_limit(4, 8, 3)", 3),
        ("ds_select_limit(4, 8, 1)", 1), ("ds_select_dst_limit(4, 8, 0)", 5),
    ):  # fmt: skip
        context = message()
        assert balanced.call(call, context) == 1
        assert len(balanced.listed(context)) == count


def test_selecting_for_the_request_uri(balanced: Balanced) -> None:
    context = message(uri="sip:bob@c.example;x=y")
    assert balanced.call("ds_select_domain(1, 8)", context) == 1
    assert (context.uri, context.destination) == (b"sip:bob@127.0.0.1:7003;transport=udp", b"")
    assert balanced.call("ds_next_domain()", context) == 1
    assert context.uri == b"sip:bob@127.0.0.1:7002"
    assert balanced.call("ds_set_dst()", context) == 1
    assert context.destination == b"sip:127.0.0.1:7002"


def test_selecting_for_the_list_only(balanced: Balanced) -> None:
    context = message()
    assert balanced.call("ds_set_dst()", context) == balanced.call("ds_set_domain()", context) == -1
    assert balanced.call("ds_select(4, 8)", context) == 1
    assert (context.uri, context.destination) == (b"sip:bob@c.example", b"")
    assert balanced.call("ds_set_domain()", context) == 1
    assert context.uri == b"sip:bob@127.0.0.1:7015"


def test_all_at_once(balanced: Balanced) -> None:
    context = message()
    assert balanced.call("ds_select_dst(4, 12)", context) == 1
    assert context.destination == b"sip:127.0.0.1:7015"
    assert [(b.uri, b.destination[-4:]) for b in context.branches] == [
        (b"sip:bob@c.example", port) for port in (b"7014", b"7013", b"7012", b"7011")
    ]
    assert balanced.listed(context) == []
    context = message()
    assert balanced.call("ds_select_domain(1, 12)", context) == 1
    assert [b.uri for b in context.branches] == [
        b"sip:bob@127.0.0.1:7002", b"sip:bob@127.0.0.1:7001",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "mode", "result", "count", "destination", "uri"),
    [
        ("4=8;1=8", "0", 1, 8, b"sip:127.0.0.1:7015", b"sip:bob@c.example"),
        ("9=8;4=8", "D", 1, 5, b"sip:127.0.0.1:7015", b"sip:bob@c.example"),
        ("4=8", "1", 1, 5, b"", b"sip:bob@127.0.0.1:7015"),
        ("4=8;1=8", "x", 1, 8, b"", b"sip:bob@c.example"),
        ("4", "0", 1, 5, None, b"sip:bob@c.example"),
        ("9=8", "0", -1, 0, b"", b"sip:bob@c.example"),
        ("", "0", -1, 0, b"", b"sip:bob@c.example"),
        ("a=b", "0", -1, 0, b"", b"sip:bob@c.example"),
        ("4=8", "q", -1, 0, b"", b"sip:bob@c.example"),
    ],
)  # fmt: skip
def test_selecting_from_several_sets(
    balanced: Balanced, rules: str, mode: str, result: int, count: int,
    destination: bytes | None, uri: bytes,
) -> None:  # fmt: skip
    context = message()
    assert balanced.call(f'ds_select_routes("{rules}", "{mode}")', context) == result
    assert len(balanced.listed(context)) == count
    assert context.destination == destination or destination is None
    assert context.uri == uri


def test_what_is_chosen_of_a_set_is_listed_beyond_the_limit(balanced: Balanced) -> None:
    context = message()
    assert balanced.call('ds_select_routes_limit("4=8;1=8", "2", 3)', context) == 1
    assert [uri[14:18] for uri in balanced.listed(context)] == [b"7015", b"7014", b"7013", b"7003"]


def test_no_set_and_nothing_up(balanced: Balanced) -> None:
    context = message()
    assert balanced.call("ds_select_dst(9, 4)", context) == -1
    balanced.module.rpc_set_state("i", 4, "all")
    for algorithm in range(14):
        assert balanced.call(f"ds_select_dst(4, {algorithm})", context) == -1, algorithm
    assert context.destination == b""
    assert balanced.call("ds_next_dst()", context) == -1


def test_what_is_down_is_left_out(balanced: Balanced) -> None:
    context = message()
    assert balanced.call("ds_select_dst(2, 8)", context) == 1
    assert [uri[-4:] for uri in balanced.listed(context)] == [b"7005", b"7004"]


def test_a_default_destination(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(services, tmp_path, use_default=1)
    # The last of a set stands at the end of each list, and is chosen when no other is up.
    assert [balanced.chosen(4, 4) for _ in range(5)] == ["15", "14", "13", "12", "15"]
    context = message()
    balanced.call("ds_select_dst_limit(4, 4, 9)", context)
    assert [uri[-2:] for uri in balanced.listed(context)] == [b"14", b"13", b"12", b"15", b"11"]
    for port in (15, 14, 13, 12):
        balanced.module.rpc_set_state("i", 4, f"sip:127.0.0.1:70{port}")
    assert [balanced.chosen(4, number) for number in (4, 0, 8, 13)] == ["11"] * 4


def test_a_next_hop_that_is_set_stays_without_force(
    services: FakeServices, tmp_path: Path
) -> None:
    balanced = Balanced(services, tmp_path, force_dst=0)
    context = message()
    context.destination = b"sip:there"
    assert balanced.call("ds_select_dst(4, 8)", context) == -1
    assert context.destination == b"sip:there"
    assert balanced.call("ds_select_domain(4, 8)", context) == 1


def test_names_and_fields_of_the_list(services: FakeServices, tmp_path: Path) -> None:
    line = "1 sip:h:1 0 0 duid=a;socket=udp:127.0.0.2:5062;sockname=outside\n"
    balanced = Balanced(
        services, tmp_path, line, xavp_dst="there", xavp_dst_mode=7, xavp_ctx_mode=1,
        ds_default_socket="udp:127.0.0.2:5062",
    )  # fmt: skip
    context = message()
    balanced.call("ds_select_dst(1, 8)", context)
    assert context.shared.xavps == {b"there": [{
        b"uri": [b"sip:h:1"], b"grp": [1], b"sock": [b"udp:127.0.0.2:5062"],
        b"socket": [b"udp:127.0.0.2:5062"], b"sockname": [b"outside"],
    }]}  # fmt: skip
    assert context.socket is OTHER


def test_the_best_latency_first(services: FakeServices, tmp_path: Path) -> None:
    # The example of Kamailio's documentation: 30 less 91 // 30 is 27, less 61 // 30 is 28.
    latencies = {1: 21, 2: 91, 3: 61, 4: 19}
    lines = "".join(f"1 sip:h:{n} 0 30 latency={ms}\n" for n, ms in latencies.items())
    balanced = Balanced(services, tmp_path, lines)
    context = message()
    assert balanced.call("ds_select_dst(1, 13)", context) == 1
    assert [uri[-1:] for uri in balanced.listed(context)] == [b"4", b"1", b"3", b"2"]
    assert [balanced.chosen(1, 13) for _ in range(3)] == [":1", ":4", ":1"]


def test_congestion_takes_weight_away(services: FakeServices, tmp_path: Path) -> None:
    lines = "".join(f"1 sip:h:{n} 0 0 cc=1;weight=50;rweight=50\n" for n in (1, 2))
    balanced = Balanced(services, tmp_path, lines, ds_latency_estimator_alpha=0)
    states = balanced.module.balancer.states
    slow = balanced.destination(1, 1)
    for milliseconds in (10, 10, 10, 100):
        states.answered(slow, milliseconds)
    assert states.congestion(slow) > 50
    assert Counter(balanced.chosen(1, 11) for _ in range(100)) == {":2": 100}
    fast = balanced.destination(1, 2)
    for milliseconds in (10, 10, 10, 10, 10, 10, 10, 200):
        states.answered(fast, milliseconds)
    # Both take too long now: the slower one has the smaller share.
    counts = Counter(balanced.chosen(1, 11) for _ in range(100))
    assert counts[":1"] > counts[":2"] > 0


def test_which_sets_there_are(balanced: Balanced) -> None:
    for call, result in (
        ("ds_list_exists(4)", 1), ("ds_list_exists(9)", -1), ("ds_is_active(4)", 1),
        ("ds_is_active(9)", -1), ("ds_is_active(-1)", -1),
        ('ds_is_active_uri(2, "sip:127.0.0.1:7006")', -1),
        ('ds_is_active_uri(2, "sip:127.0.0.1:7007")', -1),
        ('ds_is_active_uri(2, "SIP:127.0.0.1:7004")', 1),
        ('ds_is_active_uri(2, "sip:127.0.0.1:7005")', 1),
        ('ds_is_active_uri(2, "sip:127.0.0.1:9")', -1),
    ):  # fmt: skip
        assert balanced.call(call) == result, call


@pytest.mark.parametrize(
    ("port", "group", "results"),
    [
        (7011, 4, [-1, -1, 1, 1, -1, -1, 1, 1]), (7011, 1, [-1, 1, -1, 1, -1, 1, -1, 1]),
        (7001, 1, [-1, 1, 1, 1, -1, 1, 1, 1]), (7003, 1, [1, 1, 1, 1, 1, 1, 1, 1]),
        (7006, 2, [-1, -1, 1, 1, -1, -1, -1, 1]), (7011, -1, [-1, 1, 1, 1, -1, 1, 1, 1]),
        (9, 9, [-1] * 8),
    ],
)  # fmt: skip
def test_whether_a_request_is_from_a_set(
    balanced: Balanced, port: int, group: int, results: list[int]
) -> None:
    context = message(source=(b"127.0.0.1", port))
    assert [
        balanced.call(f"ds_is_from_list_mode({group}, {mode})", context) for mode in range(8)
    ] == results
    assert balanced.call(f"ds_is_from_list({group})", context) == results[2]
    assert balanced.call("ds_is_from_list(4)", message(source=(b"10.0.0.9", 7011))) == -1


def test_what_a_match_tells(balanced: Balanced) -> None:
    context = message(source=(b"127.0.0.1", 7001))
    assert balanced.call("ds_is_from_lists()", context) == 1
    assert context.variables[b"setid"] == 1
    assert context.variables[b"attrs"] == b"duid=a;maxload=3;weight=30;rweight=10"
    assert balanced.call("ds_is_from_lists()") == -1


@pytest.mark.parametrize(
    ("group", "mode", "uri", "result"),
    [
        (4, 0, "sip:127.0.0.1:7011", 1), (4, 0, "sip:127.0.0.1:7001", -1),
        (4, 1, "sip:127.0.0.1:7001", 1), (4, 0, "sip:127.0.0.1:7011;transport=tcp", -1),
        (4, 2, "sip:127.0.0.1:7011;transport=tcp", 1), (4, 0, "xx", -1), (4, 0, "", -1),
        (1, 0, "sip:127.0.0.1:7003;transport=udp", 1),
    ],
)  # fmt: skip
def test_whether_a_uri_is_in_a_set(
    balanced: Balanced, group: int, mode: int, uri: str, result: int
) -> None:
    assert balanced.call(f'ds_is_from_list_uri({group}, {mode}, "{uri}")') == result


def test_names_are_looked_up_without_blocking(services: FakeServices, tmp_path: Path) -> None:
    known: dict[bytes, list[Choice]] = {}

    def resolve(uri: bytes) -> Any:
        if uri in known:
            return known[uri]

        async def later() -> list[Choice]:
            known[uri] = [(b"udp", b"10.0.0.7", 5060)]
            return known[uri]

        return later()

    services.network.resolve = resolve  # type: ignore[method-assign]  # as a resolver does
    balanced = Balanced(services, tmp_path, "1 sip:gw.example\n")
    assert balanced.call("ds_is_from_lists()", message(source=(b"10.0.0.7", 5060))) == 1
    assert balanced.call("ds_is_from_lists()", message(source=(b"10.0.0.8", 5060))) == -1


def test_counts_of_a_set(balanced: Balanced) -> None:
    context = message()
    assert balanced.module.ds_dsg_fetch(context, 2) == 1
    values = {
        name: balanced.module.group_counts(context, name, None)
        for name in (b"count", b"active", b"inactive", b"pactive", b"pinactive", b"x")
    }
    assert values == {
        b"count": 4, b"active": 2, b"inactive": 2, b"pactive": 50, b"pinactive": 50, b"x": None,
    }  # fmt: skip
    assert balanced.module.ds_dsg_fetch(context, 9) == -1
