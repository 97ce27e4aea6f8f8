"""KSR.hdr: edits, visibility and return values; expected values are Kamailio 5.6.3's."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamailiod.modules.hdr import Hdr
from kamailiod.script.context import Context
from tests.kamailiod.fakes import FakeServices, context_of

OPTIONS = (Path(__file__).parents[2] / "messages" / "options-with-body.sip").read_bytes()


@pytest.fixture
def hdr(services: FakeServices) -> Hdr:
    module: Hdr = services.load(Hdr)
    return module


@pytest.fixture
def context() -> Context:
    return context_of(OPTIONS)


def sent(context: Context) -> list[bytes]:
    return context.edits.header_lines(context.message)


def test_appended_headers_leave_and_are_not_seen_before(hdr: Hdr, context: Context) -> None:
    assert hdr.append(context, b"X-N: 1\r\nX-M: 2\r\n  folded\r\n") == 1
    assert hdr.is_present(context, b"X-N") == -1
    assert sent(context)[-3:] == [b"X-N: 1", b"X-M: 2", b"  folded"]


def test_positions(hdr: Hdr, context: Context) -> None:
    hdr.insert(context, b"X-I1: 1\r\n")
    hdr.insert(context, b"X-I2: 1\r\n")
    hdr.insert_before(context, b"X-IB: 1\r\n", b"X-A")
    hdr.append_after(context, b"X-AF: 1\r\n", b"x-a")
    hdr.append_after(context, b"X-AN: 1\r\n", b"X-None")
    hdr.insert_before(context, b"X-IN: 1\r\n", b"X-None")
    lines = sent(context)
    assert lines[:3] == [b"X-I1: 1", b"X-I2: 1", b"X-IN: 1"]
    around = lines.index(b"X-A: one")
    assert lines[around - 1 : around + 2] == [b"X-IB: 1", b"X-A: one", b"X-AF: 1"]
    assert lines[-1] == b"X-AN: 1"


def test_remove(hdr: Hdr, context: Context) -> None:
    assert (hdr.remove(context, b"x-a"), hdr.remove(context, b"Nope")) == (1, 1)
    assert hdr.remove(context, b"") == -1
    assert hdr.rmappend(context, b"X-B", b"X-B: new\r\n") == 1
    lines = sent(context)
    assert not [x for x in lines if x.startswith(b"X-A")]
    assert [x for x in lines if x.startswith(b"X-B")] == [b"X-B: new"]
    assert hdr.is_present(context, b"X-A") == 1


def test_text_that_is_no_header_is_refused(hdr: Hdr, context: Context) -> None:
    before = sent(context)
    assert [hdr.append(context, text) for text in (b"bad", b"", b": x\r\n")] == [-1, -1, -1]
    assert sent(context) == before


def test_getters(hdr: Hdr, context: Context) -> None:
    assert hdr.get(context, b"X-A") == b"one"
    assert hdr.get(context, b"f") == b'"Ann" <sip:ann@127.0.0.1>;tag=1'
    assert hdr.get(context, b"Nope") is None
    assert (hdr.gete(context, b"Nope"), hdr.getw(context, b"Nope")) == (b"", b"<null>")
    found = [hdr.get_idx(context, b"X-A", index) for index in (0, 1, -1, -2, 7, -3)]
    assert found == [b"one", b"two", b"two", b"one", None, None]
    assert hdr.getw_idx(context, b"X-A", 7) == b"<null>"
    assert hdr.gete_idx(context, b"X-A", 7) == b""


@pytest.mark.parametrize("operator", [b"eq", b"sw", b"in"])
def test_match_content(hdr: Hdr, context: Context, operator: bytes) -> None:
    match = [hdr.match_content(context, b"X-A", operator, b"one", w) for w in (b"f", b"l", b"a")]
    assert match == [True, False, False]
    assert hdr.match_content(context, b"X-A", operator, b"one", b"o")
    assert not hdr.match_content(context, b"Nope", operator, b"one", b"o")
    assert not hdr.match_content(context, b"X-A", b"zz", b"one", b"f")


def test_append_to_reply(hdr: Hdr, context: Context) -> None:
    assert hdr.append_to_reply(context, b"X-R: 1\r\n") == 1
    assert context.shared.reply_lines == [b"X-R: 1"]
