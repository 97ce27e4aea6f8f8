"""dispatcher: how destinations go down and up, by scripts, commands and pings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kamailiod.modules.dispatching.probing import good_codes
from kamailiod.modules.dispatching.states import (
    DISABLED,
    INACTIVE,
    PROBING,
    TRYING,
    Thresholds,
    changed,
    parse_state,
)
from kamailiod.modules.tm_functions.local_request import LocalRequest
from kamailiod.net.ownership import owner_rank
from kamailiod.script.context import Context
from kamailiod.sip.message import SipMessage
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.modules.dispatcher_setup import OTHER, Balanced, message, reply


@pytest.fixture
def balanced(services: FakeServices, tmp_path: Path) -> Balanced:
    return Balanced(services, tmp_path)


@pytest.mark.parametrize(
    ("old", "count", "state", "new", "new_count"),
    [
        # Failures are counted up to the threshold, 2.
        (0, 0, TRYING, TRYING, 1), (TRYING, 1, TRYING, INACTIVE, 0),
        (TRYING | PROBING, 1, TRYING | PROBING, INACTIVE | PROBING, 0),
        (TRYING, 1, 0, 0, 0),
        # Successes of one that is down up to 3.
        (INACTIVE | PROBING, 0, 0, INACTIVE | PROBING, 1), (INACTIVE, 1, 0, INACTIVE, 2),
        (INACTIVE, 2, 0, 0, 0), (INACTIVE, 2, PROBING, PROBING, 0),
        # A failure of one that is down starts the count anew.
        (INACTIVE, 2, TRYING, INACTIVE, 0), (INACTIVE, 2, TRYING | PROBING, INACTIVE | PROBING, 0),
        (0, 0, INACTIVE, INACTIVE, 0), (0, 1, DISABLED | PROBING, DISABLED, 0),
    ],
)  # fmt: skip
def test_thresholds(old: int, count: int, state: int, new: int, new_count: int) -> None:
    assert changed(old, count, state, Thresholds(2, 3)) == (new, new_count)


@pytest.mark.parametrize(
    ("text", "flags"),
    [(b"a", 0), (b"ap", PROBING), (b"IP", INACTIVE | PROBING), (b"t", TRYING), (b"d", DISABLED),
     (b"x", -1), (b"ax", -1), (b"ia", 0)],
)  # fmt: skip
def test_letters(text: bytes, flags: int) -> None:
    assert parse_state(text) == flags


def test_marking_from_a_script(balanced: Balanced) -> None:
    """The sequence as Kamailio 5.6.3 went through it."""
    seen = []
    for state in ("p", "t", "ip", "x", "ax", "", "a", "i"):
        context = message()
        balanced.call("ds_select_dst(4, 8)", context)
        seen.append(balanced.call(f'ds_mark_dst_state("{state}")', context))
    assert seen == [1, 1, 1, -1, -1, 1, 1, 1]
    assert balanced.states(4) == {7015: "IX", 7014: "IP", 7013: "IX", 7012: "IX", 7011: "AX"}
    assert balanced.services.script.events == ["dispatcher:dst-down"] * 4


def test_marking_what_was_used_last(balanced: Balanced) -> None:
    context = message()
    assert balanced.call("ds_mark_dst()", context) == -1
    balanced.call("ds_select_dst(4, 8)", context)
    balanced.call("ds_next_dst()", context)
    assert balanced.call("ds_mark_dst()", context) == 1
    assert balanced.states(4)[7014] == "IX"


def test_marking_probes_when_all_are_probed(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(services, tmp_path, ds_probing_mode=1)
    context = message()
    balanced.call("ds_select_dst(4, 8)", context)
    assert balanced.call("ds_mark_dst()", context) == 1
    assert balanced.states(4)[7015] == "IP"


def test_marking_by_address(balanced: Balanced) -> None:
    assert balanced.call('ds_mark_addr("ip", 4, "sip:127.0.0.1:7012")') == 1
    assert balanced.call('ds_mark_addr("a", 2, "sip:127.0.0.1:7006")') == 1
    assert balanced.call('ds_mark_addr("i", 4, "sip:nope")') == -1
    assert balanced.states(4)[7012] == "IP"
    assert balanced.services.script.events == ["dispatcher:dst-down", "dispatcher:dst-up"]


class Pings:
    """Takes what the timer process has workers send, and answers it."""

    def __init__(self, balanced: Balanced) -> None:
        self.balanced = balanced
        self.ranks: list[int] = []
        self.asked: list[tuple[LocalRequest, Any]] = []
        balanced.services.tell_worker = self.tell  # type: ignore[method-assign]  # recorded here

    def tell(self, rank: int, name: str, *arguments: Any) -> bool:
        assert name == "dispatcher.ping"
        slot, call_id = arguments
        self.ranks.append(rank)
        assert rank == owner_rank(call_id, self.balanced.services.worker_count)
        self.balanced.module.balancer.ping(slot, call_id, self.send)
        return True

    def send(self, request: LocalRequest, callback: Any) -> bool:
        self.asked.append((request, callback))
        return True

    def round(self, status: int, answer: SipMessage | None = None) -> list[bytes]:
        """Ping once and let all answers be this status; returns the URIs that were pinged."""
        self.asked.clear()
        self.balanced.module.balancer.ping_all()
        for _, callback in self.asked:
            callback(status, answer)
        return [request.uri for request, _ in self.asked]


def test_what_a_ping_is(services: FakeServices, tmp_path: Path) -> None:
    lines = (
        "1 sip:h1.example:5070 0 0 socket=udp:127.0.0.2:5062;ping_from=sip:us@here;"
        "obproxy=sip:proxy\n1 sip:h2.example\n"
    )
    balanced = Balanced(
        services, tmp_path, lines, ds_probing_mode=1, ds_ping_method="INFO",
        ds_ping_from="sip:all@here", outbound_proxy="sip:other",
    )  # fmt: skip
    services.worker_count = 3
    pings = Pings(balanced)
    assert pings.round(200) == [b"sip:h2.example", b"sip:h1.example:5070"]
    (second, _), (first, _) = pings.asked
    assert (first.method, first.next_hop, first.socket) == (b"INFO", b"sip:proxy", OTHER)
    assert first.from_.startswith(b"<sip:us@here>;tag=")
    assert first.to == b"<sip:h1.example:5070>"
    assert (second.next_hop, second.socket) == (b"sip:other", None)
    assert second.from_.startswith(b"<sip:all@here>;tag=")
    assert first.call_id != second.call_id
    for _ in range(20):
        pings.round(200)
    assert set(pings.ranks) == {1, 2, 3}


@pytest.mark.parametrize(
    ("mode", "ports"), [(0, [7004]), (1, [7006, 7005, 7004]), (2, [7006]), (3, [7004])]
)
def test_which_are_pinged(
    services: FakeServices, tmp_path: Path, mode: int, ports: list[int]
) -> None:
    balanced = Balanced(services, tmp_path, ds_probing_mode=mode)
    pinged = [uri for uri in Pings(balanced).round(200) if b":700" in uri]
    expected = [b"sip:127.0.0.1:%d" % port for port in ports]
    assert [uri for uri in pinged if uri[-4:] in (b"7004", b"7005", b"7006", b"7007")] == expected


def test_silence_and_answers_by_thresholds(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(
        services, tmp_path, "1 sip:h:1\n", ds_probing_mode=1, ds_probing_threshold=2,
        ds_inactive_threshold=2,
    )  # fmt: skip
    pings = Pings(balanced)
    seen = []
    for status in (200, 408, 200, 408, 408, 408, 200, 200):
        pings.round(status)
        seen.append(balanced.states(1)[1])
    assert seen == ["AP", "TP", "AP", "TP", "IP", "IP", "IP", "AP"]
    assert services.script.events == ["dispatcher:dst-down", "dispatcher:dst-up"]


def test_without_a_probing_mode_one_ping_is_all(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(services, tmp_path, "1 sip:h:1 8\n")
    pings = Pings(balanced)
    assert pings.round(200) == [b"sip:h:1"]
    assert balanced.states(1) == {1: "AX"}
    assert pings.round(200) == []


def test_a_flag_to_be_probed_stays_in_mode_3(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(services, tmp_path, "1 sip:h:1 8\n1 sip:h:2\n", ds_probing_mode=3)
    pings = Pings(balanced)
    for status in (200, 503, 200):
        assert pings.round(status) == [b"sip:h:1"]
    assert balanced.states(1) == {1: "AP", 2: "AX"}


def test_good_answers(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(
        services, tmp_path, "1 sip:h:1\n", ds_probing_mode=1,
        ds_ping_reply_codes="class=4;code=501",
    )  # fmt: skip
    pings = Pings(balanced)
    for status, letters in ((404, "AP"), (501, "AP"), (500, "IP"), (299, "AP"), (302, "IP")):
        pings.round(status)
        assert balanced.states(1) == {1: letters}, status


def test_codes() -> None:
    assert good_codes("") == frozenset()
    assert good_codes("code=403; class=3") == frozenset({403, *range(300, 400)})
    for wrong in ("403", "code=x", "kind=3"):
        with pytest.raises(ValueError, match=r".+"):
            good_codes(wrong)


def test_pings_can_be_stopped(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(services, tmp_path, "1 sip:h:1\n", ds_probing_mode=1)
    pings, module = Pings(balanced), balanced.module
    assert module.rpc_ping_active() == {"OldPingState": 1}
    assert module.rpc_ping_active("0") == {"NewPingState": 0, "OldPingState": 1}
    assert pings.round(200) == []
    assert module.rpc_ping_active("1") == {"NewPingState": 1, "OldPingState": 0}
    assert len(pings.round(200)) == 1


def test_what_is_disabled_meanwhile_stays_so(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(services, tmp_path, "1 sip:h:1\n", ds_probing_mode=1)
    pings = Pings(balanced)
    balanced.module.balancer.ping_all()
    balanced.module.rpc_set_state("d", 1, "sip:h:1")
    pings.asked[0][1](200, None)
    assert balanced.states(1) == {1: "DX"}
    assert pings.round(200) == []


def test_an_answer_after_reloads_is_the_destinations_own(
    services: FakeServices, tmp_path: Path
) -> None:
    balanced = Balanced(services, tmp_path, "1 sip:h:1\n", ds_probing_mode=1)
    pings = Pings(balanced)
    balanced.module.balancer.ping_all()
    for text in ("1 sip:h:2\n", "1 sip:h:3\n1 sip:h:1\n", "2 sip:h:4\n1 sip:h:1\n"):
        balanced.file.write_text(text)
        assert balanced.call("ds_reload()") == 1
    pings.asked[0][1](408, None)
    assert (balanced.states(1), balanced.states(2)) == ({1: "IP"}, {4: "AX"})


def test_what_an_event_knows(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(services, tmp_path, "1 sip:h.example:7001\n", ds_probing_mode=1)
    seen: list[tuple[object, ...]] = []

    def run_event(module: str, event: str, context: Context | None = None) -> None:
        assert context is not None
        get = services.variables.formatter(
            b"$ru $rd $rm $dsv(code) $dsv(reason) $dsv(flags) $dsv(uri) $dsv(setid) $dsv(x)"
        )
        seen.append((event, get(context)))

    services.script.run_event = run_event  # type: ignore[method-assign]  # the test's own
    pings = Pings(balanced)
    pings.round(408)
    pings.round(200, reply(200, "x").message)
    uri = b"sip:h.example:7001"
    assert seen == [
        ("dst-down", b"%s h.example OPTIONS 408 <null> 0 %s 1 <null>" % (uri, uri)),
        ("dst-up", b"%s h.example OPTIONS 200 x 1 %s 1 <null>" % (uri, uri)),
    ]


def test_latency(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(
        services, tmp_path, "1 sip:h:1\n", ds_probing_mode=1, ds_ping_latency_stats=1
    )
    probing, one = balanced.module.balancer.probing, balanced.destination(1, 1)
    for milliseconds in (10, 20, 30):
        probing.take_answer(one, 200, None, milliseconds)
    probing.take_answer(one, 408, None, 700)
    listed: Any = balanced.module.rpc_list()
    # The estimate is 0.9 of the old one and 0.1 of the new time: 10, 11, 12.9.
    assert listed["RECORDS"][0]["SET"]["TARGETS"][0]["DEST"]["LATENCY"] == {
        "AVG": 20.0, "STD": 10.0, "EST": 12.9, "MAX": 30, "TIMEOUT": 1,
    }  # fmt: skip
