"""usrloc's keep-alives: whom they go to, what an answer changes, what silence does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import pytest

from kamailiod.modules.tm import Tm
from kamailiod.modules.tm_functions.local_request import LocalRequest
from kamailiod.modules.usrloc import Usrloc
from kamailiod.sip.message import SipMessage, parse
from shm import Binding
from tests.kamailiod.fakes import FakeServices

NOW = int(time.time())
Heard = Callable[[int, SipMessage | None], object]
REPLY = parse(
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:s@k>;tag=1\r\n"
    b"To: <sip:u@k>;tag=2\r\nCall-ID: x\r\nCSeq: 80 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def contact(name: bytes, **fields: object) -> Binding:
    made = Binding(
        b"sip:%b@192.0.2.1" % name, b"", b"", NOW + 600, -1, b"c", 1, 0, 0, b"",
        b"udp:1.1.1.1:5060", 1, b"", 0, name, 0, 0, float(NOW),
    )  # fmt: skip
    return made._replace(**fields)  # type: ignore[arg-type]


class Sent:
    """What the worker was to send, in the place of tm."""

    def __init__(self, services: FakeServices, **params: object) -> None:
        self.usrloc = cast(Usrloc, services.load(Usrloc, nat_bflag=6, **params))
        self.requests: dict[bytes, tuple[LocalRequest, Heard]] = {}
        services.modules[Tm].send_request = self.send  # type: ignore[attr-defined]
        for module in services.modules.values():
            module.mod_init()
        self.usrloc.child_init(1)
        self.usrloc.child_init(-1)
        self.services = services

    def send(self, request: LocalRequest, heard: Heard) -> bool:
        self.requests[request.uri] = (request, heard)
        return True

    def put(self, *contacts: Binding) -> None:
        for one in contacts:
            table = self.usrloc.locations.table(b"location")
            table.update(one.ruid, lambda old, one=one: [one])  # type: ignore[misc]  # a default binds it

    def round(self) -> set[bytes]:
        self.requests.clear()
        timers = self.services.timers
        timers.advance(timers.now() + 61)
        timers.advance(timers.now() + 62.2)
        return {uri[4:].partition(b"@")[0] for uri in self.requests}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"ka_mode": 1}, {b"plain", b"nated", b"tcp", b"other"}),
        ({"ka_mode": 2}, {b"nated"}),
        ({"ka_mode": 4}, {b"plain", b"nated", b"other"}),
        ({"ka_mode": 1, "ka_filter": 1}, {b"plain", b"nated", b"tcp"}),
    ],
)
def test_who_is_asked(
    services: FakeServices, params: dict[str, object], expected: set[bytes]
) -> None:
    sent = Sent(services, **params)
    sent.put(
        contact(b"plain"), contact(b"nated", cflags=1 << 6),
        contact(b"tcp", socket=b"tcp:1.1.1.1:5060"), contact(b"other", server_id=5),
    )  # fmt: skip
    assert sent.round() == expected


def test_an_answer_is_kept_with_the_contact(services: FakeServices) -> None:
    sent = Sent(services, ka_mode=1, ka_method="INFO", ka_loglevel=0, ka_logmsg=" code: $rs")
    path = b"<sip:p1;lr>, <sip:p2;lr>"
    sent.put(contact(b"alice", path=path), contact(b"bob", received=b"sip:9.9.9.9:99"))
    sent.round()
    asked, heard = sent.requests[b"sip:alice@192.0.2.1"]
    assert (asked.method, asked.to) == (b"INFO", b"<sip:alice@kamailio.org>")
    assert (asked.routes, asked.next_hop) == ((b"<sip:p1;lr>", b"<sip:p2;lr>"), b"sip:p1;lr")
    assert asked.from_.startswith(b"<sip:server@kamailio.org>;tag=")
    assert sent.requests[b"sip:bob@192.0.2.1"][0].next_hop == b"sip:9.9.9.9:99"
    heard(200, REPLY)
    sent.requests[b"sip:bob@192.0.2.1"][1](408, None)
    shown = {
        name: cast(dict[str, list[dict[str, dict[str, int]]]], found)["Contacts"][0]["Contact"]
        for name in ("alice", "bob")
        for found in (sent.usrloc.ul_lookup("location", name),)
    }
    assert shown["alice"]["KA-Roundtrip"] > 0
    assert shown["alice"]["Last-Keepalive"] >= NOW
    assert shown["bob"]["KA-Roundtrip"] == 0
    assert any("ruid [alice] code: 200" in line for line in services.lines)


def test_a_silent_contact_is_removed(services: FakeServices) -> None:
    sent = Sent(services, ka_mode=1, ka_timeout=100)
    now = int(time.time())
    early = float(now - 200)
    sent.put(contact(b"silent", last_modified=early), contact(b"new", last_modified=float(now)))
    sent.put(contact(b"heard", last_modified=early, keepalive=now))
    assert sent.round() == {b"new", b"heard"}
    left = {aor for aor, _ in sent.usrloc.locations.table(b"location").items()}
    assert left == {b"new", b"heard"}
