"""Times of the Lua package: `.venv/bin/python -m tests.bench.lua_calls`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from lua import Function, Runtime, Suspended, Wait

CALLS = 50_000
SCRIPT = b"""
function empty() end
function exits() KSR.x.exit() end
function waits() KSR.wait(1) end
function nothing(n) for i = 1, n do end end
function get(n) for i = 1, n do KSR.pv.get("$fU") end end
function test(n) for i = 1, n do KSR.is_INVITE() end end
function two(n) for i = 1, n do KSR.registrar.save("location", 0) end end
function count(n) local x = 0 for i = 1, n do x = x + i % 7 end end
"""


class Context:
    """Stands for a request: a new one for every start."""

    __slots__ = ("user",)


def build(budget: int) -> Runtime:
    wait = Wait(lambda: asyncio.sleep(0))  # never awaited here
    functions = [
        Function("pv.get", lambda context, name: b"alice", ("str",)),
        Function("is_INVITE", lambda context: True),
        Function("registrar.save", lambda context, table, flags: 1, ("str", "int")),
        Function("wait", lambda context, value: wait, ("int",), waits=True),
    ]
    runtime = Runtime(
        functions, lambda level, text: None, block=lambda wait: None, instruction_budget=budget
    )
    runtime.load_text(SCRIPT, "bench.lua")
    return runtime


def best(run: Callable[[], object], calls: int) -> float:
    """Microseconds a call, the best of five runs."""
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times) / calls * 1e6


def starts(runtime: Runtime, name: str, new_context: bool = True) -> float:
    function = runtime.function(name.encode())
    start = runtime.start
    same = Context()

    def run() -> None:
        for _ in range(CALLS):
            outcome = start(Context() if new_context else same, function)
            if isinstance(outcome, Suspended):
                runtime.resume(outcome, 1)

    return best(run, CALLS)


def calls(runtime: Runtime, name: str) -> float:
    context = Context()
    loop = best(lambda: runtime.start(context, b"nothing", CALLS), CALLS)
    return best(lambda: runtime.start(context, name.encode(), CALLS), CALLS) - loop


def main() -> None:
    for budget in (10_000_000, 0):
        runtime = build(budget)
        print(f"instruction budget {budget}" + ("" if budget else " (compiler on)"))
        print(f"  start, empty function, new context   {starts(runtime, 'empty'):.3f} us")
        print(f"  start, empty function, same context  {starts(runtime, 'empty', False):.3f} us")
        print(f"  start, KSR.x.exit()                  {starts(runtime, 'exits'):.3f} us")
        print(f"  start, a wait, resume                {starts(runtime, 'waits'):.3f} us")
        print(f"  KSR.is_INVITE()                      {calls(runtime, 'test'):.3f} us")
        print(f"  KSR.pv.get('$fU')                    {calls(runtime, 'get'):.3f} us")
        print(f"  KSR.registrar.save('location', 0)    {calls(runtime, 'two'):.3f} us")
        print(f"  one pass of a pure Lua loop          {calls(runtime, 'count'):.4f} us")


if __name__ == "__main__":
    main()
