"""The torture messages of RFC 4475 and RFC 5118 against the running embedded default.

The guide's script answers nothing to a request outside a dialog that is neither REGISTER nor
INVITE: silence is its answer there.
"""

from __future__ import annotations

import csv
import re
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.embedded_default import embedded_default
from tests.end_to_end.running_server import ROOT, RunningServer
from tests.end_to_end.sip_client import Peer

FOLDER = ROOT / "tests/messages/torture"
with (FOLDER / "index.tsv").open(encoding="utf-8") as _file:
    INDEX = {row["file"]: row for row in csv.DictReader(_file, delimiter="\t")}

# The addresses that the messages come from: answers go to the port of the Via, which they choose.
SENDERS = {name: f"127.0.1.{number}" for number, name in enumerate(INDEX, 1)}
_VIA_PORT = re.compile(
    rb"(?im)^(?:via|v)\s*:\s*SIP\s*/\s*2\.0\s*/\s*\w+\s+(?:\[[^\]]*\]|[^\s:;,\[]+)\s*:\s*(\d+)"
)
SILENCE: frozenset[int] = frozenset()
ROUTED = {100, 404, 408, 478, 500, 503}
EXPECTED = {
    "wsinv.dat": {403, *ROUTED}, "intmeth.dat": {403, *ROUTED}, "esc01.dat": ROUTED,
    "longreq.dat": ROUTED, "baddate.dat": ROUTED, "invut.dat": ROUTED, "sdp01.dat": ROUTED,
    "inv2543.dat": ROUTED, "mult-ip-in-sdp.dat": ROUTED, "ipv6-in-sdp.dat": ROUTED,
    "ipv4-mapped-ipv6.dat": ROUTED, "ipv6-correct-abnf-2-colons.dat": {401, *ROUTED},
    "ipv6-bug-abnf-3-colons.dat": {400, 401, *ROUTED}, "mult-ip-in-header.dat": {403, *ROUTED},
    "escnull.dat": {401}, "dblreq.dat": {401}, "regaut01.dat": {401}, "cparam01.dat": {401},
    "cparam02.dat": {401}, "regescrt.dat": {401}, "ipv6-good.dat": {401},
    "regbadct.dat": {400, 401}, "via-received-param-with-delim.dat": {403, *ROUTED},
    "via-received-param-no-delim.dat": {401, *ROUTED}, "port-ambiguous.dat": {401, *ROUTED},
    "port-unambiguous.dat": {401, *ROUTED},
    "badvers.dat": {505}, "mismatch02.dat": {400, 501}, "unkscm.dat": {416},
    "novelsc.dat": {416}, "bext01.dat": {420}, "unksm2.dat": {400}, "zeromf.dat": {483},
    "lwsruri.dat": {400, 403},
    **{name: {400} for name in (
        "badinv01.dat", "clerr.dat", "ncl.dat", "scalar02.dat", "quotbal.dat", "ltgtruri.dat",
        "lwsstart.dat", "trws.dat", "escruri.dat", "badaspec.dat", "baddn.dat",
        "baddn-terminated.dat", "mismatch01.dat", "badbranch.dat", "insuf.dat", "multi01.dat",
        "mcl01.dat", "ipv6-bad.dat",
    )},
    **dict.fromkeys((
        "scalarlg.dat", "bigcode.dat", "unreason.dat", "noreason.dat", "bcast.dat", "test.dat",
    ), SILENCE),
}  # fmt: skip
# OPTIONS and the like without To tag, of which the guide's script says nothing.
UNANSWERED_BY_THE_SCRIPT = {
    "esc02.dat", "lwsdisp.dat", "semiuri.dat", "transports.dat", "mpart01.dat", "badaspec.dat",
    "badbranch.dat", "zeromf.dat", "bext01.dat", "intmeth.dat", "via-received-param-no-delim.dat",
    "ipv6-bug-abnf-3-colons.dat", "ipv6-correct-abnf-2-colons.dat",
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with embedded_default(tmp_path_factory.mktemp("torture")) as running:
        yield running


@pytest.mark.parametrize("name", INDEX)
def test_a_message_gets_its_answer(server: RunningServer, name: str) -> None:
    data = (FOLDER / name).read_bytes()
    statuses = answers(server, data, SENDERS[name], wanted=is_wanted(name))
    expected = EXPECTED.get(name, SILENCE)
    if name in UNANSWERED_BY_THE_SCRIPT:
        assert set(statuses) <= expected
    elif expected:
        assert statuses
        assert set(statuses) <= expected, statuses
    else:
        assert statuses == []


def is_wanted(name: str) -> bool:
    return bool(EXPECTED.get(name)) and name not in UNANSWERED_BY_THE_SCRIPT


def answers(
    server: RunningServer, data: bytes, address: str = "127.0.0.60", wanted: bool = False
) -> list[int]:
    """Send a datagram; return the status codes that came back until the workers are done.

    An answer that is `wanted` is waited for: it may have to wait for DNS.
    """
    match = _VIA_PORT.search(data)
    port = int(match[1]) if match else 5060
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.bind((address, port))
        sender.sendto(data, (server.host, server.port))
        every_worker_answers(server)
        if wanted:
            select.select([sender], [], [], 8)
        sender.setblocking(False)
        found = []
        while True:
            try:
                answer = sender.recv(65536)
            except BlockingIOError:
                return found
            if answer.startswith(b"SIP/2.0 "):
                found.append(int(answer.split(b" ", 2)[1]))


def every_worker_answers(server: RunningServer) -> None:
    """Have both workers answer: what they got before is done, and they are alive."""
    with Peer((server.host, server.port)) as peer:
        for number in range(8):
            peer.ping(f"{number:02}-every-worker-answers")


@pytest.mark.parametrize("path", sorted((FOLDER / "seeds").iterdir()), ids=lambda p: p.name)
def test_what_crashed_others_does_no_harm(server: RunningServer, path: Path) -> None:
    answers(server, path.read_bytes())


def test_the_server_lives(server: RunningServer) -> None:
    assert not re.findall("Traceback|died|Warning: ", server.log())
