"""Module mqueue: queues from Lua, natively, by command, and their rows in a database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from kamailiod.modules.mqueue import Mqueue
from kamailiod.script.module import RpcFault
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.inviting import invite
from tests.kamailiod.native_calls import NativeCalls

QUEUES = ["name=a;size=2", "name=first;addmode=1", "name=last;addmode=2"]


def load(services: FakeServices, *queues: str, **params: object) -> Mqueue:
    module: Mqueue = services.load(Mqueue, mqueue=list(queues), **params)
    module.mod_init()
    module.child_init(1)
    return module


@pytest.fixture
def module(services: FakeServices) -> Mqueue:
    return load(services, *QUEUES, mqueue_name=["named"], mqueue_size=1)


@pytest.fixture
def lua(services: FakeServices, module: Mqueue) -> LuaCalls:
    return LuaCalls(services, [module])


def test_first_in_first_out_from_lua(lua: LuaCalls) -> None:
    context = invite()
    for key in "123":
        assert lua(context, f'return KSR.mqueue.mq_add("a", "{key}", "v{key}")') == 1
    assert lua(context, 'return KSR.mqueue.mq_size("a")') == 2
    for get in ("mqk_get", "mqk_gete", "mqk_getw", "mqv_get", "mqv_gete", "mqv_getw"):
        assert lua(context, f'return KSR.mqueue.{get}("a")') is None
    assert lua(context, 'return KSR.mqueue.mq_fetch("a")') == 1
    for get in ("mqk_get", "mqk_gete", "mqk_getw"):
        assert lua(context, f'return KSR.mqueue.{get}("a")') == b"2"
    for get in ("mqv_get", "mqv_gete", "mqv_getw"):
        assert lua(context, f'return KSR.mqueue.{get}("a")') == b"v2"
    assert lua(invite(), 'return KSR.mqueue.mqk_get("a")') is None
    assert lua(context, 'return KSR.mqueue.mq_pv_free("a")') == 1
    assert lua(context, 'return KSR.mqueue.mqk_get("a")') is None
    assert lua(context, 'return KSR.mqueue.mq_fetch("a")') == 1
    assert lua(context, 'return KSR.mqueue.mq_fetch("a")') == -2
    assert lua(context, 'return KSR.mqueue.mqk_get("a")') is None
    assert lua(context, 'return KSR.mqueue.mq_size("a")') == 0


def test_no_such_queue(lua: LuaCalls) -> None:
    for call in ('mq_add("zz", "k", "v")', 'mq_fetch("zz")', 'mq_size("zz")'):
        assert lua(invite(), f"return KSR.mqueue.{call}") == -1
    assert lua(invite(), 'return KSR.mqueue.mq_pv_free("zz")') == 1


def test_a_key_once(lua: LuaCalls) -> None:
    context = invite()
    for queue, expected in (("first", [b"x1", b"y2"]), ("last", [b"y2", b"x3"])):
        for key, value in ("x1", "y2", "x3"):
            call = f'return KSR.mqueue.mq_add("{queue}", "{key}", "{value}")'
            assert lua(context, call) == 1
        found = []
        while lua(context, f'return KSR.mqueue.mq_fetch("{queue}")') == 1:
            read = f'return KSR.mqueue.mqk_get("{queue}") .. KSR.mqueue.mqv_get("{queue}")'
            found.append(lua(context, read))
        assert found == expected


def test_native_routes(services: FakeServices, module: Mqueue, tmp_path: Path) -> None:
    routes = NativeCalls(services, [module], tmp_path, """
        loadmodule "mqueue.so"
        request_route {
            $var(none) = mq_size("zz");
            $var(empty) = mq_size("named");
            mq_add("named", "old", "gone");
            mq_add("named", "$rm", "from $fU");
            $var(one) = mq_size("named");
            $var(size) = $mq_size(named);
            while (mq_fetch("named")) { $var(k) = $mqk(named); $var(v) = $mqv(named); }
            mq_pv_free("named");
        }
    """)  # fmt: skip
    found = routes.run(invite()).variables
    assert [found[name] for name in (b"none", b"empty", b"one", b"size")] == [-2, -1, 1, 1]
    assert (found[b"k"], found[b"v"]) == (b"INVITE", b"from alice")


def test_commands(module: Mqueue) -> None:
    module.mq_add(invite(), b"a", b"k", b"v")
    assert module.rpc_get_size("a") == {"name": "a", "size": 1}
    sizes = module.rpc_get_sizes()
    assert isinstance(sizes, list) and {"name": "a", "size": 1} in sizes and len(sizes) == 4
    assert module.rpc_fetch("a") == {"key": "k", "val": "v"}
    for call, code in (
        (lambda: module.rpc_fetch("a"), 404), (lambda: module.rpc_fetch("zz"), 500),
        (lambda: module.rpc_get_size("zz"), 404), (lambda: module.rpc_get_size(), 400),
        (lambda: module.rpc_fetch(), 400),
    ):  # fmt: skip
        with pytest.raises(RpcFault) as fault:
            call()
        assert fault.value.code == code


@pytest.mark.parametrize("text", ["size=3", "name=q;size=x", "name=q;what=1", "name=q;addmode=3"])
def test_definitions_that_are_none(services: FakeServices, text: str) -> None:
    with pytest.raises(ValueError, match="mqueue"):
        load(services, text)


def rows(path: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(path) as database:
        return database.execute("SELECT key, val FROM q ORDER BY id").fetchall()


@pytest.mark.parametrize(("dbmode", "read", "after"), [
    (0, 0, [("a", "1"), ("b", "2")]), (1, 2, [("b", "2"), ("c", "3")]),
    (2, 0, [("a", "1"), ("b", "2"), ("c", "3")]), (3, 2, []),
])  # fmt: skip
def test_rows(
    services: FakeServices, tmp_path: Path, dbmode: int, read: int, after: list[tuple[str, str]]
) -> None:
    path = tmp_path / "q.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE q (id INTEGER PRIMARY KEY, key TEXT, val TEXT)")
        database.execute("INSERT INTO q (key, val) VALUES ('a', '1'), ('b', '2')")
    module = load(services, f"name=q;dbmode={dbmode}", db_url=f"sqlite:///{path}")
    assert module.mq_size(invite(), b"q") == read
    if read:
        assert module.mq_fetch(invite(), b"q") == 1
    module.mq_add(invite(), b"q", b"c", b"3")
    module.child_exit(1)
    module.child_exit(0)
    assert rows(path) == after


def test_a_database_that_is_not_there(services: FakeServices, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/no/such.db"
    module = load(services, "name=q;dbmode=1", db_url=url)
    assert module.mq_add(invite(), b"q", b"k", b"v") == 1
    module.child_exit(0)
    assert any("cannot be loaded" in line for line in services.lines)
    assert any("cannot be saved" in line for line in services.lines)
