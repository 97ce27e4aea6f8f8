"""textopsx from Lua; return values and resulting messages are Kamailio 5.6.3's."""

from __future__ import annotations

import pytest

from kamailiod.modules.textopsx import Textopsx
from kamailiod.script.context import Context, Route
from kamailiod.script.transactions import loop_value, request_key
from tests.kamailiod.fakes import FakeServices, context_of
from tests.kamailiod.lua_calls import LuaCalls

FOO = b'Foo: one;a=1;b="q", <sip:x@y;p=1>;bar=3, three'
AUTHORIZATION = b'Authorization: Digest username="u", realm="r", uri="sip:x"'
HEAD = b"\r\n".join((
    b"INVITE sip:bob@example.com SIP/2.0",
    b"Via: SIP/2.0/UDP 10.0.0.9:5066;branch=z9hG4bKx1",
    b"From: <sip:alice@example.com>;tag=f1",
    b"To: <sip:bob@example.com>",
    b"Call-ID: textopsx",
    b"CSeq: 1 INVITE",
    b"Supported: path, 100rel",
    FOO,
    b"Foo: four",
    AUTHORIZATION,
    b"Content-Type: application/sdp",
))  # fmt: skip
BODY = b"v=0\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n"
INVITE = HEAD + b"\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
REPLY = (
    b"SIP/2.0 603 Decline\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKx1\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: r\r\nCSeq: 1 INVITE\r\n"
    b"Content-Length: 0\r\n\r\n"
)


@pytest.fixture
def lua(services: FakeServices) -> LuaCalls:
    return LuaCalls(services, [services.load(Textopsx)])


@pytest.fixture
def context() -> Context:
    return context_of(INVITE)


def sent(context: Context) -> list[bytes]:
    return context.edits.apply(context.message).split(b"\r\n")


CHANGED = [
    ('append_hf_value("foo", "gogo;x=1")', 1, FOO, FOO + b"\nfoo: gogo;x=1"),
    ('append_hf_value("foo[1]", "gogo")', 1, FOO, FOO.replace(b'"q",', b'"q",gogo,')),
    ('append_hf_value("foo[-1]", "gogo")', 1, b"Foo: four", b"Foo: four,gogo"),
    ('append_hf_value("foo[0]", "gogo")', 1, b"Foo: four", b"Foo: four,gogo"),
    ('append_hf_value("foo[9]", "gogo")', 1, FOO, FOO + b"\nfoo: gogo"),
    ('append_hf_value("foo", "")', 1, FOO, FOO + b"\nfoo: "),
    ('append_hf_value("foo.x", "gogo")', -1, FOO, FOO),
    ('append_hf_value("foo[*]", "gogo")', -1, FOO, FOO),
    ('append_hf_value("foo[x]", "gogo")', -1, FOO, FOO),
    ('insert_hf_value("foo", "gogo")', 1, FOO, FOO + b"\nfoo: gogo"),
    ('insert_hf_value("foo[2]", "gogo")', 1, FOO, FOO.replace(b'"q",', b'"q",gogo,')),
    ('insert_hf_value("foo[1]", "gogo")', 1, FOO, FOO.replace(b"one", b"gogo,one")),
    ('insert_hf_value("foo[-1]", "gogo")', 1, b"Foo: four", b"Foo: gogo,four"),
    ('insert_hf_value("foo[9]", "gogo")', -1, FOO, FOO),
    ('remove_hf_value("foo")', 1, FOO, b"Foo:  <sip:x@y;p=1>;bar=3, three"),
    ('remove_hf_value("foo[2]")', 1, FOO, b'Foo: one;a=1;b="q", three'),
    ('remove_hf_value("foo[4]")', 1, b"Foo: four", None),
    ('remove_hf_value("foo[-1]")', 1, b"Foo: four", None),
    ('remove_hf_value("foo[*]")', 1, FOO, None),
    ('remove_hf_value("foo.a")', 1, FOO, FOO.replace(b";a=1", b"")),
    ('remove_hf_value("foo[*].a")', 1, FOO, FOO.replace(b";a=1", b"")),
    ('remove_hf_value("foo[2].bar")', 1, FOO, FOO.replace(b";bar=3", b"")),
    ('remove_hf_value("foo.zz")', -1, FOO, FOO),
    ('remove_hf_value("new")', -1, FOO, FOO),
    ('remove_hf_value("")', -1, FOO, FOO),
    ('assign_hf_value("foo", "gogo")', 1, FOO, b"Foo: gogo, <sip:x@y;p=1>;bar=3, three"),
    ('assign_hf_value("foo[-1]", "gogo")', 1, b"Foo: four", b"Foo: gogo"),
    ('assign_hf_value("foo.a", "9")', 1, FOO, FOO.replace(b"a=1", b"a=9")),
    ('assign_hf_value("foo.a", "")', 1, FOO, FOO.replace(b";a=1", b"")),
    ('assign_hf_value("foo.new", "9")', 1, FOO, FOO.replace(b'"q"', b'"q";new=9')),
    ('assign_hf_value("foo[2].bar", "7")', 1, FOO, FOO.replace(b"bar=3", b"bar=7")),
    ('assign_hf_value("foo[*]", "zz")', -1, FOO, FOO),
    ('assign_hf_value("foo[*].c", "")', -1, FOO, FOO),
    ('assign_hf_value("new", "v")', -1, FOO, FOO),
    ('remove_hf_value2("authorization", "")', 1, AUTHORIZATION, None),
    ('remove_hf_value2("authorization.realm", "")', 1, AUTHORIZATION,
     b'Authorization: Digest username="u", uri="sip:x"'),
    ('remove_hf_value2("authorization.username", "")', 1, AUTHORIZATION,
     b'Authorization: Digest  realm="r", uri="sip:x"'),
    ('remove_hf_value2("authorization.zz", "")', -1, AUTHORIZATION, AUTHORIZATION),
    ('assign_hf_value2("authorization.realm", "zz")', 1, AUTHORIZATION,
     b'Authorization: Digest username="u", realm=zz, uri="sip:x"'),
    ('assign_hf_value2("authorization.new", "yes")', 1, AUTHORIZATION, AUTHORIZATION + b",new=yes"),
    ('assign_hf_value2("Authorization", "Basic x=1")', 1, AUTHORIZATION,
     b"Authorization: Basic x=1"),
    ('include_hf_value("Supported", "timer")', 1, b"Supported: path, 100rel",
     b"Supported: path, 100rel,timer"),
    ('include_hf_value("Supported", "PATH")', 1, FOO, FOO),
    ('include_hf_value("New", "timer")', 1, FOO, FOO + b"\nNew: timer"),
    ('include_hf_value("foo[1]", "x")', -1, FOO, FOO),
    ('exclude_hf_value("Supported", "path")', 1, b"Supported: path, 100rel", b"Supported:  100rel"),
    ('exclude_hf_value("Supported", "100rel")', 1, b"Supported: path, 100rel", b"Supported: path"),
    ('exclude_hf_value("foo", "four")', 1, b"Foo: four", None),
    ('exclude_hf_value("New", "zz")', 1, FOO, FOO),
    ('hf_value_exists("Supported", "PATH")', 1, FOO, FOO),
    ('hf_value_exists("Supported", "pat")', -1, FOO, FOO),
    ('hf_value_exists("foo", "one")', -1, FOO, FOO),
    ('hf_value_exists("New", "x")', -1, FOO, FOO),
]  # fmt: skip


@pytest.mark.parametrize(("call", "result", "line", "becomes"), CHANGED)
def test_header_values(
    lua: LuaCalls, context: Context, call: str, result: int, line: bytes, becomes: bytes | None
) -> None:
    assert lua(context, f"return KSR.textopsx.{call}") == result
    lines = sent(context)
    expected = [] if becomes is None else becomes.split(b"\n")
    assert [found for found in lines if found in expected] or not expected
    assert set(expected) <= set(lines)
    if line not in expected:
        assert line not in lines


def test_a_number_means_the_value_as_received(lua: LuaCalls, context: Context) -> None:
    lua(context, 'KSR.textopsx.remove_hf_value("foo[1]") KSR.textopsx.remove_hf_value("foo[2]")')
    assert b"Foo:  three" in sent(context)


def test_header_iterator_shows_every_header(lua: LuaCalls, context: Context) -> None:
    names = lua(context, """
        local t = KSR.textopsx
        local names = ""
        t.hf_iterator_start("i")
        assert(t.hf_iterator_hname("i") == nil and KSR.pv == nil)
        while t.hf_iterator_next("i") > 0 do names = names .. t.hf_iterator_hname("i") .. " " end
        assert(t.hf_iterator_hbody("i") == nil and t.hf_iterator_rm("i") == -1)
        t.hf_iterator_end("i")
        return names""")
    assert names == (
        b"Via From To Call-ID CSeq Supported Foo Foo Authorization Content-Type Content-Length "
    )


def test_header_iterator_changes_where_it_stands(
    services: FakeServices, lua: LuaCalls, context: Context
) -> None:
    assert lua(context, """
        local t = KSR.textopsx
        t.hf_iterator_start("i")
        while t.hf_iterator_next("i") > 0 do
          if t.hf_iterator_hbody("i") == "four" then
            return t.hf_iterator_rm("i") + t.hf_iterator_append("i", "A: b\\r\\n")
              + t.hf_iterator_insert("i", "B: c\\r\\n")
          end
        end""") == 3
    lines = sent(context)
    assert lines[lines.index(FOO) + 1 :][:3] == [b"B: c", b"A: b", AUTHORIZATION]
    read = services.variables.accessors
    assert read[b"$hfitname(i)"].get(context) == b"Foo"
    assert read[b"$hfitbody(i)"].get(context) == b"four"
    assert read[b"$hfitbody(other)"].get(context) is None
    assert lua(context, 'return KSR.textopsx.hf_iterator_append("i", "no header")') == -1


def test_header_iterator_goes_back_and_there_are_four(lua: LuaCalls, context: Context) -> None:
    results = lua(context, """
        local t = KSR.textopsx
        local r = {}
        for n = 1, 5 do r[n] = t.hf_iterator_start("i" .. n) end
        r[6] = t.hf_iterator_start("i1")
        t.hf_iterator_next("i1") t.hf_iterator_next("i1")
        r[7] = t.hf_iterator_prev("i1")
        r[8] = t.hf_iterator_hname("i1") == "Via" and 1 or 0
        r[9] = t.hf_iterator_prev("i1")
        r[10] = t.hf_iterator_prev("i1")
        r[11] = t.hf_iterator_next("none")
        r[12] = t.hf_iterator_end("none")
        return table.concat(r, " ")""")
    assert results == b"1 1 1 1 -1 1 1 1 1 1 -1 1"


def test_body_iterator(services: FakeServices, lua: LuaCalls, context: Context) -> None:
    assert lua(context, """
        local t = KSR.textopsx
        assert(t.bl_iterator_start("b") == 1 and t.bl_iterator_value("b") == nil)
        while t.bl_iterator_next("b") > 0 do
          local line = t.bl_iterator_value("b")
          if line == "c=IN IP4 10.0.0.9\\r\\n" then assert(t.bl_iterator_rm("b") == 1) end
          if line == "t=0 0\\r\\n" then
            assert(t.bl_iterator_append("b", "a=after\\r\\n") == 1)
            assert(t.bl_iterator_insert("b", "a=before\\r\\n") == 1)
            break
          end
        end
        return t.bl_iterator_next("none")""") == -1
    assert sent(context)[-5:] == [b"v=0", b"a=before", b"t=0 0", b"a=after", b""]
    assert services.variables.accessors[b"$blitval(b)"].get(context) == b"t=0 0\r\n"
    assert lua(context, """
        local t = KSR.textopsx
        return t.bl_iterator_next("b") .. t.bl_iterator_rm("b") .. t.bl_iterator_end("b")
          .. t.bl_iterator_end("b")""") == b"-1-111"


def test_a_body_that_was_changed_meanwhile_is_left_alone(lua: LuaCalls, context: Context) -> None:
    lua(context, 'KSR.textopsx.bl_iterator_start("b") KSR.textopsx.bl_iterator_next("b")')
    context.edits.body = b"other"
    assert lua(context, 'return KSR.textopsx.bl_iterator_rm("b")') == -1
    assert context.edits.body == b"other"


def test_applied_changes_are_seen(lua: LuaCalls, context: Context) -> None:
    received = context.message
    context.edits.end.append(b"My-H: yes")
    context.edits.body = b"hello"
    context.edits.remove_header(received, b"foo")
    context.set_uri(b"sip:carol@host")
    context.destination = b"sip:1.2.3.4"
    assert lua(context, "return KSR.textopsx.msg_apply_changes()") == 1
    message = context.message
    assert message.header(b"my-h") == b"yes"
    assert message.header(b"foo") is None
    assert (message.uri_text, context.uri) == (b"sip:carol@host", b"sip:carol@host")
    assert (message.body, message.header(b"content-length")) == (b"hello", b"5")
    assert context.destination == b"sip:1.2.3.4"
    assert not context.edits
    # A retransmission finds its transaction, and the request as it is now is no loop.
    assert request_key(message) == request_key(received)
    assert loop_value(message) == loop_value(received)
    assert loop_value(message) != loop_value(context_of(message.data).message)


def test_changes_cannot_be_applied_everywhere(lua: LuaCalls, context: Context) -> None:
    context.edits.end.append(b"My-H: yes")
    context.shared.notes["record_route"] = object()
    assert lua(context, "return KSR.textopsx.msg_apply_changes()") == -1
    assert lua(context_of(INVITE, Route.FAILURE), "return KSR.textopsx.msg_apply_changes()") == -1
    assert context.message.header(b"my-h") is None


def test_set_buffer(lua: LuaCalls, context: Context) -> None:
    call = "return KSR.textopsx.msg_set_buffer(...)"
    text = "OPTIONS sip:z@h SIP/2.0\\r\\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKz\\r\\n"
    text += "From: <sip:a@b>;tag=1\\r\\nTo: <sip:c@d>\\r\\nCall-ID: z\\r\\n"
    text += "CSeq: 2 OPTIONS\\r\\n\\r\\n"
    assert lua(context, call.replace("...", f'"{text}"')) == 1
    assert (context.message.method, context.uri) == (b"OPTIONS", b"sip:z@h")
    assert lua(context, call.replace("...", '"garbage"')) == 0
    assert context.message.method == b"OPTIONS"


def test_status_of_a_reply(lua: LuaCalls, context: Context) -> None:
    reply = context_of(REPLY, Route.REPLY)
    assert lua(reply, 'return KSR.textopsx.change_reply_status(404, "Not Found")') == 1
    assert (reply.message.status, reply.message.lines[0]) == (404, b"SIP/2.0 404 Not Found")
    assert lua(reply, "return KSR.textopsx.change_reply_status_code(486)") == 1
    assert reply.message.lines[0] == b"SIP/2.0 486 Not Found"
    assert lua(reply, "return KSR.textopsx.change_reply_status_code(200)") == -1
    assert lua(context, 'return KSR.textopsx.change_reply_status(404, "x")') == -1


def test_less_of_a_message(lua: LuaCalls, context: Context) -> None:
    assert lua(context, "return KSR.textopsx.remove_body()") == 1
    assert context.edits.body == b""
    assert lua(context, 'return KSR.textopsx.keep_hf_re("^fo")') == -1
    assert FOO in sent(context)
    assert not [line for line in sent(context) if line.startswith((b"Supported", b"Author"))]
    assert lua(context, "return KSR.textopsx.keep_hf()") == -1
    assert FOO not in sent(context)
    assert lua(context, 'return KSR.textopsx.keep_hf_re("(")') == -1


@pytest.mark.parametrize(
    ("text", "expression", "result"),
    [
        ("123456", "123*", 0), ("123456", "124*", -1), ("ABC", "ab?", -1), ("a/b", "*", 0),
        ("ab", "[!a]b", -1), ("a*b", "a\\\\*b", 0), ("axb", "a\\\\*b", -1), ("ab", "a[b", -1),
    ],
)  # fmt: skip
def test_file_patterns(
    lua: LuaCalls, context: Context, text: str, expression: str, result: int
) -> None:
    call = f'return KSR.textopsx.fnmatch("{text}", "{expression}")'
    assert lua(context, call) == result
    assert lua(context, 'return KSR.textopsx.fnmatch_ex("ABC", "ab?", "i")') == 0


def test_the_native_form_is_true_or_false(services: FakeServices, context: Context) -> None:
    textopsx = services.load(Textopsx)
    assert textopsx.native_fnmatch(context, b"ABC", b"ab?", b"i") == 1
    assert textopsx.native_fnmatch(context, b"ABC", b"ab?") == -1
