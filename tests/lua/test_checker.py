"""Faults found without running a script, with their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from lua import Function, LuaFileError, check, defined_functions, string_arguments
from lua.lexer import tokens

KNOWN = {
    function.name: function
    for function in (
        Function("info", print, ("str",)),
        Function("is_INVITE", print),
        Function("tm.t_relay", print),
        Function("tm.t_on_failure", print, ("str",)),
        Function("tm.t_reply", print, ("int", "str")),
        Function("rr.record_route", print, ("str",), optional=1),
    )
}


@pytest.fixture
def faults(tmp_path):
    def found(source):
        path = tmp_path / "script.lua"
        path.write_text(source)
        return [(fault.line, fault.column, fault.message) for fault in check(str(path), KNOWN)]

    return found


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("x = 1\n  KSR.tm.t_rely()", (2, 10, "unknown function KSR.tm.t_rely")),
        ("KSR.nope.f()", (1, 10, "unknown function KSR.nope.f")),
        ("local tm = KSR.tm\ntm.nope()", (2, 4, "unknown function KSR.tm.nope")),
        ('local K = require("KSR") K.inf("x")', (1, 28, "unknown function KSR.inf")),
        ("local K = require 'KSR'\nK.inf('x')", (2, 3, "unknown function KSR.inf")),
        (
            "local r = KSR.tm.t_reply r(1)",
            (1, 26, "KSR.tm.t_reply takes 2 argument(s), not 1"),
        ),
        ("local r = KSR.tm.t_reply\nr(1)", (2, 1, "KSR.tm.t_reply takes 2 argument(s), not 1")),
        ("KSR.tm.t_reply(404)", (1, 8, "KSR.tm.t_reply takes 2 argument(s), not 1")),
        ("KSR.info()", (1, 5, "KSR.info takes 1 argument(s), not 0")),
        ("KSR.tm.t_relay(1)", (1, 8, "KSR.tm.t_relay takes no arguments")),
        ("KSR.x.exit(1)", (1, 7, "KSR.x.exit takes no arguments")),
        ("KSR.tm('x')", (1, 5, "KSR.tm is not a function")),
        ("local f = KSR.tm.nope", (1, 18, "unknown function KSR.tm.nope")),
        ("--[[ a\nb ]] KSR.tm.nope()", (2, 13, "unknown function KSR.tm.nope")),
        ("local s = [==[\n]]\n]==] KSR.tm.nope()", (3, 13, "unknown function KSR.tm.nope")),
        ("if a then local KSR = {} end KSR.inf()", (1, 34, "unknown function KSR.inf")),
        ("local KSR = KSR KSR.inf()", (1, 21, "unknown function KSR.inf")),
        ("for i = 1, = do end", (1, 12, "unexpected symbol near '='")),
    ],
)
def test_fault(faults, source, fault):
    assert faults(source) == [fault]


@pytest.mark.parametrize(
    "source",
    [
        "KSR.info('x') KSR.info 'x' KSR.info [[x]] KSR.x.exit() KSR.x.drop()",
        '-- KSR.nope()\nlocal s = \'KSR.nope()\' .. [[KSR.nope()]] .. "\\"KSR.nope()"',
        "--[==[ KSR.nope() ]] KSR.nope() ]==]",
        "KSR.tm.t_reply(f()) KSR.tm.t_reply(...) KSR.tm.t_reply(unpack{1, 2}) KSR.tm.t_relay(f())",
        "KSR.tm.t_reply(1, {2, 3}) KSR.tm.t_reply(f(1, 2), function(a, b) return 1, 2 end)",
        "KSR.rr.record_route() KSR.rr.record_route('x') KSR.info('a', 'b')",
        "if KSR.nathelper then KSR.nathelper.fix_nated_contact() end",
        "local function f(KSR) KSR.nope() end",
        "for KSR in pairs({}) do KSR.nope() end",
        "local tm = other tm.nope()",
        "local tm = KSR.tm['x'] tm.nope()",
        "KSR.tm[name]() KSR.tm:method() t.KSR.nope() local t = {KSR = 1}",
        "KSR.mine = function() end KSR.mine(1)",
        "pcall(KSR.tm.t_relay)",
    ],
)
def test_no_fault(faults, source):
    assert faults(source) == []


def test_syntax_error_alone(faults):
    assert faults("KSR.nope()\nif x then") == [(2, 1, "'end' expected near '<eof>'")]


def test_missing_file():
    with pytest.raises(LuaFileError):
        check("/nowhere.lua", KNOWN)


def test_defined_functions(tmp_path):
    path = tmp_path / "script.lua"
    path.write_text(
        "local M = {}\nfunction M.hidden() end\nlocal function own() end\n"
        "function handle_request() function inner() end end\n"
        "function routes.invite() end\nhandle_reply = function() end\n"
        "local x = function() end\nif a then function conditional() end end\n"
        "-- function comment() end\nt = {f = function() end}\n"
    )
    names = {"handle_request", "routes.invite", "handle_reply", "conditional"}
    assert defined_functions(str(path)) == names


def test_names_given_in_the_guide():
    guide = Path(__file__).parents[1] / "end_to_end" / "guide"
    script = guide / "25-complete-example-custom-pbx-logic.lua"
    given = string_arguments(str(script), "tm.t_on_failure")
    assert [(name.text, name.line, name.column) for name in given] == [
        ("VOICEMAIL_FAILURE", 88, 12)
    ]
    assert given[0].text in defined_functions(str(script))
    unknown = {fault.message for fault in check(str(script), KNOWN)}
    assert "unknown function KSR.registrar.lookup" in unknown
    in_tm = {message for message in unknown if "KSR.tm" in message}
    assert in_tm == {"unknown function KSR.tm.t_check_status"}


def test_token_places_and_values():
    found = [
        (token.kind, token.text, token.line, token.column)
        for token in tokens("a.b='x\\n\\65'--c\n [[\nlong]] ... 0x1F 1e3 ending")
    ]
    assert found == [
        ("name", "a", 1, 1),
        ("symbol", ".", 1, 2),
        ("name", "b", 1, 3),
        ("symbol", "=", 1, 4),
        ("string", "x\nA", 1, 5),
        ("string", "long", 2, 2),
        ("symbol", "...", 3, 8),
        ("number", "0x1F", 3, 12),
        ("number", "1e3", 3, 17),
        ("name", "ending", 3, 21),
    ]
