"""maxfwd: what it returns and what leaves, as Kamailio 5.6.3 does it."""

from __future__ import annotations

import pytest

from kamailiod.modules.maxfwd import Maxfwd
from kamailiod.script.context import Context
from tests.kamailiod.fakes import FakeServices, context_of

REQUEST = (
    b"OPTIONS sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKa\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n%s\r\n"
)


def with_line(line: bytes) -> Context:
    return context_of(REQUEST % line)


@pytest.mark.parametrize(
    ("line", "result", "sent"),
    [
        (b"Max-Forwards: 70\r\n", 1, b"Max-Forwards: 69"),
        (b"Max-Forwards: 1\r\n", 1, b"Max-Forwards: 0"),
        (b"Max-Forwards: 200\r\n", 1, b"Max-Forwards: 70"),
        (b"Max-Forwards: 0\r\n", -1, b"Max-Forwards: 0"),
        (b"Max-Forwards: many\r\n", -2, b"Max-Forwards: many"),
        (b"", 2, b"Max-Forwards: 10"),
    ],
)
def test_process_maxfwd(services: FakeServices, line: bytes, result: int, sent: bytes) -> None:
    context = with_line(line)
    assert services.load(Maxfwd).process_maxfwd(context, 10) == result
    assert sent in context.edits.header_lines(context.message)
    assert context.shared.notes.get("maxfwd", False) is (result > 0)


def test_each_call_lowers_it_once_more(services: FakeServices) -> None:
    module = services.load(Maxfwd)
    for line, expected in ((b"Max-Forwards: 70\r\n", b"68"), (b"", b"9")):
        context = with_line(line)
        module.process_maxfwd(context, 10)
        module.process_maxfwd(context, 10)
        lines = context.edits.header_lines(context.message)
        assert [x for x in lines if b"Max" in x] == [b"Max-Forwards: " + expected]


def test_is_maxfwd_lt_sees_the_lowered_value(services: FakeServices) -> None:
    module = services.load(Maxfwd)
    context = with_line(b"Max-Forwards: 70\r\n")
    assert [module.is_maxfwd_lt(context, n) for n in (10, 70, 71)] == [-1, -1, 1]
    module.process_maxfwd(context, 10)
    assert module.is_maxfwd_lt(context, 70) == 1
    assert module.is_maxfwd_lt(with_line(b""), 70) == -2
    assert module.is_maxfwd_lt(with_line(b"Max-Forwards: x\r\n"), 70) == -3
