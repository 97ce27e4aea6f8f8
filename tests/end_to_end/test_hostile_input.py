"""Noise, emptiness, excess and bad framing, over UDP and TCP."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

import pytest

from tests.end_to_end.embedded_default import embedded_default
from tests.end_to_end.running_server import ROOT, RunningServer
from tests.end_to_end.sip_client import Peer
from tests.end_to_end.sip_text import compose

MakePhone = Callable[..., Peer]
TORTURE = ROOT / "tests/messages/torture"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with embedded_default(tmp_path_factory.mktemp("hostile")) as running:
        yield running
        assert not re.findall("Traceback|died", running.log())


def register(peer: Peer, call_id: str, vias: int = 1, body: str = "") -> bytes:
    host, port = peer.server
    headers = [("Via", peer.via("z9hG4bK" + call_id))]
    headers += [("Via", f"SIP/2.0/UDP 192.0.2.{n % 250};branch=z9hG4bK{n}") for n in range(1, vias)]
    headers += [
        ("From", "<sip:a@b>;tag=1"), ("To", "<sip:a@b>"), ("Call-ID", call_id),
        ("CSeq", "1 REGISTER"), ("Max-Forwards", "70"),
    ]  # fmt: skip
    return compose(f"REGISTER sip:{host}:{port} SIP/2.0", headers, body)


NOISE = [random.Random(seed).randbytes(length) for seed, length in enumerate((1, 17, 300, 9000))]
HARMLESS = {
    "empty": b"", "keep-alive": b"\r\n\r\n", "zeros": b"\0" * 5000, "line ends": b"\r\n" * 8000,
    "no end": b"INVITE sip:a@b SIP/2.0\r\nVia: " + b"a" * 60000,
    "65507 bytes": b"x" * 65507, "colons": b"OPTIONS sip:a SIP/2.0\r\n" + b":\r\n" * 20000,
    **{f"noise {number}": data for number, data in enumerate(NOISE)},
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_datagrams_that_are_no_message(
    server: RunningServer, phone: MakePhone, name: str
) -> None:
    peer = phone(server)
    peer.send(HARMLESS[name])
    peer.ping()
    peer.ping()
    assert [m for m in peer.drain() if m.status and m.status != 400] == []


def test_200_vias_come_back(server: RunningServer, phone: MakePhone) -> None:
    peer = phone(server)
    peer.send(register(peer, "two-hundred-vias-0123", vias=200))
    answer = peer.expect_that(lambda m: m.status >= 400, "an answer")
    assert len(answer.values("Via")) == 200


def test_a_datagram_of_64_kib(server: RunningServer, phone: MakePhone) -> None:
    peer = phone(server)
    data = register(peer, "long-body-0123456789", body="b" * 64800)
    peer.send(data)
    assert peer.expect(401).call_id == "long-body-0123456789"


def test_a_stream_in_pieces(server: RunningServer, phone: MakePhone) -> None:
    peer = phone(server, transport="tcp")
    first, second = register(peer, "in-pieces-0123456789"), register(peer, "joined-0123456789abc")
    for start in range(0, len(first), 7):
        peer.send(first[start : start + 7])
    peer.expect(401, call_id="in-pieces-0123456789")
    peer.send(b"\r\n\r\n" + first + b"\r\n" + second)
    peer.expect(401, call_id="in-pieces-0123456789")
    peer.expect(401, call_id="joined-0123456789abc")


@pytest.mark.parametrize("name", ["ncl.dat", "mcl01.dat"])
def test_a_stream_with_a_bad_length_is_answered_and_closed(
    server: RunningServer, phone: MakePhone, name: str
) -> None:
    peer = phone(server, transport="tcp")
    peer.send((TORTURE / name).read_bytes())
    peer.expect(400)
    peer.expect_close()


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", NOISE[3], b"\0" * 70000])
def test_a_stream_that_is_not_sip(server: RunningServer, phone: MakePhone, data: bytes) -> None:
    peer = phone(server, transport="tcp")
    peer.send(data)
    other = phone(server, transport="tcp")
    other.send(register(other, "after-the-noise-012345"))
    other.expect(401)


def test_keep_alives_of_a_stream_are_answered(server: RunningServer, phone: MakePhone) -> None:
    peer = phone(server, transport="tcp")
    peer.send(b"\r\n\r\n")
    peer.socket.settimeout(5)
    assert peer.socket.recv(10) == b"\r\n"
