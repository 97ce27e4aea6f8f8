"""Module htable and its rows in a database: read at the start, by command, written at the end."""

import asyncio
from contextlib import contextmanager

import pytest

from kamailiod.modules.htable import Htable
from kamailiod.script.module import RpcFault
from kamailiod.script.table_layouts import create_tables
from tests.kamailiod.fakes import FakeServices

ROWS = [
    ("plain", 0, 0, "text", 0), ("number", 0, 1, "-42", 0), ("list", 1, 0, "first", 0),
    ("list", 1, 1, "2", 0), ("other", 1, 0, "one", 0), ("old", 0, 0, "gone", 1000),
    ("late", 0, 0, "stays", 2_000_000_000),
]  # fmt: skip
LOADED = {
    b"plain": b"text", b"number": -42, b"list[0]": b"first", b"list[1]": 2, b"list::size": 2,
    b"other[0]": b"one", b"other::size": 1, b"late": b"stays",
}  # fmt: skip
INSERT = (
    "INSERT INTO htable (key_name, key_type, value_type, key_value, expires)"
    " VALUES (:a, :b, :c, :d, :e)"
)


@pytest.fixture
def services():
    made = FakeServices()
    yield made
    made.close()


@pytest.fixture
def sqlite_url(tmp_path):
    url = f"sqlite:///{tmp_path}/tables.db"
    create_tables(url, ["htable"])
    return url


def fill(services, url, rows):
    database = services.databases.database(url)
    assert database.execute_blocking("DELETE FROM htable", {}) is not None
    for row in rows:
        assert database.execute_blocking(INSERT, dict(zip("abcde", row, strict=True))) == 1


def rows_of(services, url):
    columns = "key_name, key_type, value_type, key_value, expires"
    database = services.databases.database(url)
    return set(database.fetch_blocking(f"SELECT {columns} FROM htable", {}))


def load(services, url, *specs, **params):
    module = services.load(Htable, htable=list(specs), db_url=url, **params)
    module.mod_init()
    return module


def values(module, name=b"t"):
    return dict(module.tables.get(name).items())


@contextmanager
def running(services):
    loop = services.loop = asyncio.new_event_loop()
    try:
        yield loop.run_until_complete
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        services.loop = None


def test_loads_at_start(services, sqlite_url):
    fill(services, sqlite_url, ROWS)
    module = load(services, sqlite_url, "t=>dbtable=htable", "u=>size=4")
    assert values(module) == {**LOADED, b"old": b"gone"}
    assert values(module, b"u") == {}


def test_expires_column(services, sqlite_url):
    fill(services, sqlite_url, ROWS)
    spec = "t=>dbtable=htable;autoexpire=50"
    module = load(services, sqlite_url, spec, db_expires=1, array_size_suffix=".n")
    renamed = {name.replace(b"::size", b".n"): value for name, value in LOADED.items()}
    assert values(module) == renamed
    table = module.tables.get(b"t")
    assert table.expiry(b"late") == 2_000_000_000
    assert table.seconds_left(b"plain") in (49, 50)


def test_columns_of_one_s_own(services, sqlite_url):
    fill(services, sqlite_url, [("a", 1, 2, "x", 3), ("b", 4, 5, "y", 6)])
    spec = "t=>dbtable=htable;cols=key_name,key_value,expires,key_type;coldelim=|"
    module = load(services, sqlite_url, spec)
    assert values(module) == {b"a": b"x|3|1", b"b": b"y|6|4"}
    database = services.databases.database(sqlite_url)
    database.execute_blocking("CREATE TABLE other (k text, a text, b text)", {})
    database.execute_blocking("INSERT INTO other VALUES ('k', NULL, 'x')", {})
    other = load(services, sqlite_url, "t=>dbtable=other;cols=k,a,b;colnull=-")
    assert values(other) == {b"k": b"-,x"}
    with pytest.raises(RpcFault, match="columns of its own"), running(services) as run:
        run(other.rpc_store("t"))


def test_renamed_columns(services, sqlite_url):
    database = services.databases.database(sqlite_url)
    database.execute_blocking("CREATE TABLE mine (n text, k integer, t integer, v text)", {})
    database.execute_blocking("INSERT INTO mine VALUES ('x', 0, 1, '5')", {})
    module = load(
        services, sqlite_url, "t=>dbtable=mine", key_name_column="n", key_type_column="k",
        value_type_column="t", key_value_column="v",
    )  # fmt: skip
    assert values(module) == {b"x": 5}


@pytest.mark.parametrize("spec", ["t=>dbtable=a b", "t=>dbtable=htable;cols=a,b--"])
def test_names_that_are_none_refuse_the_start(services, sqlite_url, spec):
    with pytest.raises(ValueError, match="htable: not a name"):
        load(services, sqlite_url, spec)


def test_a_database_that_is_down_at_the_start(services, tmp_path):
    url = f"sqlite:///{tmp_path}/none.db"
    module = load(services, url, "t=>dbtable=htable;dbmode=1")
    assert "table t cannot be loaded" in services.lines[-1]
    module.tables.get(b"t").set(b"new", 1)
    create_tables(url, ["htable"])
    fill(services, url, ROWS)
    module.child_exit(0)
    assert len(rows_of(services, url)) == len(ROWS)


def test_reload(services, sqlite_url):
    fill(services, sqlite_url, ROWS[:2])
    module = load(services, sqlite_url, "t=>dbtable=htable", "u=>size=4")
    module.tables.get(b"t").set(b"made", b"here")
    fill(services, sqlite_url, [("plain", 0, 0, "changed", 0), ("new", 0, 1, "7", 0)])
    with running(services) as run:
        assert run(module.rpc_reload("t")) == "Ok. Htable reloaded."
        assert values(module) == {b"plain": b"changed", b"new": 7}
        for name, message in [("u", "No database htable"), ("none", "No such htable")]:
            with pytest.raises(RpcFault, match=message):
                run(module.rpc_reload(name))
        services.databases.database(sqlite_url).execute_blocking("DROP TABLE htable", {})
        with pytest.raises(RpcFault, match="Failed to reload"):
            run(module.rpc_reload("t"))
    assert values(module) == {b"plain": b"changed", b"new": 7}


def test_a_null_key_changes_nothing(services, sqlite_url):
    database = services.databases.database(sqlite_url)
    database.execute_blocking("CREATE TABLE mine (k text, v text)", {})
    module = load(services, sqlite_url, "t=>dbtable=mine;cols=k,v")
    module.tables.get(b"t").set(b"there", b"x")
    database.execute_blocking("INSERT INTO mine VALUES (NULL, 'x')", {})
    with running(services) as run, pytest.raises(RpcFault, match="Failed to reload"):
        run(module.rpc_reload("t"))
    assert values(module) == {b"there": b"x"}
    assert "a key is null" in services.lines[-1]


def test_store(services, sqlite_url):
    module = load(services, sqlite_url, "t=>dbtable=htable")
    table = module.tables.get(b"t")
    for number in range(450):
        table.set(b"n%d" % number, number if number % 2 else b"v%d" % number)
    with running(services) as run:
        assert run(module.rpc_store("t")) == "Ok. Htable successfully stored to DB."
    rows = rows_of(services, sqlite_url)
    assert len(rows) == 450
    assert ("n3", 0, 1, "3", 0) in rows
    assert ("n4", 0, 0, "v4", 0) in rows


def test_writes_back_at_the_end(services, sqlite_url):
    fill(services, sqlite_url, ROWS[:2])
    specs = ("t=>dbtable=htable;dbmode=1;autoexpire=100", "u=>dbtable=nowhere;dbmode=0")
    module = load(services, sqlite_url, *specs, db_expires=1)
    table = module.tables.get(b"t")
    table.set(b"new", 7)
    table.delete(b"plain")
    for rank in (1, -1, -2):
        module.child_exit(rank)
    assert len(rows_of(services, sqlite_url)) == 2
    module.child_exit(0)
    assert rows_of(services, sqlite_url) == {
        ("number", 0, 1, "-42", table.expiry(b"number")), ("new", 0, 1, "7", table.expiry(b"new")),
    }  # fmt: skip


def test_postgres(services, postgres_url):
    create_tables(postgres_url, ["htable"])
    fill(services, postgres_url, ROWS)
    module = load(services, postgres_url, "t=>dbtable=htable;dbmode=1;autoexpire=50", db_expires=1)
    assert values(module) == LOADED
    module.tables.get(b"t").clear()
    for number in range(450):
        module.tables.get(b"t").set(b"n%d" % number, number if number % 2 else b"v\xff")
    module.child_exit(0)
    rows = rows_of(services, postgres_url)
    assert len(rows) == 450
    assert {row[:4] for row in rows} >= {("n3", 0, 1, "3"), ("n4", 0, 0, "v�")}
