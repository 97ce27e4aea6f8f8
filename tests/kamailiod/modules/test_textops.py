"""textops; return values and resulting messages are Kamailio 5.6.3's unless said otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamailiod.modules.textops import Textops
from kamailiod.script.context import Context
from kamailiod.sip.body import parse_multipart
from tests.kamailiod.fakes import FakeServices, context_of

OPTIONS = (Path(__file__).parents[2] / "messages" / "options-with-body.sip").read_bytes()


@pytest.fixture
def textops(services: FakeServices) -> Textops:
    module: Textops = services.load(Textops)
    return module


@pytest.fixture
def context() -> Context:
    return context_of(OPTIONS)


def sent(context: Context) -> bytes:
    return context.edits.apply(context.message)


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [
        ("cmp_str", (b"a", b"a"), 1), ("cmp_str", (b"a", b"A"), -2), ("cmp_istr", (b"a", b"A"), 1),
        ("starts_with", (b"abc", b"ab"), 1), ("starts_with", (b"abc", b"x"), -2),
        ("starts_with", (b"", b"x"), -1), ("ends_with", (b"abc", b"bc"), 1),
        ("ends_with", (b"abc", b"x"), -2), ("ends_with", (b"a", b"xx"), -1),
        ("str_find", (b"abc", b"bc"), 2), ("str_find", (b"abc", b"x"), -1),
        ("str_ifind", (b"abc", b"BC"), 2), ("str_any_in", (b"abc", b"xb"), 1),
        ("str_any_in", (b"abc", b"x"), -1), ("str_all_in", (b"aab", b"ab"), 1),
        ("str_all_in", (b"abc", b"ab"), -1), ("search_str", (b"abc", b"B"), 1),
        ("search_str", (b"abc", b"x"), -1), ("search_str", (b"abc", b"("), -1),
        ("in_list", (b"a", b" a , b ", b","), 1), ("in_list", (b"c", b"a,b", b","), -1),
        ("in_list", (b"a", b"a,b", b""), -1), ("in_list_prefix", (b"ab", b"a,b", b","), 1),
        ("in_list_prefix", (b"c", b"a,b", b","), -1),
        ("is_present_hf", (b"f",), 1), ("is_present_hf", (b"Nope",), -1),
        ("is_present_hf_re", (b"^X-",), 1), ("is_present_hf_re", (b"^Y-",), -1),
        ("remove_hf", (b"Nope",), 1), ("remove_hf_re", (b"^Y-",), -1),
        ("remove_hf_exp", (b"^Y-", b"^X-"), -1), ("remove_hf_idx", (b"X-A", 5), 2),
        ("remove_hf_match", (b"X-A", b"eq", b"zz"), -2),
        ("search", (b"X-A",), 1), ("search", (b"nonono",), -1), ("search_body", (b"hello",), 1),
        ("search_body", (b"X-A",), -1), ("search_hf", (b"X-A", b"one", b"a"), 1),
        ("search_hf", (b"X-A", b"two", b"f"), -1), ("search_hf", (b"X-A", b"two", b"l"), 1),
        ("has_body", (), 1), ("has_body_type", (b"text/plain",), 1),
        ("has_body_type", (b"application/sdp",), -1), ("is_privacy", (b"id",), 1),
        ("is_privacy", (b"user",), -1), ("is_audio_on_hold", (), -1),
        ("subst", (b"/qqq/x/",), -1), ("subst", (b"/unfinished/",), -1),
        ("subst_hf", (b"X-Q", b"/o/0/g", b"a"), -1), ("replace", (b"nono", b"y"), -1),
        ("replace_str", (b"nono", b"z", b"a"), 1), ("set_body", (b"", b"text/x"), -1),
    ],
)  # fmt: skip
def test_answers_that_leave_the_message_as_it_is(
    textops: Textops, context: Context, function: str, arguments: tuple[object, ...], result: int
) -> None:
    assert getattr(textops, function)(context, *arguments) == result
    assert sent(context) == OPTIONS


@pytest.mark.parametrize(
    ("function", "arguments", "old", "new"),
    [
        ("subst", (b"/X-A: one/X-A: uno/",), b"X-A: one", b"X-A: uno"),
        ("subst", (rb"/X-(A|B): o(n)e/X-\1: \2\n/",), b"X-A: one", b"X-A: n"),
        ("subst", (b"#x-c: ([[:digit:]])#X-C: \\1\\1#i",), b"X-C: 3", b"X-C: 33"),
        ("subst", (b"/^X-C:.*$/X-C: $ci/",), b"X-C: 3", b"X-C: c1"),
        ("subst_hf", (b"X-B", b"/[no]/0/g", b"a"), b"X-B: one", b"X-B: 00e"),
        ("replace", (b"X-C: 3", b"X-C: drei"), b"X-C: 3", b"X-C: drei"),
        ("replace_hdrs", (b"X-C: 3", b"X-C: 3\r\nX-D: 4"), b"X-C: 3", b"X-C: 3\r\nX-D: 4"),
        ("replace_hdrs", (b"X-B: one\r\n", b""), b"X-B: one\r\n", b""),
        ("replace_hdrs_str", (b"X-A: ", b"X-Z: ", b"l"), b"X-A: two", b"X-Z: two"),
        ("replace_body", (b"L", b"_"), b"hello", b"he_lo"),
        ("replace_body_all", (b"o", b"0"), b"hello world", b"hell0 w0rld"),
        ("replace_body_str", (b"o", b"0", b"l"), b"hello world", b"hello w0rld"),
        ("replace_body_atonce", (b"^.*$", b"other words"), b"hello world", b"other words"),
        ("search_append", (b"X-B: o", b"!"), b"X-B: one", b"X-B: o!ne"),
        ("search_append_body", (b"hello", b"!!"), b"hello world", b"hello!! world"),
        ("remove_hf", (b"x-a",), b"X-A: one\r\nX-B: one\r\nX-A: two\r\n", b"X-B: one\r\n"),
        ("remove_hf_re", (b"^x-[ab]",), b"X-A: one\r\nX-B: one\r\nX-A: two\r\n", b""),
        ("remove_hf_exp", (b"^x-", b"[ab]"), b"X-C: 3\r\n", b""),
        ("remove_hf_idx", (b"X-A", -1), b"X-A: two\r\n", b""),
        ("remove_hf_match", (b"X-A", b"re", b"^t"), b"X-A: two\r\n", b""),
        ("append_hf", (b"X-N: 1\r\n", b"X-C"), b"X-C: 3\r\n", b"X-C: 3\r\nX-N: 1\r\n"),
        ("insert_hf", (b"X-N: 1\r\n", b"X-C"), b"X-C: 3\r\n", b"X-N: 1\r\nX-C: 3\r\n"),
    ],
)  # fmt: skip
def test_changes(
    textops: Textops,
    context: Context,
    function: str,
    arguments: tuple[object, ...],
    old: bytes,
    new: bytes,
) -> None:
    assert getattr(textops, function)(context, *arguments) == 1
    changed = OPTIONS.replace(old, new)
    assert changed != OPTIONS
    length = b"Content-Length: %d\r\n" % len(changed.partition(b"\r\n\r\n")[2])
    want = changed.replace(b"Content-Length: 11\r\n", length)
    assert sorted(sent(context).split(b"\r\n")) == sorted(want.split(b"\r\n"))
    if context.edits.body is None:
        assert sent(context) == want


def test_changes_add_up(textops: Textops, context: Context) -> None:
    textops.replace_hdrs(context, b"one", b"1")
    textops.replace_hdrs(context, b"X-A: 1", b"X-A: eins")
    textops.append_hf(context, b"X-N: 1\r\n")
    lines = sent(context).split(b"\r\n")
    assert b"X-A: eins" in lines
    assert b"X-B: 1" in lines
    assert b"X-N: 1" in lines


def test_the_request_uri_may_be_substituted(textops: Textops, context: Context) -> None:
    assert textops.subst_user(context, b"/(.*)/+\\1/") == 1
    assert context.uri == b"sip:+joe;x=1@a.example:99;x=1"
    assert textops.subst_uri(context, b"/A\\.example/b.example/i") == 1
    assert context.uri == b"sip:+joe;x=1@b.example:99;x=1"
    assert textops.subst(context, b"/^OPTIONS sip:.joe/OPTIONS sip:ann/") == 1
    assert context.uri == b"sip:ann;x=1@b.example:99;x=1"


def test_substring_and_substituted_variable(
    textops: Textops, services: FakeServices, context: Context
) -> None:
    result = services.variables.compile(b"$avp(z)")
    find = (b"abc123", b"([a-z]+)([0-9]+)")
    assert textops.regex_substring(context, *find, 1, 2, b"$avp(z)") == 1
    assert result.get(context) == b"abc"
    assert textops.regex_substring(context, b"abc", b"zz", 0, 1, b"$avp(z)") == -2
    assert textops.regex_substring(context, *find, 7, 9, b"$avp(z)") == -1
    assert textops.subst_v(context, b"$avp(z)", b"/b/B/", b"$avp(y)") == 1
    assert services.variables.compile(b"$avp(y)").get(context) == b"aBc"


def test_set_body(textops: Textops, context: Context) -> None:
    assert textops.set_body(context, b"newbody", b"text/x") == 1
    head, _, body = sent(context).partition(b"\r\n\r\n")
    assert body == b"newbody"
    lines = head.split(b"\r\n")
    assert [x for x in lines if x.startswith(b"Content-")] == [
        b"Content-Type: text/x", b"Content-Length: 7",
    ]  # fmt: skip
    assert textops.set_body_hex(context, b"41 42", b"text/y") == 1
    assert sent(context).endswith(b"\r\n\r\nAB")
    assert sent(context).count(b"Content-Type:") == 1


def test_multipart(textops: Textops, services: FakeServices, context: Context) -> None:
    assert textops.append_body_part(context, b"x", b"text/x") == -1
    assert textops.set_body_multipart_mode(context) == 1
    assert textops.append_body_part_cd(context, b"<a/>", b"text/xml;a=1", b"render") == 1
    message = context_of(sent(context)).message
    parsed = parse_multipart(message.content_type, message.body)
    assert parsed is not None
    assert [(p.media_type, p.content) for p in parsed.parts] == [
        (b"text/plain", b"hello world"), (b"text/xml", b"<a/>"),
    ]  # fmt: skip
    assert textops.get_body_part(context, b"text/xml", b"$avp(p)") == 1
    assert services.variables.compile(b"$avp(p)").get(context) == b"<a/>"
    assert textops.get_body_part_raw(context, b"text/xml", b"$avp(p)") == 1
    assert b"Content-Disposition: render" in services.variables.compile(b"$avp(p)").get(context)
    assert textops.remove_body_part(context, b"text/nope") == -1
    assert textops.remove_body_part(context, b"text/plain") == 1
    assert textops.filter_body(context, b"text/xml") == 1
    assert sent(context).endswith(b"\r\n\r\n<a/>")
    assert b"Content-Type: text/xml\r\n" in sent(context)


@pytest.mark.parametrize(
    ("sdp", "held"),
    [
        (b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 1 RTP/AVP 0\r\na=sendrecv\r\n", -1),
        (b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 1 RTP/AVP 0\r\na=sendonly\r\n", 1),
        (b"v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 1 RTP/AVP 0\r\n", 1),
        (b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=video 1 RTP/AVP 0\r\na=inactive\r\n", -1),
    ],
)
def test_is_audio_on_hold(textops: Textops, sdp: bytes, held: int) -> None:
    head = OPTIONS.partition(b"\r\n\r\n")[0].replace(b"text/plain", b"application/sdp")
    head = head.replace(b"Content-Length: 11", b"Content-Length: %d" % len(sdp))
    assert textops.is_audio_on_hold(context_of(head + b"\r\n\r\n" + sdp)) == held


def test_reply_body_and_lines_are_kept_for_local_replies(
    textops: Textops, context: Context
) -> None:
    assert textops.set_reply_body(context, b"x", b"text/x") == 1
    assert textops.append_to_reply(context, b"X-R: 1\r\n") == 1
    assert textops.append_time(context) == 1
    assert context.shared.notes["reply_body"] == (b"x", b"text/x")
    assert context.shared.reply_lines[0] == b"X-R: 1"
    assert context.shared.reply_lines[1].endswith(b" GMT")
