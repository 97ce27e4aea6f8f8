"""What the log says when a script fails."""

from __future__ import annotations

from lua import DONE, FAILED

SCRIPT = """function handle_request()
  return handle_invite()
end

function handle_invite()
  local user = nil
  helper(user)
  return 1
end

local function deep(user) return user.name .. "x" end
function helper(user)
  local x = deep(user)
  return x
end
"""


def test_trace_has_file_line_and_function(bench):
    bench.load(SCRIPT)
    assert bench.start("handle_request") == FAILED
    assert bench.errors == [
        "script error at /etc/script.lua:11 in function 'deep':"
        " attempt to index local 'user' (a nil value)\n"
        "stack traceback:\n"
        "\t/etc/script.lua:11: in function 'deep'\n"
        "\t/etc/script.lua:13: in function 'helper'\n"
        "\t/etc/script.lua:7: in function 'handle_invite'"
    ]


def test_python_exception_is_logged_once_with_its_type(bench):
    bench.load(
        "function inner() KSR.m.boom('broken pipe') return 1 end\nfunction f()\n inner() end"
    )
    assert bench.start("f") == FAILED
    (text,) = bench.errors
    assert text.startswith(
        "script error at /etc/script.lua:1 in function 'inner': ValueError: broken pipe ("
    )
    assert "conftest.py:" in text
    assert text.endswith("\t/etc/script.lua:3: in function 'f'")
    assert len(bench.logged) == 1


def test_python_exception_can_be_caught(bench):
    assert bench.said("local ok, e = pcall(KSR.m.boom, 'x') KSR.raw('e: ' .. e)") == [b"e: x"]
    assert bench.logged == []


def test_exception_insides_are_closed_to_scripts(bench):
    bench.run("local ok, e = pcall(KSR.m.boom, 'x') KSR.raw(pcall(function() return e.args end))")
    assert bench.calls == [("request", False)]


def test_error_values_that_are_no_strings(bench):
    assert bench.run("error({})") == FAILED
    assert bench.run("error()") == FAILED
    assert ": table: 0x" in bench.errors[0]
    assert ": nil" in bench.errors[1]


def test_endless_recursion(bench):
    assert bench.run("local function f() return 1 + f() end f()") == FAILED
    assert "stack overflow" in bench.errors[0]
    assert bench.run("KSR.info('alive')") == DONE


def test_yield_outside_a_coroutine_is_an_error(bench):
    assert bench.run("coroutine.yield(1)") == FAILED
    assert "attempt to yield from outside a coroutine" in bench.errors[0]
