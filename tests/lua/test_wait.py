"""Suspension: locals, interleaving, cancel, errors at waits, blocking modes, globals."""

from __future__ import annotations

import asyncio

import pytest

from lua import DONE, FAILED, Function, LuaStateError, Suspended


def test_locals_and_context_survive_a_wait(bench):
    bench.load("function f(a) local x = 'got ' local r = KSR.m.wait(a) KSR.info(x .. a .. r) end")
    first = bench.start("f", "first", b"1")
    second = bench.start("f", "second", b"2")
    assert isinstance(first, Suspended) and isinstance(second, Suspended)
    assert first.context.name == "first"
    assert bench.runtime.resume(second, b" second") == DONE
    bench.run("KSR.info('between')")
    assert bench.runtime.resume(first, b" first") == DONE
    assert bench.calls == [
        ("second", b"got 2 second"),
        ("request", b"between"),
        ("first", b"got 1 first"),
    ]


def test_the_wait_is_what_the_function_returned(bench):
    waiting = bench.run("KSR.info(KSR.m.wait('x'))")
    value = asyncio.run(waiting.wait.awaitable_factory())
    assert bench.runtime.resume(waiting, value) == DONE
    assert bench.calls == [("request", b"awaited")]


def test_no_suspension_for_a_plain_value(bench):
    assert bench.run("KSR.info(KSR.m.wait('now'))") == DONE
    assert bench.calls == [("request", b"now")]


def test_wait_within_pcall_and_exit_after_it(bench):
    waiting = bench.run(
        "local ok, r = pcall(function() return KSR.m.wait('x') end) KSR.info(r) KSR.x.exit()"
    )
    assert bench.runtime.resume(waiting, b"r") == DONE
    assert bench.calls == [("request", b"r")]


def test_several_waits_then_an_error(bench):
    waiting = bench.run("KSR.m.wait('a') KSR.m.wait('b')\nerror('late')")
    waiting = bench.runtime.resume(waiting, 1)
    assert isinstance(waiting, Suspended)
    assert bench.runtime.resume(waiting, 1) == FAILED
    assert "/etc/script.lua:2 in function 'test': late" in bench.errors[0]


def test_a_wait_in_the_scripts_own_coroutine(bench):
    waiting = bench.run(
        "local next_one = coroutine.wrap(function()"
        " coroutine.yield(KSR.m.wait('x')) return 'end' end)"
        " KSR.info(next_one()) KSR.info(next_one())"
        " local co = coroutine.create(function() error('own') end)"
        " KSR.raw(coroutine.resume(co))"
    )
    assert bench.runtime.resume(waiting, b"v") == DONE
    assert [call[1] for call in bench.calls] == [b"v", b"end", False]


def test_where_lua_cannot_yield_the_wait_blocks(bench):
    said = bench.said("KSR.raw((string.gsub('a-b', '-', function() return KSR.m.wait('x') end)))")
    assert said == [b"ablockedb"]


def test_cancel_unwinds_the_script(bench):
    waiting = bench.run(
        "local ok, e = pcall(KSR.m.wait, 'x') KSR.info(e) local again = KSR.m.wait('y')"
        " KSR.info('never')"
    )
    bench.runtime.cancel(waiting, "caller gave up")
    assert bench.calls == [("request", b"cancelled: caller gave up")]
    assert bench.errors == []
    waiting = bench.run("KSR.m.wait('x') KSR.info('never')")
    bench.runtime.cancel(waiting, "gone")
    assert [level for level, _ in bench.logged] == [3]
    assert "in function 'test': cancelled: gone" in bench.logged[0][1]


def test_throw_raises_at_the_wait(bench):
    waiting = bench.run("KSR.m.wait('x')")
    assert bench.runtime.throw(waiting, TimeoutError("no answer")) == FAILED
    assert "in function 'test': TimeoutError: no answer" in bench.errors[0]


def test_a_wait_ends_once(bench):
    waiting = bench.run("KSR.m.wait('x')")
    bench.runtime.resume(waiting, 1)
    with pytest.raises(LuaStateError):
        bench.runtime.resume(waiting, 1)
    with pytest.raises(LuaStateError):
        bench.runtime.cancel(waiting, "late")


def test_nested_start_may_suspend(make_bench):
    kept = []
    bench = make_bench()
    bench.load("function branch() KSR.info('b' .. KSR.m.wait('x')) end")
    chunk = bench.runtime.load_chunk(
        b"local p = ... return {f = function() p.go() KSR.info('outer') end}",
        "x",
        {"go": lambda: kept.append(bench.runtime.start(None, b"branch"))},
    )
    assert bench.runtime.start(None, chunk[b"f"]) == DONE
    assert bench.runtime.resume(kept[0], b"!") == DONE
    assert bench.calls == [(None, b"outer"), (None, b"b!")]


def test_run_to_completion_blocks(bench, context_type):
    bench.load("function child_init(rank) KSR.info(KSR.m.wait('x') .. rank) end")
    assert bench.runtime.run_to_completion(context_type("init"), b"child_init", 2) == DONE
    assert bench.calls == [("init", b"blocked2")]


def test_an_exception_while_blocking_is_the_scripts(make_bench):
    def block(wait):
        raise OSError("down")

    bench = make_bench(block=block)
    bench.load("function f() KSR.m.wait('x') end")
    assert bench.runtime.run_to_completion(None, b"f") == FAILED
    assert "OSError: down" in bench.errors[0]


def test_blocking_mode_never_suspends(make_bench):
    bench = make_bench(nonblocking=False)
    assert bench.run("KSR.info(KSR.m.wait('x'))") == DONE
    assert bench.calls == [("request", b"blocked")]


def test_global_written_before_a_wait_is_warned_about_once(bench):
    bench.load(
        "counter = 0 limit = 1"
        " function f() counter = counter + 1 fresh = counter local own = 1 KSR.m.wait('x') end"
    )
    for _ in range(3):
        bench.runtime.resume(bench.start("f"), 1)
    warnings = [text for level, text in bench.logged if level == 0]
    assert len(warnings) == 2
    assert "'counter'" in "".join(warnings) and "'fresh'" in "".join(warnings)


def test_globals_of_initialisation_are_not_warned_about(bench):
    bench.load("function mod_init() ready = true end function f() KSR.m.wait('x') end")
    bench.runtime.run_to_completion(None, b"mod_init")
    bench.runtime.resume(bench.start("f"), 1)
    assert bench.logged == []


def test_one_context_may_wait_and_run_elsewhere(bench, context_type):
    bench.load("function f() KSR.m.wait('x') KSR.info('after') end function g() KSR.info('g') end")
    context = context_type("shared")
    waiting = bench.runtime.start(context, b"f")
    assert bench.runtime.start(context, b"g") == DONE
    assert bench.runtime.resume(waiting, 1) == DONE
    assert bench.calls == [("shared", b"g"), ("shared", b"after")]


def test_a_function_given_back_runs_in_the_place_of_the_call(make_bench):
    given: list[object] = []
    bench = make_bench([Function("m.named", lambda context, name: given[0], ("str",), waits=True)])
    bench.load("function named() return 'waited ' .. KSR.m.wait('x') end")
    given.append(bench.runtime.function(b"named"))
    waiting = bench.run("KSR.info(KSR.m.named('n'))")
    assert isinstance(waiting, Suspended)
    assert bench.runtime.resume(waiting, b"well") == DONE
    assert bench.calls == [("request", b"waited well")]
