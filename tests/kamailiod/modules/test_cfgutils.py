from __future__ import annotations

import asyncio
import faulthandler
import hashlib
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from kamailiod.modules.app_lua import AppLua
from kamailiod.modules.cfgutils import Cfgutils
from kamailiod.modules.config_tools import lock_set
from kamailiod.modules.core import Core
from kamailiod.modules.pv import Pv
from kamailiod.script.context import Context
from kamailiod.script.module import RpcFault
from lua import Wait
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.inviting import invite
from tests.kamailiod.native_calls import NativeCalls


def loaded(services: FakeServices, **params: object) -> Cfgutils:
    module: Cfgutils = services.load(Cfgutils, **params)
    services.start()
    return module


def lua(services: FakeServices, **params: object) -> Any:
    calls = LuaCalls(services, [loaded(services, **params)])
    return lambda text: calls(invite(), f"return {text}")


def test_chance(services: FakeServices) -> None:
    call = lua(services, initial_probability=20)
    assert call("KSR.cfgutils.rand_get_prob()") == 20
    assert call("KSR.cfgutils.rand_set_prob(100)") == 1
    assert all(call("KSR.cfgutils.rand_event()") == 1 for _ in range(50))
    assert call("KSR.cfgutils.rand_set_prob(0)") == 1
    assert all(call("KSR.cfgutils.rand_event()") == -1 for _ in range(50))
    call("KSR.cfgutils.rand_set_prob(50)")
    assert {call("KSR.cfgutils.rand_event()") for _ in range(200)} == {1, -1}
    assert call("KSR.cfgutils.rand_reset_prob()") == 1
    assert call("KSR.cfgutils.rand_get_prob()") == 20


def test_hash(services: FakeServices) -> None:
    """The numbers are those of Kamailio 5.6.3."""
    call = lua(services)
    for text, further, size, result in (
        ("abcdefg", "", 8, 77), ("abcdefg", "xyz", 20, 43086), ("zZ\\228\\246", "", 10, 868),
        ("zZäö", "q", 30, 354451961), ("a", "", 0, 2), ("", "", 5, 1), ("a", "", 31, 110),
    ):  # fmt: skip
        assert call(f'KSR.cfgutils.core_hash("{text}", "{further}", {size})') == result


def test_pauses_wait(services: FakeServices) -> None:
    call = lua(services)
    before = time.monotonic()
    assert call("KSR.cfgutils.usleep(20000)") == 1
    assert time.monotonic() - before >= 0.02
    assert call("KSR.cfgutils.sleep(0)") == 1
    assert call("KSR.cfgutils.usleep(-5)") == 1
    module: Cfgutils = services.modules[Cfgutils]  # type: ignore[assignment]  # by its class
    assert isinstance(module.sleep(invite(), 1), Wait)


def test_reports(services: FakeServices) -> None:
    call = lua(services)
    for name, said in (
        ("pkg_status", "at most"), ("pkg_summary", "resident"), ("shm_status", "of cfgutils"),
        ("shm_summary", "in 1 stores"),
    ):  # fmt: skip
        services.lines.clear()
        assert call(f"KSR.cfgutils.{name}()") == 1
        assert any(said in line for line in services.lines)


def test_abort_ends_the_process(services: FakeServices) -> None:
    call = lua(services)
    child = os.fork()
    if child == 0:
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        call("KSR.cfgutils.abort()")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGABRT


def test_locks(services: FakeServices) -> None:
    call = lua(services, lock_set_size=4)
    assert call('KSR.cfgutils.trylock("x")') == 1
    assert call('KSR.cfgutils.trylock("X")') == -1
    assert call('KSR.cfgutils.unlock("x")') == 1
    assert call('KSR.cfgutils.unlock("x")') == 1
    assert call('KSR.cfgutils.lock("x")') == 1
    assert call('KSR.cfgutils.trylock("x")') == -1
    assert call('KSR.cfgutils.unlock("x")') == 1
    assert call('KSR.cfgutils.lock_key2("x", "y")') == 1
    assert call('KSR.cfgutils.trylock_key2("x", "y")') == -1
    assert call('KSR.cfgutils.unlock_key2("x", "y")') == 1
    assert call('KSR.cfgutils.trylock_key2("x", "y")') == 1


def test_without_locks(services: FakeServices) -> None:
    call = lua(services)
    for name in ("lock", "trylock", "unlock"):
        assert call(f'KSR.cfgutils.{name}("x")') == -1
    assert any("set lock_set_size" in line for line in services.lines)


def test_a_lock_is_waited_for(services: FakeServices) -> None:
    module = loaded(services, lock_set_size=1)
    assert module.lock(invite(), b"x") == 1
    second = module.lock(invite(), b"x")
    assert isinstance(second, Wait)

    async def main() -> object:
        waiting = asyncio.ensure_future(second.awaitable_factory())
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        assert not done
        module.unlock(invite(), b"x")
        return await waiting

    assert asyncio.run(main()) == 1
    assert module.trylock(invite(), b"x") == -1


def test_a_lock_is_not_waited_for_without_end(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_set, "PATIENCE", 0.01)
    module = loaded(services, lock_set_size=20)
    assert any("too large" in line for line in services.lines)
    module.lock(invite(), b"x")
    second = module.lock(invite(), b"x")
    assert isinstance(second, Wait)

    async def main() -> object:
        return await second.awaitable_factory()

    assert asyncio.run(main()) == -1


def test_the_lock_of_a_killed_process_is_free(services: FakeServices) -> None:
    module = loaded(services, lock_set_size=2)
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        module.child_init(2)
        os.write(tell, b"%d" % module.trylock(invite(), b"x"))
        signal.pause()
    assert os.read(ready, 1) == b"1"
    assert module.trylock(invite(), b"x") == -1
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert module.trylock(invite(), b"x") == 1
    assert module.trylock(invite(), b"x") == -1


def test_routes(services: FakeServices) -> None:
    call = lua(services)
    services.script.named[b"A"] = call("function() return 7 end")
    assert call('KSR.cfgutils.check_route_exists("A")') == 1
    assert call('KSR.cfgutils.check_route_exists("B")') == -1
    assert call('KSR.cfgutils.route_if_exists("A")') == 7
    assert call('KSR.cfgutils.route_if_exists("B")') == -1


NATIVE = """
loadmodule "cfgutils"
request_route {
    usleep("2000"); $var(usleep) = $rc;
    sleep("0"); $var(sleep) = $rc;
    trylock("$rU"); $var(try) = $rc;
    trylock("$rU"); $var(again) = $rc;
    unlock("$rU"); $var(unlock) = $rc;
    lock("$rU", "b"); $var(lock) = $rc;
    unlock("$rU", "b");
    set_gflag("4"); is_gflag("4"); $var(flag) = $rc;
    reset_gflag("4"); is_gflag("4"); $var(noflag) = $rc;
    set_gflag("32"); $var(nosuch) = $rc;
    rand_set_prob("100"); rand_event(); $var(event) = $rc;
    rand_reset_prob(); rand_get_prob(); $var(chance) = $rc;
    core_hash("$rU", "", "8"); $var(hash) = $rc;
    pkg_status(); pkg_summary(); shm_status(); shm_summary(); $var(said) = $rc;
    check_route_exists("A"); $var(there) = $rc;
    check_route_exists("B"); $var(missing) = $rc;
    route_if_exists("A"); $var(ran) = $rc;
    route_if_exists("B"); $var(not) = $rc;
    $var(random) = $RANDOM;
    if ($var(abort) == 1) abort();
}
route[A] { usleep("1000"); return 7; }
"""


def test_native(services: FakeServices, tmp_path: Path) -> None:
    calls = NativeCalls(services, [loaded(services, lock_set_size=4)], tmp_path, NATIVE)
    variables = calls.run(invite("sip:abcdefg@x")).variables
    assert 0 <= int(variables.pop(b"random")) < 2**31
    assert variables == {
        b"usleep": 1, b"sleep": 1, b"try": 1, b"again": -1, b"unlock": 1, b"lock": 1, b"flag": 1,
        b"noflag": -1, b"nosuch": -1, b"event": 1, b"chance": 10, b"hash": 77, b"said": 1,
        b"there": 1, b"missing": -1, b"ran": 7, b"not": -1,
    }  # fmt: skip
    # Both pauses let the process go on, the one in a route too.
    assert calls.waits == 2


def test_a_route_run_from_lua_may_wait(services: FakeServices, tmp_path: Path) -> None:
    script = tmp_path / "script.lua"
    script.write_text("""
        function run()
            KSR.pvx.var_seti("ran", KSR.cfgutils.route_if_exists("A"))
            KSR.pvx.var_seti("again", KSR.route("A"))
            KSR.pvx.var_seti("none", KSR.route("B"))
        end
    """)
    text = """
loadmodule "cfgutils"
loadmodule "app_lua"
request_route { lua_run("run"); }
route[A] { usleep("1000"); return 7; }
"""
    modules = [loaded(services), *map(services.module, (Core, Pv, AppLua))]
    calls = NativeCalls(services, modules, tmp_path, text, (str(script),))
    assert calls.run(invite()).variables == {b"ran": 7, b"again": 7, b"none": -1}
    assert calls.waits == 2


def test_a_native_lock_is_waited_for(services: FakeServices, tmp_path: Path) -> None:
    module = loaded(services, lock_set_size=4)
    text = 'loadmodule "cfgutils"\nrequest_route { lock("a"); $var(l) = $rc; }'
    calls = NativeCalls(services, [module], tmp_path, text)
    module.lock(invite(), b"a")
    calls.on_wait = lambda: module.unlock(invite(), b"a")
    assert calls.run(invite()).variables == {b"l": 1}
    assert calls.waits == 1


def test_random_numbers(services: FakeServices) -> None:
    module = loaded(services)
    services.variables.register_module(module)
    read = services.variables.compile(b"$RANDOM").get
    numbers = {read(invite()) for _ in range(20)}
    assert len(numbers) > 10
    assert all(0 <= number < 2**31 for number in numbers)


def test_commands_on_chance_and_flags(services: FakeServices) -> None:
    module = loaded(services, initial_gflags=1)
    context: Context = invite()
    assert module.rpc_get_flags() == "0x1 (1)"
    assert module.rpc_set_flags("6") is None
    assert module.rpc_is_flag("2") == "TRUE"
    assert module.rpc_is_flag("0x9") == "FALSE"
    assert module.is_gflag(context, 2) == 1
    assert module.rpc_reset_flags("2") is None
    assert module.rpc_get_flags() == "0x5 (5)"
    assert module.rpc_get_probability() == "actual probability: 10 percent"
    assert module.rpc_set_probability("20") is None
    assert module.rand_get_prob(context) == 20
    assert module.rpc_reset_probability() is None
    assert module.rpc_get_probability() == "actual probability: 10 percent"
    for call, text, fault in (
        (module.rpc_set_flags, "", "Invalid Parameters"),
        (module.rpc_set_flags, "4294967296", "Invalid Parameters"),
        (module.rpc_set_probability, "101", "Invalid Percent"),
    ):
        with pytest.raises(RpcFault, match=fault):
            call(text)


def test_commands_on_the_config(services: FakeServices, tmp_path: Path) -> None:
    config = tmp_path / "k.cfg"
    config.write_text("debug=1\n")
    module = loaded(services, hash_file=str(config))
    assert module.rpc_get_hash() == hashlib.md5(b"debug=1\n", usedforsecurity=False).hexdigest()
    assert module.rpc_check_hash() == "Identical hash"
    config.write_text("debug=2\n")
    assert module.rpc_check_hash() == "Different hash"
    config.unlink()
    with pytest.raises(RpcFault, match="Failed to hash the file"):
        module.rpc_check_hash()
    with pytest.raises(RpcFault, match="No hash file"):
        loaded(services).rpc_check_hash()
    loaded(services, hash_file=str(config))
    assert any("cannot read hash_file" in line for line in services.lines)
