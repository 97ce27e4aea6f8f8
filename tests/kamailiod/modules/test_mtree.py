from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kamailiod.modules.mtree import Mtree
from kamailiod.rpc.dispatcher import to_json
from kamailiod.script.module import RpcFault
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.inviting import invite
from tests.kamailiod.modules.sqlite_tables import SqliteTables
from tests.kamailiod.native_calls import NativeCalls

DEFINITIONS = [
    "name=b;dbtable=mtrees;multi=1", "name=a;dbtable=mtrees;multi=1;", "name=ints;type=2",
    "name=dw;dbtable=dw;type=1", "name=wide;dbtable=wide;cols='k,x,y,z'",
]  # fmt: skip


@pytest.fixture
def tables(tmp_path: Path) -> SqliteTables:
    """What Kamailio 5.6.3 was run on for the results below."""
    made = SqliteTables(tmp_path, "mtree", "mtrees")
    for name, prefix, value in (
        ("a", "49", "de"), ("a", "4930", "berlin"), ("a", "4930", "berlin2"), ("a", "1", "us"),
        ("b", "1", "one"),
    ):  # fmt: skip
        made.insert("mtrees", tname=name, tprefix=prefix, tvalue=value)
    made.insert("mtree", tprefix="49", tvalue="100")
    made.insert("mtree", tprefix="4930", tvalue="7")
    made.run("CREATE TABLE dw (tprefix VARCHAR(32), tvalue VARCHAR(128))")
    made.insert("dw", tprefix="49", tvalue="10=5;20=3;30=9")
    made.insert("dw", tprefix="4930", tvalue="10=1;40=7;")
    made.run("CREATE TABLE wide (k VARCHAR(32), x VARCHAR(32), y INTEGER, z VARCHAR(32))")
    made.run("INSERT INTO wide VALUES ('49', 'x', 5, NULL)")
    return made


def loaded(services: FakeServices, tables: SqliteTables, **params: object) -> Mtree:
    if "db_table" not in params:
        params.setdefault("mtree", DEFINITIONS)
    params.setdefault("mt_allow_duplicates", 1)
    module: Mtree = services.load(Mtree, db_url=tables.url, **params)
    services.start()
    return module


def run(services: FakeServices, work: Any) -> Any:
    with asyncio.Runner() as runner:
        services.loop = runner.get_loop()
        return runner.run(work)


@pytest.mark.parametrize(
    ("tree", "number", "mode", "result", "avps"),
    [
        ("a", "493099", 0, 1, {b"tvalue": [b"berlin2"]}),
        ("a", "493099", 2, 1, {b"tvalues": [b"berlin", b"berlin2", b"de"]}),
        ("a", "49", 0, 1, {b"tvalue": [b"de"]}),
        ("a", "4931", 0, 1, {b"tvalue": [b"de"]}),
        ("a", "4", 0, -1, {}),
        ("a", "5", 2, -1, {}),
        ("a", "", 0, -1, {}),
        # An octet that is no prefix's ends the search, unless no prefix goes on there.
        ("a", "49+", 0, -1, {}),
        ("a", "49+", 2, -1, {b"tvalues": [b"de"]}),
        ("a", "4930+", 0, 1, {b"tvalue": [b"berlin2"]}),
        ("b", "1", 0, 1, {b"tvalue": [b"one"]}),
        ("ints", "4930", 0, 1, {b"tvalue": [7]}),
        ("ints", "4930", 2, 1, {b"tvalues": [7, 100]}),
        ("wide", "49", 0, 1, {b"tvalue": [b"x,5,*"]}),
        ("none", "49", 0, -1, {}),
        ("dw", "4930", 0, 1,
         {b"tdstid": [10, 20, 40, 30], b"tweight": [1, 3, 7, 9], b"tcount": [4]}),
        ("dw", "49+", 0, -1, {}),
        ("dw", "1", 0, -1, {}),
    ],
)  # fmt: skip
def test_match(
    services: FakeServices, tables: SqliteTables, tree: str, number: str, mode: int, result: int,
    avps: dict[bytes, list[object]],
) -> None:  # fmt: skip
    lua = LuaCalls(services, [loaded(services, tables)])
    context = invite()
    assert lua(context, f'return KSR.mtree.mt_match("{tree}", "{number}", {mode})') == result
    assert context.shared.avps == avps


def test_values_of_before_are_gone(services: FakeServices, tables: SqliteTables) -> None:
    lua = LuaCalls(services, [loaded(services, tables, pv_values="$avp(all)")])
    context = invite()
    lua(context, 'KSR.mtree.mt_match("a", "49", 2)')
    lua(context, 'KSR.mtree.mt_match("a", "1", 2)')
    assert context.shared.avps == {b"all": [b"us"]}
    lua(context, 'KSR.mtree.mt_match("a", "7", 2)')
    assert context.shared.avps == {}


def test_native(services: FakeServices, tables: SqliteTables, tmp_path: Path) -> None:
    text = """
loadmodule "mtree"
request_route {
    if (mt_match("a", "$rU", "0")) $var(first) = $var(found);
    mt_match("$var(first)", "1", 2);
    $var(none) = $rc;
}
"""
    module = loaded(services, tables, pv_value="$var(found)")
    context = NativeCalls(services, [module], tmp_path, text).run(invite("sip:4930@x"))
    assert context.variables == {b"found": b"berlin2", b"first": b"berlin2", b"none": -1}


def test_one_table_for_all(services: FakeServices, tables: SqliteTables) -> None:
    module = loaded(services, tables, db_table="mtrees")
    lua = LuaCalls(services, [module])
    context = invite()
    assert lua(context, 'return KSR.mtree.mt_match("b", "12", 0)') == 1
    assert context.shared.avps == {b"tvalue": [b"one"]}
    assert run(services, module.rpc_reload()) == "Ok. Mtrees reloaded."
    tables.insert("mtrees", tname="c", tprefix="9", tvalue="nine")
    assert lua(context, 'return KSR.mtree.mt_match("c", "9", 0)') == -1
    run(services, module.rpc_reload("b"))
    assert lua(context, 'return KSR.mtree.mt_match("c", "9", 0)') == 1
    tables.break_down()
    with pytest.raises(RpcFault, match="Can not reload Mtrees"):
        run(services, module.rpc_reload())
    assert lua(context, 'return KSR.mtree.mt_match("c", "9", 0)') == 1


def test_summary(services: FakeServices, tables: SqliteTables) -> None:
    module = loaded(services, tables, char_list="0123456789*")
    first, second, third, fourth, _ = module.rpc_summary()  # type: ignore[misc]  # five trees
    times = [entry["item"].pop("reload_time") for entry in (first, second, third, fourth)]
    assert all(time > 1_600_000_000 for time in times)
    assert first == {
        "table": b"a",
        "item": {"ttype": 0, "memsize": 1077, "nrnodes": 4, "nritems": 4, "reload_count": 1},
    }
    assert second["item"]["memsize"] == 268
    # The text of dw has one octet more here than where Kamailio was asked.
    assert third["item"] == {
        "ttype": 1, "memsize": 1082, "nrnodes": 4, "nritems": 2, "reload_count": 1,
    }  # fmt: skip
    assert fourth["item"] == {
        "ttype": 2, "memsize": 1056, "nrnodes": 4, "nritems": 0, "reload_count": 1,
    }  # fmt: skip
    with pytest.raises(RpcFault, match="Tree not found"):
        module.rpc_summary("zz")


def test_list(services: FakeServices, tables: SqliteTables) -> None:
    module = loaded(services, tables)
    assert to_json(module.rpc_list("a")) == to_json([
        {"tname": "a", "tprefix": "1", "tvalue": ["us"]},
        {"tname": "a", "tprefix": "49", "tvalue": ["de"]},
        {"tname": "a", "tprefix": "4930", "tvalue": ["berlin2", "berlin"]},
    ])  # fmt: skip
    assert len(module.rpc_list(".")) == 9  # type: ignore[arg-type]  # a list
    assert module.rpc_list("zz") == []


def test_reload(services: FakeServices, tables: SqliteTables) -> None:
    module = loaded(services, tables)
    tables.insert("mtrees", tname="a", tprefix="7", tvalue="seven")
    assert run(services, module.rpc_reload("a")) == "Ok. Mtree reloaded."
    lua = LuaCalls(services, [module])
    assert lua(invite(), 'return KSR.mtree.mt_match("a", "7", 0)') == 1
    assert module.rpc_summary("a")[0]["item"]["reload_count"] == 2  # type: ignore[index]  # a list
    run(services, module.rpc_reload())
    assert module.rpc_summary("b")[0]["item"]["reload_count"] == 2  # type: ignore[index]  # a list
    with pytest.raises(RpcFault, match="Can not find specified Mtree"):
        run(services, module.rpc_reload("zz"))


def test_a_bad_reload_changes_nothing(services: FakeServices, tables: SqliteTables) -> None:
    module = loaded(services, tables)
    tables.insert("mtrees", tname="a", tprefix="x", tvalue="y")
    with pytest.raises(RpcFault, match="Mtree Reload Failed"):
        run(services, module.rpc_reload("a"))
    lua = LuaCalls(services, [module])
    assert lua(invite(), 'return KSR.mtree.mt_match("a", "49", 0)') == 1


def test_match_command(services: FakeServices, tables: SqliteTables) -> None:
    module = loaded(services, tables)
    assert module.rpc_match("a", "493099", 0) == {"PREFIX": b"4930", "TVALUE": b"berlin2"}
    assert module.rpc_match("a", "493099", 2) == {"PREFIX": b"4930", "TVALUE": b"berlin"}
    assert module.rpc_match("ints", "493099", 2) == {"PREFIX": b"4930", "TVALUE": 7}
    assert module.rpc_match("dw", "4930", 0) == [
        {"PREFIX": b"4930", "WEIGHT": weight, "DSTID": identifier}
        for weight, identifier in ((9, 30), (7, 40), (3, 20), (1, 10))
    ]
    for arguments, fault in (
        (("a", "5", 0), "Prefix not found"), (("dw", "5", 0), "Prefix not found"),
        (("x", "1", 0), "Tree not found"), (("a", "1", 5), "Invalid parameter 'mode'"),
        (("a",), "Invalid Parameters"),
    ):  # fmt: skip
        with pytest.raises(RpcFault, match=fault):
            module.rpc_match(*arguments)  # type: ignore[arg-type]  # as many as given


def test_start_without_the_database(services: FakeServices, tables: SqliteTables) -> None:
    tables.break_down()
    module = loaded(services, tables)
    assert any("empty until mtree.reload" in line for line in services.lines)
    with pytest.raises(RpcFault, match="Empty tree list"):
        module.rpc_list()
    with pytest.raises(RpcFault, match="Tree not found"):
        module.rpc_match("a", "1", 0)


def test_definitions_that_cannot_be_used(services: FakeServices, tables: SqliteTables) -> None:
    definitions = ["name=a;type=7", "name=b;multi=1;dbtable=mtrees", "name=b"]
    module = loaded(services, tables, mtree=definitions)
    assert module.rpc_match("b", "1", 0) == {"PREFIX": b"1", "TVALUE": b"one"}
    assert sum("type cannot be" in line or "second tree" in line for line in services.lines) == 2
    nothing = loaded(services, tables, mtree=[], pv_values="$var(x)")
    assert any("there is no tree" in line for line in services.lines)
    assert any("not an AVP" in line for line in services.lines)
    with pytest.raises(RpcFault, match="No Mtrees defined"):
        run(services, nothing.rpc_reload())
