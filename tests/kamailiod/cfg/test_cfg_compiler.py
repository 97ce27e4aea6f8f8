"""Statements and the return protocol of compiled routes, run under LuaJIT."""

from pathlib import Path

import pytest

from kamailiod.cfg import Catalogue, ModuleEntry, NativeFunction, compile_routes


def test_guide_script_calls_the_handler(engine):
    guide = Path(__file__).parents[2] / "end_to_end" / "guide"
    fake = engine((guide / "02-kamailio-cfg.cfg").read_text())
    assert fake.request() == 1
    assert fake.calls == [("lua_run", ("handle_request",))]
    fake.results["lua_run"] = -1
    assert fake.request() == 0
    assert fake.calls[-1] == ("sl_send_reply", ("500", "Internal Error"))
    assert fake.routes.reply() == 1


@pytest.mark.parametrize(
    ("result", "code", "called"),
    [(1, 3, ["f", "yes"]), (-1, 4, ["f", "no"]), (0, 0, ["f"]), (True, 3, ["f", "yes"]),
     (False, 4, ["f", "no"]), (None, 3, ["f", "yes"])],
)  # fmt: skip
def test_results_of_functions(engine, result, code, called):
    fake = engine("request_route { if (f()) { yes(); return 3; } else no(); return (4); }")
    fake.results["f"] = result
    assert (fake.request(), fake.called()) == (code, called)


@pytest.mark.parametrize("leave", ["exit", "exit()", "exit 5", "drop", "return 0", "return (0)"])
def test_end_of_script_unwinds_nested_routes(engine, leave):
    fake = engine(
        f"request_route {{ route(A); after(); }} route[A] {{ if (route(B) || x()) after(); }}"
        f" route[B] {{ while (1) {{ switch (1) {{ case 1: {leave}; }} }} }}"
    )
    assert fake.request() == 0
    assert fake.called() == []
    assert fake.dropped == (leave == "drop")


def test_return_codes_reach_rc(engine):
    fake = engine(
        "request_route { route(R5); $var(a) = $rc; f(); $var(b) = $retcode; route(N); "
        "$var(c) = $?; route(E); $var(d) = $rc; route(NOPE); }"
        "route[R5] { return 5; } route[N] { f(); } route[E] { f(); return; }"
    )
    fake.results["f"] = -7
    fake.request()
    assert [fake.variables[f"$var({n})"] for n in "abcd"] == [5, -7, 1, 1]


def test_callee_sees_the_caller_s_code(engine):
    fake = engine("request_route { f(); route(R); } route[R] { $var(a) = $rc; }")
    fake.results["f"] = 9
    fake.request()
    assert fake.variables["$var(a)"] == 9


def test_code_is_announced_to_formats_that_show_it(engine):
    fake = engine('request_route { f(); xlog("rc $rc\\n"); xlog("$ru\\n"); }')
    fake.results["f"] = -3
    fake.request()
    assert fake.codes == [-3]
    assert fake.calls[1:] == [("xlog", ("<rc $rc\n>",)), ("xlog", ("<$ru\n>",))]


def test_return_of_a_call_is_its_truth(engine):
    fake = engine("request_route { return f(); }")
    fake.results["f"] = 9
    assert fake.request() == 1
    fake.results["f"] = -9
    assert fake.request() == 0


def test_while_stops_at_the_limit(engine):
    fake = engine(
        "max_while_loops=10\nrequest_route { $var(i) = 0; while ($var(i) < 1000) "
        "{ $var(i) = $var(i) + 1; } f(); }"
    )
    assert fake.request() == 1
    assert fake.variables["$var(i)"] == 10
    assert fake.logs == [(-1, "runaway while: more than 10 loops")]
    assert fake.called() == ["f"]


def test_break_ends_the_innermost_loop(engine):
    fake = engine(
        "request_route { $var(i) = 0; while (1) { $var(i) = $var(i) + 1; "
        "switch ($var(i)) { case 2: break; } if ($var(i) == 3) break; } f(); }"
    )
    fake.request()
    assert (fake.variables["$var(i)"], fake.called()) == (3, ["f"])


SWITCH = """request_route { switch ($var(v)) {
    case 1: a();
    case "x": b(); break;
    default: c();
    case /"^r[0-9]": d(); break;
    case -1: case -3: e();
} f(); }"""


@pytest.mark.parametrize(
    ("subject", "called"),
    [(1, "abf"), ("1", "abf"), ("x", "bf"), ("R7", "df"), (-1, "ef"), (-3, "ef"), (9, "cdf")],
)
def test_switch(engine, subject, called):
    fake = engine(SWITCH)
    fake.variables["$var(v)"] = subject
    fake.request()
    assert fake.called() == list(called)


def test_every_kind_of_block_is_returned(engine):
    fake = engine(
        "request_route { return 2; } request_route { return 3; } reply_route { drop; }"
        "onsend_route { return 4; } onreply_route[A] { return 5; } failure_route[1] { return 6; }"
        "branch_route[B] { return 7; } event_route[xhttp:request] { return 8; } route[X] { exit; }"
    )
    routes = fake.routes
    assert (routes.request(), routes.reply(), routes.onsend(), fake.dropped) == (2, 0, 4, 1)
    assert routes.onreply["A"]() == 5
    assert routes.failure["1"]() == 6
    assert routes.branch["B"]() == 7
    assert routes.event["xhttp:request"]() == 8
    assert routes.route["X"]() == 0


def test_computed_route_names(engine):
    fake = engine('request_route { route("$rm"); route("R"); } route[R] { f(); }')
    fake.request()
    assert fake.called() == ["f"]
    assert fake.logs == [(-1, "route[<$rm>] is not defined")]


def test_null_and_strings_are_assigned(engine):
    fake = engine('request_route { $du = $null; $ru = "sip:" + $rU + "@h"; $var(l) = "a$rm"; }')
    fake.variables = {"$rU": "bob", "$du": "x"}
    fake.request()
    assert fake.variables["$du"] is None
    assert fake.variables["$ru"] == "sip:bob@h"
    assert fake.variables["$var(l)"] == "a$rm"


def test_lua_lines_are_located(read):
    chunk = compile_routes(read("request_route {\n  a();\n  if (b())\n    c();\n}\n"))
    lines = chunk.text.splitlines()
    call = next(n for n, line in enumerate(lines, 1) if "C[3](" in line and "need" not in line)
    position = chunk.locate(call)
    assert position is not None
    assert (position.line, position.column) == (4, 5)
    assert chunk.locate(1) is None


def test_a_function_may_yield(engine):
    fake = engine(
        'request_route { if (lua_run("wait")) route(R); return 5; } route[R] { g(); }',
        lua_run="function(name) return coroutine.yield(name) end",
    )
    start = fake.lua.eval("function(route) local co = coroutine.wrap(route) return co, co() end")
    resume, first = start(fake.routes.request)
    assert (first, fake.called()) == ("wait", [])
    assert resume(1) == 5
    assert fake.called() == ["g"]


def test_long_else_if_chain(engine):
    links = " else ".join(f"if (f({n}) && $var(x) == {n}) g({n});" for n in range(100))
    fake = engine(f"request_route {{ {links} }}")
    fake.variables["$var(x)"] = 99
    fake.request()
    assert fake.calls[-1] == ("g", (99,))


def test_octets_survive(engine):
    fake = engine('request_route { f("\\xff\\0\\101\\+ \u00e9"); }')
    fake.request()
    assert fake.calls == [("f", ("\xff\x00A\\+ \xc3\xa9",))]


def test_an_argument_that_is_not_expanded_is_handed_on_as_written(engine):
    functions = {"find": NativeFunction(frozenset({2}), unexpanded=frozenset({1}))}
    fake = engine(
        'request_route { find("$fu", "$avp(x)"); find($fu, $avp(y)); other("$avp(z)");'
        ' find("a", "code $rc"); }',
        catalogue=Catalogue({"m": ModuleEntry(functions=functions)}),
    )
    fake.variables = {"$fu": "sip:me"}
    fake.request()
    assert fake.calls == [
        ("find", ("<$fu>", "$avp(x)")), ("find", ("sip:me", "$avp(y)")), ("other", ("<$avp(z)>",)),
        ("find", ("a", "code $rc")),
    ]  # fmt: skip
    assert fake.codes == [1]


def test_a_route_that_may_not_exist(engine):
    fake = engine(
        'request_route { $var(a) = route_if_exists("A"); $var(b) = route_if_exists("NONE");'
        ' route_if_exists("END"); f(); } route[A] { return 5; } route[END] { exit; }'
    )
    assert fake.request() == 0
    assert fake.variables == {"$var(a)": 5, "$var(b)": -1}
    assert fake.called() == []
