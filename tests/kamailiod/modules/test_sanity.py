"""sanity_check: every torture message gets what the index says; each bit checks what it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamailiod.modules.sanity import Sanity
from kamailiod.script.context import Context
from kamailiod.sip.message import parse
from tests.kamailiod.fakes import FakeServices, context_of

TORTURE = Path(__file__).parents[2] / "messages" / "torture"

# Requests that must be refused, with the status; the index allows others (400 or repair) for
# those that are accepted here: badaspec, badbranch, baddate, regbadct.
REFUSED = {
    "baddn": 400, "baddn-terminated": 400, "badinv01": 400, "badvers": 505, "bext01": 420,
    "clerr": 400, "escruri": 400, "insuf": 400, "ipv6-bad": 400, "ltgtruri": 400, "lwsruri": 400,
    "lwsstart": 400, "mcl01": 400, "mismatch01": 400, "mismatch02": 400, "multi01": 400,
    "ncl": 400, "novelsc": 416, "quotbal": 400, "scalar02": 400, "test": 0, "trws": 400,
    "unkscm": 416, "unksm2": 400,
}  # fmt: skip
SILENT = ("bigcode", "scalarlg")

GOOD = (
    b"INVITE sip:bob@example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKa\r\n"
    b"From: <sip:alice@example.com>;tag=1\r\n"
    b"To: <sip:bob@example.com>\r\n"
    b"Call-ID: a@b\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@127.0.0.1>\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def sanity(services: FakeServices, **params: object) -> Sanity:
    module: Sanity = services.load(Sanity, **params)
    services.start()
    return module


def answer(services: FakeServices) -> bytes:
    return services.network.sent[-1][1] if services.network.sent else b""


@pytest.mark.parametrize("path", sorted(TORTURE.glob("*.dat")), ids=lambda path: path.stem)
@pytest.mark.parametrize("checks", [(1511, 7), None], ids=["1511", "defaults"])
def test_torture_message_gets_what_the_index_says(
    services: FakeServices, path: Path, checks: tuple[int, int] | None
) -> None:
    module = sanity(services)
    context = context_of(path.read_bytes())
    message = context.message
    if path.stem in SILENT:
        assert message.fault is not None
        assert not message.is_request
        return
    if message.fault is not None:
        assert message.fault_status == REFUSED[path.stem]
        return
    result = run(module, context, checks)
    if path.stem not in REFUSED:
        assert result == 1
        assert not services.network.sent
        return
    assert result == -1
    assert answer(services).startswith(b"SIP/2.0 %d " % REFUSED[path.stem])


def run(module: Sanity, context: Context, checks: tuple[int, int] | None) -> int:
    if checks is None:
        return module.sanity_check_defaults(context)
    return module.sanity_check(context, *checks)


def test_unsupported_lists_every_proxy_require_tag(services: FakeServices) -> None:
    context = context_of(GOOD.replace(b"\r\nCSeq", b"\r\nProxy-Require: one, gin\r\nCSeq"))
    assert sanity(services, proxy_require="gin").sanity_check(context, 1511, 7) == -1
    assert b"\r\nUnsupported: one\r\n" in answer(services)


@pytest.mark.parametrize(
    ("old", "new", "checks", "uris", "status"),
    [
        (b"CSeq:", b"Expires: soon\r\nCSeq:", 256, 0, b"400 Expires value is illegal"),
        (b"CSeq:", b"Expires: 99999999999\r\nCSeq:", 256, 0, b"400 Expires value is illegal"),
        (b"sip:bob@example.com SIP", b"sip:bob@[::1 SIP", 2, 0, b"400 Bad Request URI"),
        (b"sip:bob@example.com SIP", b"sip:bob@[::1 SIP", 1024, 1, b"400 Bad Request URI"),
        (b"<sip:alice@example.com>", b"<sip:alice@>", 1024, 2, b"400 Invalid From Header"),
        (b"To: <sip:bob@example.com>", b"To: <sip:bob@>", 1024, 4, b"400 Invalid To Header"),
        (b"<sip:alice@127.0.0.1>", b"<sip:alice@>", 1024, 8, b"400 Invalid Contact Header"),
        (b";tag=1", b";tag=1;tag=2", 4096, 0, b"400 Multiple tag parameters"),
        (b"Via: SIP/2.0", b"Via: SIP/3.0", 16, 0, b"400 Unsupported Via protocol or version"),
        (b"CSeq:", b"Authorization: Digest realm=\"a\"\r\nCSeq:", 2048, 0,
         b"400 Bad Digest Credentials"),
        (b"CSeq:", b"Authorization: Digest\r\nCSeq:", 8192, 0, b"400 Bad Authorization Header"),
    ],
)  # fmt: skip
def test_each_bit_refuses_its_fault_and_no_other_bit_does(
    services: FakeServices, old: bytes, new: bytes, checks: int, uris: int, status: bytes
) -> None:
    module = sanity(services)
    bad = GOOD.replace(old, new, 1)
    assert module.sanity_check(context_of(bad), 0, 0) == 1
    assert module.sanity_check(context_of(GOOD), checks, uris) == 1
    assert not services.network.sent
    assert module.sanity_check(context_of(bad), checks, uris) == -1
    assert answer(services).startswith(b"SIP/2.0 " + status + b"\r\n")


def test_sizes(services: FakeServices) -> None:
    module = sanity(services, size_header=40)
    assert module.sanity_check(context_of(GOOD), 65536, 0) == -1
    assert answer(services).startswith(b"SIP/2.0 400 Headers Too Large")


def test_an_ack_is_refused_in_silence(services: FakeServices) -> None:
    bad = GOOD.replace(b"INVITE", b"ACK").replace(b"sip:bob@example.com SIP", b"foo:bar SIP")
    assert sanity(services).sanity_check(context_of(bad), 2, 0) == -1
    assert not services.network.sent


def test_noreply_leaves_the_answer_to_sanity_reply(services: FakeServices) -> None:
    module = sanity(services, noreply=1)
    context = context_of(GOOD.replace(b"sip:bob@example.com SIP", b"foo:bar SIP"))
    assert module.sanity_check(context, 1511, 7) == -1
    assert not services.network.sent
    assert module.sanity_reply(context) == 1
    assert answer(services).startswith(b"SIP/2.0 416 ")
    assert module.sanity_reply(context) == -1


@pytest.mark.parametrize(("autodrop", "result"), [(1, 0), (0, -1)])
def test_native_failure_ends_the_script_unless_autodrop_is_off(
    services: FakeServices, autodrop: int, result: int
) -> None:
    module = sanity(services, autodrop=autodrop)
    bad = context_of(GOOD.replace(b"sip:bob@example.com SIP", b"foo:bar SIP"))
    assert module.native_sanity_check(bad) == result
    assert module.native_sanity_check(context_of(GOOD), 1511, 7) == 1


def test_replies_pass_the_checks_of_requests(services: FakeServices) -> None:
    reply = GOOD.replace(b"INVITE sip:bob@example.com SIP/2.0", b"SIP/2.0 200 OK")
    assert not parse(reply).is_request
    assert sanity(services).sanity_check_defaults(context_of(reply)) == 1
