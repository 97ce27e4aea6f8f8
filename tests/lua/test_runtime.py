"""Loading, starting, nesting, exit and drop, nil joined to text, chunks, memory."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from lua import (
    DONE,
    FAILED,
    Function,
    LuaFileError,
    LuaScriptError,
    LuaSyntaxError,
    Suspended,
)


def test_start_by_name_dotted_name_and_function(bench):
    bench.load("handlers = {} function handlers.invite(a) KSR.raw(a) end f = handlers.invite")
    assert bench.start("handlers.invite", "one", 1) == DONE
    assert bench.start("f", "two", b"x") == DONE
    function = bench.runtime.function(b"f")
    assert bench.runtime.start(None, function, True) == DONE
    assert bench.calls == [("one", 1), ("two", b"x"), (None, True)]


def test_missing_function(bench):
    assert bench.start("nothing") == FAILED
    assert bench.errors == ["script function 'nothing' is not defined"]


def test_defines(bench):
    bench.load("function f() end t = {g = f, n = 1}")
    assert bench.runtime.defines(b"f")
    assert bench.runtime.defines(b"t.g")
    assert not any(map(bench.runtime.defines, (b"t", b"t.n", b"t.x", b"x.y", b"f.g")))


def test_load_and_reload_a_file(bench, tmp_path):
    path = tmp_path / "main.lua"
    path.write_text("#!/usr/bin/lua\nfunction f() KSR.info(1) end\n")
    bench.runtime.load(str(path))
    bench.start("f")
    path.write_text("function f() KSR.info(2) end function")
    with pytest.raises(LuaSyntaxError):
        bench.runtime.load(str(path))
    bench.start("f")
    path.write_text("function f() KSR.info(3) end")
    bench.runtime.load(str(path))
    bench.start("f")
    assert [call[1] for call in bench.calls] == [b"1", b"1", b"3"]


def test_load_runs_with_a_context(bench, tmp_path, context_type):
    path = tmp_path / "main.lua"
    path.write_text('KSR.info("loading") KSR.info(KSR.m.wait("x"))')
    bench.runtime.load(str(path), context_type("loader"))
    assert bench.calls == [("loader", b"loading"), ("loader", b"blocked")]


def test_load_faults(bench, tmp_path):
    with pytest.raises(LuaFileError, match=r"/nowhere\.lua: No such file"):
        bench.runtime.load("/nowhere.lua")
    path = tmp_path / ("long" * 30 + ".lua")
    path.write_text("local a = 1\n\nlocal b = = 2\n")
    with pytest.raises(LuaSyntaxError) as caught:
        bench.runtime.compile_only(str(path))
    assert (caught.value.file, caught.value.line) == (str(path), 3)
    assert caught.value.message == "unexpected symbol near '='"
    path.write_text("local function inner() error('bad') end\ninner()\n")
    with pytest.raises(LuaScriptError) as failed:
        bench.runtime.load(str(path))
    assert f"{path}:1" in failed.value.traceback
    assert f"\t{path}:2: in main chunk" in failed.value.traceback


def test_exit_ends_the_script_and_can_be_caught(bench):
    assert bench.run("KSR.x.exit() KSR.info('never')") == DONE
    assert bench.calls == []
    said = bench.said("local ok, e = pcall(KSR.x.exit) KSR.raw(ok) KSR.raw(e)")
    assert said == [False, b"~~ksr~exit~~"]
    assert bench.logged == []


def test_drop_runs_its_callable_first(bench):
    assert bench.run("KSR.x.drop() KSR.info('never')") == DONE
    assert (bench.dropped, bench.calls) == (["request"], [])


def test_nested_start_saves_and_restores_the_context(bench):
    bench.load(
        "function branch() KSR.info('branch') KSR.x.exit() end function bad() error('no') end"
        " function test() KSR.info('a') KSR.m.start('branch') KSR.info('b')"
        " KSR.m.start('bad') KSR.info('c') end"
    )
    assert bench.start("test") == DONE
    assert bench.calls == [
        ("request", b"a"),
        ("inner", b"branch"),
        ("request", b"b"),
        ("request", b"c"),
    ]
    assert len(bench.errors) == 1


def test_nested_start_with_the_same_context(bench, context_type):
    bench.runtime.bind(
        "again",
        bench.runtime.wrap(Function("again", lambda c: bench.runtime.start(c, b"branch") == DONE)),
    )
    bench.load(
        "function branch() KSR.info('b') end function f() KSR.raw(KSR.again()) KSR.info('a') end"
    )
    assert bench.runtime.start(context_type("same"), b"f") == DONE
    assert bench.calls == [("same", b"b"), ("same", True), ("same", b"a")]


def test_nil_joined_to_values(bench, make_bench):
    source = 'KSR.raw("a" .. nil) KSR.raw(nil .. 1) KSR.raw(true .. nil) KSR.raw(nil .. nil)'
    assert bench.said(source) == [b"a<null>", b"<null>1", b"true<null>", b"<null><null>"]
    assert bench.run("local x = {} .. nil") == FAILED
    assert "/etc/script.lua:1 in function 'test'" in bench.errors[0]
    assert "attempt to concatenate a table value" in bench.errors[0]
    assert make_bench(nil_concat=False).run(source) == FAILED


def test_chunk_with_primitives(bench, context_type):
    chunk = bench.runtime.load_chunk(
        b"local p = ... return {route = function(x) p.say(x + p.one) p.plain() end}",
        "kamailio.cfg",
        {
            "say": Function("say", bench.record, variadic=True),
            "plain": lambda: bench.calls.append(("plain",)),
            "one": 1,
        },
    )
    assert bench.runtime.start(context_type("native"), chunk[b"route"], 41) == DONE
    assert bench.calls == [("native", 42), ("plain",)]


def test_run_function_from_a_chunk(bench, context_type):
    bench.load(
        "function good(a) KSR.info(KSR.m.wait(a)) end function bad() error('x') end"
        " function out() KSR.x.exit() end"
    )
    chunk = bench.runtime.load_chunk(
        b"local p = ... return {route = function()"
        b" for _, n in ipairs{'good', 'bad', 'out', 'no'} do KSR.raw(p.lua_run(n, 'v')) end end}",
        "kamailio.cfg",
        {"lua_run": bench.runtime.run_function},
    )
    waiting = bench.runtime.start(context_type("native"), chunk[b"route"])
    assert isinstance(waiting, Suspended)
    assert bench.runtime.resume(waiting, b"value") == DONE
    assert [call[1] for call in bench.calls] == [b"value", 1, -1, 1, -1]
    assert len(bench.errors) == 2


def test_bind_and_globals(bench):
    bench.runtime.bind("deep.er.value", b"v")
    bench.runtime.set_global("KSRVERSION", b"2.0")
    assert bench.said("KSR.raw(KSR.deep.er.value) KSR.raw(KSRVERSION)") == [b"v", b"2.0"]


def test_contexts_are_freed_when_their_run_ends(bench, context_type):
    bench.load(
        "function f() KSR.is_INVITE() end function g() error('x') end"
        " function h() KSR.m.wait('x') end"
    )
    gc.collect()  # what tests before this one have left
    before = context_type.live
    for _ in range(20):
        bench.start("f")
        bench.start("g")
        bench.runtime.resume(bench.start("h"), 1)
        bench.runtime.cancel(bench.start("h"), "gone")
    gc.collect()
    # The last exception a function raised may hold one frame; no count grows with the runs.
    assert context_type.live == before


def test_memory_stays_flat(bench):
    bench.load("function f() local t = {KSR.is_INVITE()} end")
    bench.runtime.start(None, b"f")

    def settled() -> int:
        bench.runtime.load_text(b"collectgarbage() collectgarbage()", "gc")
        return bench.runtime.memory

    for _ in range(1000):
        bench.start("f")
    before = settled()
    function = bench.runtime.function(b"f")
    for _ in range(200_000):
        bench.calls.clear()
        bench.runtime.start(None, function)
    assert settled() - before < 20_000


def test_guide_scripts_load(bench):
    scripts = sorted((Path(__file__).parents[1] / "end_to_end" / "guide").glob("*.lua"))
    assert len(scripts) == 22
    for script in scripts:
        bench.runtime.compile_only(str(script))
