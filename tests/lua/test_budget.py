"""A script that computes for ever is stopped; the state goes on."""

from __future__ import annotations

import pytest

from lua import DONE, FAILED, LuaScriptError

LOOPS = {
    "plain": "while true do end",
    "pcall": "while true do pcall(function() while true do end end) end",
    "nested pcall": "while true do pcall(pcall, function() while true do end end) end",
    "xpcall": "while true do xpcall(function() while true do end end, tostring) end",
    "coroutine": "while true do coroutine.wrap(function() while true do end end)() end",
    "calls": "while true do KSR.m.all_optional() end",
}


@pytest.fixture
def small(make_bench):
    return make_bench(instruction_budget=50_000)


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())
def test_endless_loop_is_stopped(small, loop):
    assert small.run(loop) == FAILED
    (text,) = small.errors
    assert text.startswith("script error at /etc/script.lua:1 in function")
    assert "script exceeded 50000 instructions\nstack traceback:\n" in text
    assert "in function 'test'" in text
    small.calls.clear()
    for _ in range(10):
        assert small.run("local x = 0 for i = 1, 10000 do x = x + 1 end KSR.raw(x)") == DONE
    assert small.calls == [("request", 10000)] * 10


def test_the_budget_is_that_of_a_slice(small):
    part = "for i = 1, 20000 do end "
    waiting = small.run(f"{part} KSR.m.wait('x') {part} KSR.m.wait('x') {part}")
    assert small.runtime.resume(small.runtime.resume(waiting, 1), 1) == DONE


def test_a_nested_start_does_not_renew_the_budget(small):
    small.load("function g() end function f() while true do KSR.m.start('g') end end")
    assert small.start("f") == FAILED
    assert len(small.errors) == 1


def test_a_nested_loop_fails_alone(small):
    small.load("function g() while true do end end function f() KSR.m.start('g') KSR.info(1) end")
    assert small.start("f") == DONE
    assert small.calls == [("request", b"1")]


def test_loading_has_a_budget(small):
    with pytest.raises(LuaScriptError, match="exceeded"):
        small.load("while true do end")


def test_no_budget(make_bench):
    assert make_bench(instruction_budget=0).run("for i = 1, 2e7 do end") == DONE
