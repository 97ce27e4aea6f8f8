"""NAT pings: who gets which, when, and who is given up."""

from __future__ import annotations

from typing import Any

import pytest

from kamailiod.modules.nathelper import Nathelper
from kamailiod.modules.usrloc import Usrloc
from kamailiod.script.module import RpcFault
from kamailiod.sip.message import SipMessage, parse
from shm import Binding
from tests.kamailiod.fakes import FakeServices
from workers import TimerWheel

NAT, SIP, OFF = 6, 7, 8
START = 1_700_000_000.0


class PingWorld:
    """A timer process and a SIP worker in one, with a location table and a clock."""

    def __init__(
        self, services: FakeServices, monkeypatch: pytest.MonkeyPatch, **params: object
    ) -> None:
        self.now = START
        self.services = services
        monkeypatch.setattr("time.time", lambda: self.now)
        services.settings.call_id_hash_offset = 0
        services.settings.server_id = 5
        services.network.resolve = self._resolve  # type: ignore[method-assign, assignment]  # a fake of a fake
        services.timers = TimerWheel(None, clock=lambda: self.now)
        self.usrloc: Usrloc = services.load(Usrloc, nat_bflag=NAT)
        self.nathelper: Nathelper = services.load(
            Nathelper, **{"natping_interval": 1, "natping_disable_bflag": OFF, **params}
        )
        for module in list(services.modules.values()):
            module.mod_init()
        for module in list(services.modules.values()):
            module.child_init(1)
        self.nathelper.child_init(-1)
        self.now += 0.5
        services.timers.advance(self.now)

    def _resolve(self, uri: bytes) -> list[tuple[bytes, bytes, int]]:
        host, _, port = uri.partition(b"@")[2].partition(b";")[0].rpartition(b":")
        return [(b"udp", host, int(port))]

    def register(self, port: int, flags: tuple[int, ...] = (), **changes: Any) -> None:
        binding = Binding(
            b"sip:u@127.0.0.1:%d" % port, b"", b"", int(START) + 1000, -1, b"c", 1, 0,
            sum(1 << flag for flag in flags), b"ua", b"udp:127.0.0.1:5060", 0xFFFFFFFF, b"", 0,
            b"ruid-%d" % port, 0, 5, START,
        )._replace(**changes)  # fmt: skip
        self.table.update(b"u%d" % port, lambda found: [*found, binding])

    @property
    def table(self) -> Any:
        return self.usrloc.locations.table(b"location")

    def second(self) -> list[tuple[int, bytes]]:
        """Let a second pass; returns ports and what they were sent."""
        self.services.network.sent.clear()
        end = self.now + 1.0
        while self.now < end:
            self.now += 0.25
            self.services.timers.advance(self.now)
        return [(target.port, data) for target, data in self.services.network.sent]

    def ports(self) -> list[int]:
        return sorted(port for port, _ in self.second())


@pytest.fixture
def make(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda **params: PingWorld(services, monkeypatch, **params)


def answer(request: bytes) -> SipMessage:
    sent = parse(request)
    kept = b"\r\n".join(sent.lines[n] for k in (b"via", b"from", b"to", b"call-id", b"cseq")
                        for n in sent.index[k])  # fmt: skip
    return parse(b"SIP/2.0 200 OK\r\n" + kept + b"\r\nContent-Length: 0\r\n\r\n")


def test_four_bytes_to_everybody(make: Any) -> None:
    world = make()
    world.register(6001)
    world.register(6002, (NAT,))
    world.register(6003, (OFF,))
    world.register(6004, contact=b"sip:u@127.0.0.1:6004;transport=tcp")
    world.register(6005, contact=b"sips:u@127.0.0.1:6005")
    world.register(6006, expires=int(START) - 1)
    world.register(6007, received=b"sip:x@127.0.0.1:6107")
    assert sorted(world.second()) == [(p, b"\0\0\0\0") for p in (6001, 6002, 6107)]


def test_only_those_behind_nats(make: Any) -> None:
    world = make(ping_nated_only=1)
    world.register(6001)
    world.register(6002, (NAT,))
    assert world.ports() == [6002]


def test_only_those_of_this_server(make: Any) -> None:
    world = make(filter_server_id=1)
    world.register(6001)
    world.register(6002, server_id=6)
    assert world.ports() == [6001]


def test_requests_to_those_with_the_flag(make: Any) -> None:
    world = make(ping_nated_only=1, sipping_bflag=SIP, sipping_from="sip:pinger@x.org",
                 sipping_method="INFO")  # fmt: skip
    world.register(6001, (NAT, SIP), path=b"<sip:p@127.0.0.1:6101;lr>")
    world.register(6002, (NAT,))
    found = dict(world.second())
    assert found[6002] == b"\0\0\0\0"
    request = parse(found[6101])
    assert request.fault is None
    assert (request.method, request.uri_text) == (b"INFO", b"sip:u@127.0.0.1:6001")
    assert request.header(b"route") == b"<sip:p@127.0.0.1:6101;lr>"
    assert request.from_ is not None
    assert request.from_.uri_text == b"sip:pinger@x.org"
    assert request.top_via is not None
    assert request.top_via.sent_by == b"127.0.0.1:5060"


def test_requests_to_everybody_when_not_only_nated_ones_are_pinged(make: Any) -> None:
    world = make(sipping_bflag=SIP, sipping_from="sip:pinger@x.org")
    world.register(6001)
    ((_, data),) = world.second()
    assert data.startswith(b"OPTIONS sip:u@127.0.0.1:6001 SIP/2.0\r\n")


def test_an_answer_goes_no_further(make: Any) -> None:
    world = make(sipping_bflag=SIP, sipping_from="sip:pinger@x.org")
    world.register(6001)
    ((_, data),) = world.second()
    (takes,) = world.services.modules[next(
        kind for kind in world.services.modules if kind.name == "tm"
    )].reply_filters  # fmt: skip
    assert takes(answer(data))
    assert not takes(answer(data.replace(b"z9hG4bKnat", b"z9hG4bKtam")))


def test_who_does_not_answer_is_given_up(make: Any) -> None:
    world = make(sipping_bflag=SIP, sipping_from="sip:pinger@x.org", keepalive_timeout=3)
    world.register(6001)
    world.register(6002)
    (takes,) = world.services.modules[next(
        kind for kind in world.services.modules if kind.name == "tm"
    )].reply_filters  # fmt: skip
    for _ in range(5):
        for port, data in world.second():
            if port == 6001:
                assert takes(answer(data))
    assert world.ports() == [6001]
    assert [b.contact for b in world.table.bindings(b"u6002", world.now)] == []
    (kept,) = world.table.bindings(b"u6001", world.now)
    assert kept.keepalive > START


def test_a_round_is_spread_over_its_interval(make: Any) -> None:
    world = make(natping_interval=4)
    for port in range(6000, 6040):
        world.register(port)
    rounds = [[world.ports() for _ in range(4)] for _ in range(2)]
    for seconds in rounds:
        assert [len(ports) for ports in seconds] == [10, 10, 10, 10]
        assert sorted(port for ports in seconds for port in ports) == list(range(6000, 6040))


def test_pings_can_be_switched_off(make: Any) -> None:
    world = make()
    world.register(6001)
    world.nathelper.enable_ping(0)
    assert world.second() == []
    world.nathelper.enable_ping(1)
    assert world.ports() == [6001]


def test_without_an_interval_there_are_none(services: FakeServices) -> None:
    nathelper: Nathelper = services.load(Nathelper)
    services.start(-1)
    with pytest.raises(RpcFault):
        nathelper.enable_ping(1)
    assert [kind.name for kind in services.modules] == ["nathelper"]
