"""Module htable: every function from Lua, the variables, the native forms, commands, events."""

import asyncio
import os
import signal
import time
from types import SimpleNamespace

import pytest

from kamailiod.modules.htable import Htable
from kamailiod.script.module import RpcFault
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.native_calls import NativeCalls

TABLES = [
    "a=>size=4;",
    "b => size=2; initval=10",
    "ex=>size=4;autoexpire=30",
    "kept=>autoexpire=30;updateexpire=0",
]

_ALL_RESULTS = """
local h = KSR.htable
local function packed(...) return {n = select("#", ...), ...} end
return packed((function() %s end)())
"""


@pytest.fixture
def services():
    made = FakeServices()
    yield made
    made.close()


@pytest.fixture
def htable(services):
    module = services.load(Htable, htable=TABLES)
    services.start()
    return module


@pytest.fixture
def lua(services, htable):
    calls = LuaCalls(services, [htable])
    context = services.faked_context()

    def call(text, other=None):
        found = calls(other or context, _ALL_RESULTS % text)
        values = tuple(found[number] for number in range(1, found[b"n"] + 1))
        return values[0] if len(values) == 1 else values

    return call


@pytest.fixture
def pv(services, htable, lua):
    context = services.faked_context()
    return lambda spec: services.variables.accessors[spec].get(context)


@pytest.fixture
def put(services, htable, lua):
    context = services.faked_context()
    return lambda spec, value: services.variables.accessors[spec].set(context, value)


def filled(table, values):
    for name, value in values.items():
        assert table.set(name, value)


def test_get_and_set(lua, services):
    assert lua("return h.sht_get('a', 'x'), h.sht_gete('a', 'x'), h.sht_getw('a', 'x')") == (
        None, b"", b"<null>",
    )  # fmt: skip
    assert lua("return h.sht_sets('a', 'k', 'v'), h.sht_get('a', 'k')") == (1, b"v")
    assert lua("return h.sht_gete('a', 'k'), h.sht_getw('a', 'k')") == (b"v", b"v")
    assert lua("return h.sht_seti('a', 'k', 7), h.sht_get('a', 'k')") == (1, 7)
    assert lua("return h.sht_sets('none', 'k', 'v'), h.sht_get('none', 'k')") == (-1, None)
    assert lua("return h.sht_seti('none', 'k', 1)") == -1
    assert "No such htable" in services.lines[-1]
    assert lua("return h.sht_sets('a', '', ''), h.sht_get('a', '')") == (1, b"")
    assert lua("return h.sht_seti('a', 'k', -4294967297), h.sht_get('a', 'k')") == (1, -4294967297)


def test_increment(lua):
    lua("h.sht_seti('a', 'i', 7); h.sht_sets('a', 's', 'text')")
    assert lua("return h.sht_inc('a', 'i'), h.sht_dec('a', 'i'), h.sht_dec('a', 'i')") == (8, 7, 6)
    assert lua("return h.sht_inc('a', 's'), h.sht_inc('a', 'none'), h.sht_dec('none', 'i')") == (
        -255, -255, -255,
    )  # fmt: skip
    assert lua("return h.sht_get('b', 'q'), h.sht_inc('b', 'q'), h.sht_get('b', 'q')") == (
        10, 11, 11,
    )  # fmt: skip
    assert lua("return h.sht_dec('b', 'other')") == 9


def test_is_null_and_rm(lua, htable):
    lua("h.sht_sets('a', 'k', 'v')")
    assert lua(
        "return h.sht_is_null('a', 'k'), h.sht_is_null('a', 'none'), h.sht_is_null('none', 'k'), "
        "h.sht_is_null('b', 'none')"
    ) == (-1, 1, 2, -2)
    assert lua("return h.sht_rm('a', 'k'), h.sht_rm('a', 'k'), h.sht_rm('none', 'k')") == (1, 1, -1)
    assert htable.tables.get(b"a").stored(b"k") is None


def test_lifetimes(lua, pv):
    assert lua("return h.sht_setxs('ex', 'x', 'v', 50), h.sht_setxi('ex', 'y', 5, 60)") == (1, 0)
    assert (pv(b"$sht(ex=>x)"), pv(b"$sht(ex=>y)")) == (b"v", 5)
    assert pv(b"$shtex(ex=>x)") in (49, 50)
    assert pv(b"$shtex(ex=>y)") in (59, 60)
    assert lua("return h.sht_setxs('ex', 'z', 'v', 0), h.sht_setxs('no', 'z', 'v', 0)") == (1, -1)
    assert pv(b"$shtex(ex=>z)") in (29, 30)
    assert lua("return h.sht_setex('ex', 'z', 100), h.sht_setex('ex', 'none', 100)") == (1, 1)
    assert pv(b"$shtex(ex=>z)") in (99, 100)
    assert lua("return h.sht_setex('a', 'z', 100), h.sht_setex('none', 'z', 100)") == (1, -1)
    assert lua("return h.sht_setxi('none', 'y', 5, 60)") == -1
    assert (pv(b"$shtex(a=>z)"), pv(b"$shtex(ex=>none)"), pv(b"$shtex(none=>z)")) == (0, 0, None)


def test_updateexpire(lua, pv, put):
    for table, left in ((b"ex", (29, 30)), (b"kept", (99, 100))):
        key = b"%s=>k)" % table
        assert put(b"$sht(" + key, b"v")
        assert put(b"$shtex(" + key, 100)
        assert put(b"$sht(" + key, b"longer than before")
        assert pv(b"$shtex(" + key) in left
        assert put(b"$sht(" + key, 5)
        assert put(b"$shtex(" + key, 100)
        assert pv(b"$shtinc(" + key) == 6
        assert pv(b"$shtex(" + key) in left
        assert put(b"$shtex(" + key, b"text")
        assert pv(b"$shtex(" + key) == 0
        assert pv(b"$sht(" + key) == 6


def test_what_is_over_is_not_there(htable, pv, put, monkeypatch, services):
    table = htable.tables.get(b"ex")
    for name in (b"k", b"n"):
        assert table.set(name, 1)
    began = int(time.time())
    for module in ("table", "tables"):
        monkeypatch.setattr(f"kamailiod.modules.hash_tables.{module}.time", lambda: began + 31.9)
    if table.stored(b"k") is not None:  # the second turned between set and now
        monkeypatch.setattr("kamailiod.modules.hash_tables.table.time", lambda: began + 32.5)
        monkeypatch.setattr("kamailiod.modules.hash_tables.tables.time", lambda: began + 32.5)
    assert table.stored(b"k") is None
    assert table.add(b"k", 1) is None
    assert list(table.items()) == []
    heard = []
    record = services.variables.accessors[b"$shtrecord(key)"].get
    content = services.variables.accessors[b"$shtrecord(value)"].get

    def hear(module, event, context=None):
        heard.append((module, event, record(context), content(context)))

    monkeypatch.setattr(services.script, "run_event", hear)
    htable.expire()
    assert sorted(heard) == [
        ("htable", "expired:ex", b"k", 1), ("htable", "expired:ex", b"n", 1)
    ]  # fmt: skip
    htable.expire()
    assert len(heard) == 2
    assert record(services.faked_context()) is None


def test_a_value_lives_to_the_end_of_its_last_second(htable, monkeypatch):
    table = htable.tables.get(b"ex")
    at = [1000.9]
    monkeypatch.setattr("kamailiod.modules.hash_tables.table.time", lambda: at[0])
    table.set(b"k", b"v")
    at[0] = 1030.99
    assert (table.stored(b"k"), table.seconds_left(b"k")) == (b"v", 0)
    at[0] = 1031.0
    assert table.stored(b"k") is None


def test_match(lua, htable):
    filled(htable.tables.get(b"a"), {b"ab1": b"v1", b"ab2": b"v2", b"n1": 5})
    name, value = "h.sht_match_name('a', '%s', '%s')", "h.sht_match_str_value('a', '%s', '%s')"
    for call, operator, text, result in [
        (name, "eq", "ab1", 1), (name, "eq", "ab", -1), (name, "ne", "ab1", 1),
        (name, "re", "^AB[[:digit:]]$", 1), (name, "re", "^b", -1), (name, "sw", "ab", 1),
        (name, "sw", "b", -1), (name, "ew", "1", -1), (name, "re", "(", -1), (name, "eq", "", -1),
        (value, "eq", "v1", 1), (value, "eq", "5", -1), (value, "re", "[29]", 1),
        (value, "sw", "v", 1), (value, "ne", "v1", 1), (value, "zz", "v1", -1),
    ]:  # fmt: skip
        assert lua("return " + call % (operator, text)) == result, (call, operator, text)
    assert lua("return h.sht_match_name('none', 'eq', 'a')") == -1


def test_remove_by_name_and_value(lua, htable):
    table = htable.tables.get(b"a")
    values = {b"ab1": b"v1", b"ab2": b"v2", b"ac": b"w", b"n1": 5}

    def left(call):
        table.clear()
        filled(table, values)
        assert lua(f"return h.{call}") == 1
        return {name for name, _ in table.items()}

    assert left("sht_rm_name('a', 'sw', 'ab')") == {b"ac", b"n1"}
    assert left("sht_rm_name('a', 're', '^.B')") == {b"ac", b"n1"}
    assert left("sht_rm_name_re('a', '1')") == {b"ab2", b"ac"}
    assert left("sht_rm_value('a', 'sw', 'v')") == {b"ac", b"n1"}
    assert left("sht_rm_value('a', 're', '5|w')") == {b"ab1", b"ab2", b"n1"}
    assert left("sht_rm_value_re('a', '.')") == {b"n1"}
    assert left("sht_rm_name('a', 're', 'nothing')") == set(values)
    for call, result in [
        ("sht_rm_name('a', 'eq', 'ab1')", -1), ("sht_rm_value('a', 'ew', '1')", -1),
        ("sht_rm_name('none', 're', 'a')", -1), ("sht_rm_name_re('none', 'a')", 1),
        ("sht_rm_value_re('a', '(')", -1), ("sht_rm_name('a', 're', '(')", -1),
    ]:  # fmt: skip
        assert lua(f"return h.{call}") == result, call


def test_reset(lua, htable):
    filled(htable.tables.get(b"a"), {b"x": 1, b"y": b"2"})
    filled(htable.tables.get(b"b"), {b"x": 1})
    assert lua("return h.sht_reset('a'), h.sht_reset('none')") == (0, -1)
    assert list(htable.tables.get(b"a").items()) == []
    assert list(htable.tables.get(b"b").items()) == [(b"x", 1)]


def test_iterators(lua, htable, services):
    filled(htable.tables.get(b"a"), {b"x": 1, b"y": b"2", b"z": 3})
    context = services.faked_context()
    assert lua("return h.sht_iterator_start('i', 'a'), h.sht_iterator_start('i', 'none')") == (
        1, -1,
    )  # fmt: skip
    key, value = (services.variables.accessors[b"$shtit%s(i)" % name].get
                  for name in (b"key", b"val"))  # fmt: skip
    assert lua("return h.sht_iterator_start('i', 'a')", context) == 1
    assert (key(context), value(context)) == (None, None)
    seen = {}
    while lua("return h.sht_iterator_next('i')", context) == 1:
        seen[key(context)] = value(context)
    assert seen == {b"x": 1, b"y": b"2", b"z": 3}
    assert lua("return h.sht_iterator_next('i'), h.sht_iterator_rm('i')", context) == (-1, -1)
    assert lua("return h.sht_iterator_end('i'), h.sht_iterator_end('i')", context) == (1, -1)
    assert lua("return h.sht_iterator_next('i')", context) == -1


def test_iterators_change_what_they_are_at(lua, htable, services):
    table = htable.tables.get(b"ex")
    filled(table, {b"x": 1, b"y": b"2"})
    context = services.faked_context()
    key, value = (services.variables.accessors[b"$shtit%s(i)" % name].get
                  for name in (b"key", b"val"))  # fmt: skip
    for call in ("sets('i', 'v')", "seti('i', 1)", "setex('i', 5)", "rm('i')"):
        assert lua(f"return h.sht_iterator_{call}", context) == -1
    lua("h.sht_iterator_start('i', 'ex'); h.sht_iterator_next('i')", context)
    first = key(context)
    assert lua("return h.sht_iterator_sets('i', 'new')", context) == 1
    assert value(context) == table.stored(first) == b"new"
    assert lua("return h.sht_iterator_seti('i', 9)", context) == 1
    assert value(context) == table.stored(first) == 9
    assert lua("return h.sht_iterator_setex('i', 77)", context) == 1
    assert table.seconds_left(first) in (76, 77)
    assert lua("return h.sht_iterator_rm('i')", context) == 1
    assert table.stored(first) is None
    assert key(context) not in (first, None)
    assert lua("return h.sht_iterator_rm('i')", context) == -2
    assert key(context) is None
    assert list(table.items()) == []


def test_counts(htable, pv):
    values = {b"ab%d" % n: b"v%d" % n for n in range(5)} | {b"n1": 5, b"n2": 6, b"five": b"5"}
    filled(htable.tables.get(b"a"), values)
    for expression, names, found in [
        (b"~~^ab", 5, 0), (b"^AB", 5, 0), (b"ab1", 1, 0), (b"~%2", 2, 1), (b"%~ab", 5, 0),
        (b"%~v", 0, 5), (b"==ab1", 1, 0), (b"==5", 0, 1), (b"eq5", 0, 1), (b"eq", 0, 0),
        (b"**", 8, 8), (b"~~", 0, 0), (b"[", 0, 0), (b"e", 1, 0),
    ]:  # fmt: skip
        assert (pv(b"$shtcn(a=>%s)" % expression), pv(b"$shtcv(a=>%s)" % expression)) == (
            names, found,
        ), expression  # fmt: skip
    assert pv(b"$shtcn(none=>**)") is None


def test_variables(pv, put, services, htable):
    assert pv(b"$sht(a=>x)") is None
    assert put(b"$sht(a=>x)", b"text")
    assert (pv(b"$sht(a=>x)"), pv(b"$shtinc(a=>x)")) == (b"text", None)
    assert put(b"$sht(a=>x)", 5)
    assert (pv(b"$shtinc(a=>x)"), pv(b"$shtdec(a=>x)"), pv(b"$sht(a=>x)")) == (6, 5, 5)
    assert put(b"$sht(a=>x)", None)
    assert pv(b"$sht(a=>x)") is None
    assert pv(b"$shtinc(a=>none)") is None
    assert (pv(b"$sht(b=>any)"), pv(b"$shtinc(b=>any)")) == (10, 11)
    assert (pv(b"$sht(none=>x)"), pv(b"$shtcv(none=>**)")) == (None, None)
    assert not put(b"$sht(none=>x)", 1)
    assert put(b"$sht( a => spaced )", 3)
    assert (pv(b"$sht(a=> spaced )"), pv(b"$sht(a=>spaced)")) == (3, None)
    assert services.variables.compile(b"$sht(a)") is None
    context = services.faked_context()
    accessors = services.variables.accessors
    assert accessors[b"$sht(a=>$rm-$ci)"].set(context, b"dynamic")
    assert htable.tables.get(b"a").get(b"OPTIONS-fake") == b"dynamic"
    assert accessors[b"$(sht(a=>$rm-$ci){s.toupper})"].get(context) == b"DYNAMIC"
    assert accessors[b"$shtrecord(other)"].get(context) is None


def test_locks_are_a_request_s(lua, htable, services):
    first, second = services.faked_context(), services.faked_context()
    assert lua("return h.sht_lock('a', 'k'), h.sht_lock('a', 'k')", first) == (1, 1)
    assert lua("return h.sht_lock('a', 'other')", second) == 1
    locks = htable.locks
    assert locks.take(second, b"a\0k") is False
    assert lua("return h.sht_unlock('a', 'k')", second) == 1
    assert lua("return h.sht_unlock('a', 'k')", first) == 1
    assert locks.take(second, b"a\0k") is False
    assert lua("return h.sht_unlock('a', 'k')", first) == 1
    assert locks.take(second, b"a\0k") is True
    assert lua("return h.sht_lock('none', 'k'), h.sht_unlock('none', 'k')") == (-1, -1)


def test_who_waits_for_a_lock_gets_it(htable, services):
    first, second = services.faked_context(), services.faked_context()
    assert htable.sht_lock(first, b"a", b"k") == 1

    async def both():
        waiting = asyncio.ensure_future(htable.sht_lock(second, b"a", b"k").awaitable_factory())
        await asyncio.sleep(0)
        assert not waiting.done()
        htable.sht_unlock(first, b"a", b"k")
        return await waiting

    assert asyncio.run(both()) == 1
    assert htable.locks.take(first, b"a\0k") is False


def test_who_waits_for_a_lock_gives_up(htable, services, monkeypatch):
    first, second = services.faked_context(), services.faked_context()
    assert htable.sht_lock(first, b"a", b"k") == 1
    monkeypatch.setattr("kamailiod.modules.hash_tables.key_locks.PATIENCE", 0.0)
    assert asyncio.run(htable.sht_lock(second, b"a", b"k").awaitable_factory()) == -1
    assert "held by another" in services.lines[-1]


def test_a_lock_ends_with_its_lease(htable, services, monkeypatch):
    first, second = services.faked_context(), services.faked_context()
    assert htable.locks.take(first, b"k") is True
    monkeypatch.setattr("kamailiod.modules.hash_tables.key_locks.time", lambda: time.time() + 31)
    assert htable.locks.take(second, b"k") is True
    htable.locks.give_back(first, b"k")
    assert htable.locks.take(first, b"k") is False
    monkeypatch.setattr("kamailiod.modules.hash_tables.key_locks.time", lambda: time.time() + 99)
    htable.locks.expire()
    assert len(htable.locks._map) == 0


def test_a_lock_ends_with_its_killed_holder(htable, services):
    ours = services.faked_context()
    ready, say = os.pipe()
    child = os.fork()
    if child == 0:
        htable.locks.open()
        htable.sht_lock(services.faked_context(), b"a", b"k")
        os.write(say, b"x")
        signal.pause()
    assert os.read(ready, 1) == b"x"
    try:
        assert htable.locks.take(ours, b"a\0k") is False
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert htable.locks.take(ours, b"a\0k") is True


def test_processes_count_together(htable):
    table = htable.tables.get(b"b")
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            for _ in range(500):
                table.add(b"calls", 1)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert table.get(b"calls") == 10 + 1500


def test_full_memory_is_an_error_code(lua, htable, services, put):
    big = b"x" * 100_000
    number = 0
    while htable.sht_sets(services.faked_context(), b"a", b"k%d" % number, big) == 1:
        number += 1
    assert number > 5
    assert "no memory left" in services.lines[-1]
    assert lua(f"return h.sht_sets('a', 'more', string.rep('x', {len(big)}))") == -1
    assert not put(b"$sht(a=>more)", big)
    assert lua("return h.sht_get('a', 'k0')") == big
    assert htable.tables._map.usage().failures >= 2


def test_native_routes(services, htable, tmp_path):
    native = NativeCalls(services, [htable], tmp_path, """
loadmodule "htable.so"
modparam("htable", "htable", "a=>size=4")
request_route {
    sht_lock("a=>$ci");
    $sht(a=>$ci) = 5;
    sht_unlock("a=>$ci");
    $var(inc) = $shtinc(a=>$ci);
    sht_setxs("a", "s1", "text", "10");
    sht_setxi("a", "i1", "7", "10");
    if (sht_match_name("a", "eq", "s1")) $var(named) = 1;
    if (sht_has_name("a", "sw", "s")) $var(has) = 1;
    if (sht_match_str_value("a", "eq", "text")) $var(valued) = 1;
    if (sht_has_str_value("a", "eq", "other")) $var(other) = 1;
    sht_iterator_start("it", "a");
    while (sht_iterator_next("it")) {
        $var(n) = $var(n) + 1;
        if ($shtitkey(it) == "i1") { sht_iterator_seti("it", "8"); sht_iterator_setex("it", "9"); }
        if ($shtitkey(it) == "s1") { sht_iterator_sets("it", "changed"); }
    }
    sht_iterator_end("it");
    $var(i1) = $sht(a=>i1);
    $var(s1) = $sht(a=>s1);
    sht_rm("a", "i1");
    sht_rm_name_re("a=>^s1$");
    $var(left) = $shtcn(a=>**);
    sht_rm_value_re("a=>.");
    sht_rm_name("a", "sw", "zz");
    sht_rm_value("a", "re", "zz");
    sht_iterator_start("it", "a");
    sht_iterator_next("it");
    sht_iterator_rm("it");
    if (sht_is_null("a", "none")) $var(null) = 1;
    $sht(a=>n) = 1;
    sht_inc("a", "n");
    $var(count) = $rc;
    sht_dec("a", "n");
    sht_print();
    sht_reset("a");
    $var(end) = $shtcn(a=>**);
    $sht(a=>gone) = 1;
    $sht(a=>gone) = $null;
    if ($sht(a=>gone) == $null) $var(gone) = 1;
}
""")  # fmt: skip
    got = native.run(services.faked_context()).variables
    wanted = {
        b"inc": 6, b"named": 1, b"has": 1, b"valued": 1, b"n": 3, b"i1": 8, b"s1": b"changed",
        b"left": 1, b"null": 1, b"count": 2, b"end": 0, b"gone": 1,
    }  # fmt: skip
    assert {name: got.get(name) for name in wanted} == wanted
    assert b"other" not in got
    assert any("cell: b'n' => 1" in line for line in services.lines)


def test_event_route_of_what_expires(services, htable, tmp_path, monkeypatch):
    native = NativeCalls(services, [htable], tmp_path, """
loadmodule "htable.so"
request_route { $sht(ex=>$ci) = $rm; }
event_route[htable:expired:ex] { $sht(a=>$shtrecord(key)) = $shtrecord(value); }
""")  # fmt: skip
    native.run(services.faked_context())
    assert native.engine.hears("htable", "expired:ex")
    assert not native.engine.hears("htable", "expired:kept")
    htable.tables.get(b"kept").set(b"k", b"v")
    monkeypatch.setattr("kamailiod.modules.hash_tables.tables.time", lambda: time.time() + 99)
    htable.expire()
    assert list(htable.tables.get(b"a").items()) == [(b"fake", b"OPTIONS")]
    assert len(htable.tables._map) == 1


@pytest.mark.parametrize("spec", [
    "a", "a=>", "a=>size=x", "a=>initval=abc", "a=>nothing=1", "=>size=3", "a=>cols=one",
    "a=>coldelim=ab", "a=>autoexpire=-1",
])  # fmt: skip
def test_a_definition_that_is_none(services, spec):
    services.load(Htable, htable=[spec])
    with pytest.raises(ValueError, match="invalid htable parameter"):
        services.start()


def test_definitions(services):
    services.load(Htable, htable=["a=>size=3", "a=>size=4"])
    with pytest.raises(ValueError, match="already configured"):
        services.start()
    specs = ["a=>size=1", "b=>size=40;", "c=>size=8;dmqreplicate=1", "d=>dbmode=1"]
    module = services.load(Htable, htable=specs)
    module.mod_init()
    assert [table.definition.slots for table in module.tables] == [16, 256, 1 << 14, 8]
    assert any("dmqreplicate" in line for line in services.lines)


def test_no_tables_need_no_memory(services):
    module = services.load(Htable)
    services.start(-1)
    assert services.segments == []
    assert module.sht_lock(services.faked_context(), b"a", b"k") == -1
    module.expire()


def test_events(services):
    module = services.load(Htable, htable=["t=>autoexpire=1"])
    services.start()
    module.script_init()
    assert services.script.events == ["htable:mod-init"]
    late = services.load(Htable, htable=["t=>autoexpire=1"], event_callback_mode=1)
    late.script_init()
    late.child_init(2)
    assert len(services.script.events) == 1
    late.child_init(1)
    assert services.script.events == ["htable:mod-init"] * 2


def test_much_that_expires_is_taken_in_slices(services, htable, monkeypatch):
    table = htable.tables.get(b"ex")
    for number in range(1200):
        table.set(b"%d" % number, number)
    monkeypatch.setattr("kamailiod.modules.hash_tables.tables.time", lambda: time.time() + 99)
    later = []
    services.timers = SimpleNamespace(schedule=lambda delay, call: later.append(call))
    htable.expire()
    while later:
        later.pop()()
    assert len(services.script.events) == 1200
    assert list(table.items()) == []


def test_commands(htable, services):
    a, ex = htable.tables.get(b"a"), htable.tables.get(b"ex")
    filled(a, {b"n": 5, b"s": b"text"})
    items = [item for slot in htable.rpc_dump("a") for item in slot["slot"]]
    assert sorted(items, key=lambda item: item["name"]) == [
        {"name": "n", "value": 5, "type": "int"}, {"name": "s", "value": "text", "type": "str"}
    ]  # fmt: skip
    assert all(slot["size"] == len(slot["slot"]) for slot in htable.rpc_dump("a"))
    assert all(0 <= slot["entry"] < 16 for slot in htable.rpc_dump("a"))
    assert htable.rpc_get("a", "n") == {
        "item": {"name": "n", "value": 5, "flags": 0, "expire": "NEVER"}
    }
    assert htable.rpc_sets("a", "k", "v") == "Ok. Key set to new value."
    assert htable.rpc_seti("a", "i", 3) == "Ok. Key set to new value."
    assert (a.get(b"k"), a.get(b"i")) == (b"v", 3)
    assert htable.rpc_setxs("ex", "x", "v", 44) == "Ok. Key set to new value."
    assert htable.rpc_setxi("ex", "y", 7, 55) == "Ok. Key set to new value."
    assert (ex.get(b"x"), ex.get(b"y")) == (b"v", 7)
    assert ex.seconds_left(b"y") in (54, 55)
    assert htable.rpc_setex("ex", "x", 66) == "Ok"
    assert ex.seconds_left(b"x") in (65, 66)
    shown = htable.rpc_get("ex", "x")["item"]
    assert shown["flags"] == 2
    assert time.mktime(time.strptime(shown["expire"], "%Y-%m-%d %H:%M:%S")) == ex.expiry(b"x")
    assert htable.rpc_delete("a", "k") == "Ok. Key deleted."
    assert [table["name"] for table in htable.rpc_list_tables()] == ["kept", "ex", "b", "a"]
    assert htable.rpc_list_tables()[0] == {
        "name": "kept", "dbtable": "", "dbmode": 0, "expire": 30, "updateexpire": 0, "size": 16,
        "dmqreplicate": 0,
    }  # fmt: skip
    assert htable.rpc_stats()[3]["all"] == 3
    assert htable.rpc_stats()[0] == {"name": "kept", "slots": 16, "all": 0, "min": 0, "max": 0}
    assert htable.rpc_flush("a") == "Ok. Htable flushed."
    assert htable.rpc_dump("a") == []


def test_faults_of_commands(htable):
    for call, message in [
        (lambda: htable.rpc_dump("none"), "No such htable"),
        (lambda: htable.rpc_seti("none", "k", 1), "No such htable"),
        (lambda: htable.rpc_get("a", "none"), "Key name doesn't exist"),
        (lambda: htable.rpc_delete("a", "none"), "Key not found"),
        (lambda: asyncio.run(htable.rpc_reload("a")), "No htable db_url"),
        (lambda: asyncio.run(htable.rpc_store("a")), "No htable db_url"),
    ]:
        with pytest.raises(RpcFault, match=message):
            call()
