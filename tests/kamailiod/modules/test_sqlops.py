"""sqlops on SQLite, PostgreSQL and MariaDB, as Kamailio 5.6.3 answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kamailiod.modules.sqlops import Sqlops
from kamailiod.script.context import Route
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.modules.sql_world import FLOAT, KINDS, SqlWorld, new_context, url_of
from tests.kamailiod.native_calls import NativeCalls

ALL = "SELECT username, credit, rate, note FROM accounts ORDER BY credit DESC"
NOBODY = "SELECT credit FROM accounts WHERE username=''zed''".replace("''", "'")


@pytest.fixture(params=KINDS)
def world(
    request: pytest.FixtureRequest, services: FakeServices, tmp_path: Path
) -> Iterator[SqlWorld]:
    made = SqlWorld(services, url_of(request.param, request, tmp_path))
    yield made
    made.close()


@pytest.fixture
def sqlite(services: FakeServices, tmp_path: Path) -> Iterator[SqlWorld]:
    made = SqlWorld(services, url_of("sqlite", None, tmp_path), results_maxsize=3)
    yield made
    made.close()


def test_a_query_and_its_result(world: SqlWorld) -> None:
    assert world.lua(f'return q.sql_query("db", "{ALL}", "ra")') == 0
    assert world.each('q.sql_num_rows("ra")', 'q.sql_num_columns("ra")') == (2, 4)
    assert world.lua('return q.sql_result_get("ra", 0, 0)') == b"alice"
    assert world.lua('return q.sql_result_get("ra", 1, 1)') == -7
    assert float(world.lua('return q.sql_result_get("ra", 0, 2)')) == 0.25
    assert world.lua('return q.sql_result_get("ra", 1, 3)') is None
    assert world.each('q.sql_result_gete("ra", 1, 3)', 'q.sql_result_getz("ra", 1, 3)') == (
        b"", 0,
    )  # fmt: skip
    assert world.each('q.sql_result_gete("ra", 0, 3)', 'q.sql_result_getz("ra", 0, 1)') == (
        b"vip", 5,
    )  # fmt: skip
    assert world.each('q.sql_is_null("ra", 1, 3)', 'q.sql_is_null("ra", 0, 3)') == (1, 0)
    assert world.pv(b"$dbr(ra=>rows)") == 2
    assert world.pv(b"$dbr(ra=>cols)") == 4
    assert world.pv(b"$dbr(ra=>colname[1])") == b"credit"
    assert world.pv(b"$dbr(ra=>colname[9])") is None
    assert world.pv(b"$dbr(ra=>[1,0])") == b"bob"
    assert world.pv(b"$dbr(ra=>[1,3])") is None
    assert world.pv(b"$avp(ra)") == b"alice"
    world.context.variables[b"i"] = 1
    assert world.pv(b"$dbr(ra=>[$var(i),1])") == -7


def test_what_is_not_there(world: SqlWorld) -> None:
    assert world.each('q.sql_num_rows("zz")', 'q.sql_num_columns("zz")') == (0, 0)
    assert world.pv(b"$dbr(zz=>rows)") == 0
    world.lua(f'q.sql_query("db", "{ALL}", "ra")')
    assert world.lua('return q.sql_result_get("ra", 9, 0)') is None
    assert world.each('q.sql_result_gete("ra", 9, 0)', 'q.sql_result_getz("ra", 0, 9)') == (
        b"", 0,
    )  # fmt: skip
    assert world.each('q.sql_is_null("ra", 9, 0)', 'q.sql_is_null("ra", 0, 4)') == (-1, -1)
    assert "row index out of bounds [9/2]" in world.errors[0]
    assert "column index out of bounds [4/4]" in world.errors[1]
    assert world.lua('return q.sql_is_null("zz", 0, 0)') == -1
    for bad in (b"$dbr(ra=>what)", b"$dbr(ra)", b"$dbr(=>rows)", b"$dbr(ra=>[x,y])"):
        assert world.pv(bad) is None


def test_no_rows_clear_what_was_there(world: SqlWorld) -> None:
    world.lua(f'q.sql_query("db", "{ALL}", "ra")')
    assert world.lua(f'return q.sql_query("db", "{NOBODY}", "ra")') == 0
    assert world.each('q.sql_num_rows("ra")', 'q.sql_num_columns("ra")') == (0, 0)
    assert world.pv(b"$avp(ra)") is None


def test_freeing(world: SqlWorld) -> None:
    world.lua(f'q.sql_query("db", "{ALL}", "ra")')
    assert world.each('q.sql_result_free("ra")', 'q.sql_result_free("zz")') == (1, 1)
    assert world.lua('return q.sql_num_rows("ra")') == 0
    assert world.pv(b"$dbr(ra=>rows)") == 0


def test_changes(world: SqlWorld) -> None:
    update = "UPDATE accounts SET credit = credit + 1"
    assert world.pv(b"$sqlrows(db)") is None
    assert world.lua(f'return q.sql_query("db", "{update}", "rb")') == 0
    assert world.pv(b"$sqlrows(db)") == 2
    assert world.lua('return q.sql_num_rows("rb")') == 0
    assert world.rows("SELECT credit FROM accounts ORDER BY credit") == [(-6,), (6,)]
    assert world.lua('return q.sql_query("db", "DELETE FROM accounts WHERE credit = 99", "")') == 0
    assert world.pv(b"$sqlrows(db)") == 0


def test_a_statement_that_is_wrong_says_nothing_of_the_database(world: SqlWorld) -> None:
    world.lua(f'q.sql_query("db", "{ALL}", "ra")')
    for bad in ("selec", "SELECT nothing FROM accounts", "SELECT 1 FROM nowhere",
                f"{ALL}; DROP TABLE accounts", "SELECT 'open", " "):  # fmt: skip
        assert world.lua(f'return q.sql_query("db", "{bad}", "ra")') == -1, bad
        assert world.pv(b"$avp(ra)") is None
        assert world.lua('return q.sql_num_rows("ra")') == 0
    assert world.lua('return q.sql_query("db", "SELECT 1\\0", "ra")') == -1
    assert world.lua('return q.sql_query("nodb", "SELECT 1", "ra")') == -1
    assert "invalid connection [nodb]" in world.errors[-1]
    text = "\n".join(world.errors)
    assert "refuses a statement" in text
    assert " fails: " not in text and "kamailiorw" not in text
    assert world.lua(f'return q.sql_query("db", "{ALL}", "ra")') == 0


def test_a_text_goes_to_the_database_as_it_is(world: SqlWorld) -> None:
    text = "100%s :name %(x)s ? ?? $1 \xe4"
    query = f"SELECT '{text}', credit FROM accounts WHERE username LIKE 'al%'"
    assert world.lua(f'return q.sql_query("db", "{query}", "ra")') == 0
    assert world.pv(b"$dbr(ra=>[0,0])") == text.encode()
    assert world.pv(b"$dbr(ra=>[0,1])") == 5


def test_values_of_every_type(world: SqlWorld) -> None:
    kind = FLOAT[world.url.partition(":")[0]] if "sqlite" not in world.url else "REAL"
    queries = {
        f"SELECT CAST(1.5 AS {kind})": b"1.5",
        "SELECT 9007199254740993": b"9007199254740993",
        "SELECT 4294967296": 4294967296,
        "SELECT NULL": None,
        "SELECT ''": b"",
    }
    if "sqlite" not in world.url:
        kind = "DATETIME" if "mysql" in world.url else "TIMESTAMP"
        queries[f"SELECT CAST('2026-01-02 03:04:05' AS {kind})"] = b"2026-01-02 03:04:05"
        queries["SELECT 1 = 1"] = 1
    for query, expected in queries.items():
        assert world.lua(f'return q.sql_query("db", "{query}", "ra")') == 0
        assert world.pv(b"$dbr(ra=>[0,0])") == expected, query


def test_bound_values_cannot_become_sql(world: SqlWorld) -> None:
    find = "SELECT credit FROM accounts WHERE username = ?"
    attacks = (
        "' OR '1'='1", "alice'--", "x'; DROP TABLE accounts; --", "\\\\' OR 1=1 -- ", "\\\\",
        '\\"', "%s%(x)s", ":username ? $1", "\xbf' OR 1=1 -- ", "x' UNION SELECT 1 -- ",
    )  # fmt: skip
    for attack in attacks:
        assert world.lua(f'return q.sql_query_bind("db", "{find}", "ra", "{attack}")') == 0
        assert world.pv(b"$avp(ra)") is None, attack
    insert = "INSERT INTO accounts (username, credit, note) VALUES (?, ?, '?')"
    for number, attack in enumerate(attacks):
        call = f'return q.sql_query_bind("db", "{insert}", "ra", "{attack}", {number})'
        assert world.lua(call) == 0
        assert world.pv(b"$sqlrows(db)") == 1
        assert world.lua(f'return q.sql_query_bind("db", "{find}", "ra", "{attack}")') == 0
        assert world.pv(b"$avp(ra)") == number
    assert world.rows("SELECT COUNT(*) FROM accounts WHERE note = '?'") == [(len(attacks),)]
    assert world.rows("SELECT COUNT(*) FROM accounts") == [(len(attacks) + 2,)]


def test_bound_values_of_several_types(world: SqlWorld) -> None:
    insert = "INSERT INTO accounts (username, credit, rate, note) VALUES (?, ?, ?, ?)"
    assert world.lua(f'return q.sql_query_bind("db", "{insert}", "", "eve", "12", "0.5", nil)') == 0
    assert world.rows("SELECT credit, note FROM accounts WHERE username = 'eve'") == [(12, None)]
    assert world.lua(f'return q.sql_query_bind("db", "{insert}", "", 4711, 1.0, 2.5)') == 0
    assert world.lua(
        'return q.sql_query_bind("db", "SELECT rate FROM accounts WHERE username = ?", "r", 4711)'
    ) == 0
    assert float(world.pv(b"$avp(r)")) == 2.5
    assert world.lua('return q.sql_query_bind("db", "SELECT 1 WHERE 1 = 1", "r")') == 0
    assert world.pv(b"$avp(r)") == 1
    assert world.lua('return q.sql_query_bind("db", "SELECT 1", "r", "too many")') == -1
    eight = "SELECT credit FROM accounts WHERE credit IN (?,?,?,?,?,?,?,?)"
    assert world.lua(f'return q.sql_query_bind("db", "{eight}", "r", 1,2,3,4,5,6,7,8)') == 0
    assert world.pv(b"$avp(r)") == 5


def test_a_transaction_does_not_outlive_its_statement(world: SqlWorld) -> None:
    assert world.lua('return q.sql_query("db", "BEGIN", "")') == 0
    update = "UPDATE accounts SET credit = 1 WHERE username = 'alice'"
    assert world.lua(f'return q.sql_query("db", "{update}", "")') == 0
    assert world.rows("SELECT credit FROM accounts WHERE username = 'alice'") == [(1,)]


def test_rows_as_xavps(world: SqlWorld) -> None:
    assert world.lua(f'return q.sql_xquery("db", "{ALL}", "xb")') == 1
    assert world.pv(b"$xavp(xb=>username)") == b"alice"
    assert world.pv(b"$xavp(xb[1]=>credit)") == -7
    assert world.pv(b"$xavp(xb[1]=>note)") is None
    again = "SELECT credit FROM accounts WHERE username = 'bob'"
    assert world.lua(f'return q.sql_xquery("db", "{again}", "xb")') == 1
    assert [world.pv(b"$xavp(xb[%d]=>credit)" % row) for row in range(4)] == [-7, 5, -7, None]
    assert world.lua(f'return q.sql_xquery("db", "{NOBODY}", "xc")') == 1
    assert world.pv(b"$xavp(xc=>credit)") is None
    assert world.lua('return q.sql_xquery("db", "selec", "xc")') == -1


def test_columns_into_variables(world: SqlWorld) -> None:
    one = "SELECT credit, username, note FROM accounts WHERE username = 'bob'"
    world.services.variables.compile(b"$avp(c)").set(world.context, b"stays")
    call = f'return q.sql_pvquery("db", "{one}", "$var(x), $avp(y),$avp(c)")'
    assert world.lua(call) == 1
    assert [world.pv(b"$var(x)"), world.pv(b"$avp(y)")] == [-7, b"bob"]
    assert world.pv(b"$avp(c)") == b"stays"
    assert world.lua(f'return q.sql_pvquery("db", "{NOBODY}", "$var(x)")') == 2
    assert world.pv(b"$var(x)") == -7
    rows = "SELECT credit, username FROM accounts ORDER BY credit"
    assert world.lua(f'return q.sql_pvquery("db", "{rows}", "$avp(a),$avp(b),$avp(d)")') == 1
    assert world.pv(b"$(avp(a)[*])") in (b"-7,5", b"-7, 5")
    assert world.lua(f'return q.sql_pvquery("db", "{rows}", "$avp(e)")') == -1
    assert world.pv(b"$avp(e)") == -7
    assert world.lua('return q.sql_pvquery("db", "selec", "$var(x)")') == -1
    for bad in ("", "x", "$var(x),y", "$nosuch(x)"):
        assert world.lua(f'return q.sql_pvquery("db", "{one}", "{bad}")') == -1


def test_queries_in_the_background(world: SqlWorld) -> None:
    for number in range(20):
        update = f"UPDATE accounts SET note = '{number}', credit = credit + 1 WHERE username='bob'"
        assert world.lua(f'return q.sql_query_async("db", "{update}")') == 1
    assert world.lua('return q.sql_query_async("nodb", "SELECT 1")') == -1
    world.module.child_exit(1)
    assert world.rows("SELECT note, credit FROM accounts WHERE username='bob'") == [("19", 13)]


def test_too_many_in_the_background(sqlite: SqlWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = sqlite.module._connections[b"db"]
    monkeypatch.setattr(connection.queue, "_limit", 2)
    results = [sqlite.lua('return q.sql_query_async("db", "SELECT 1")') for _ in range(3)]
    assert results == [1, 1, -1]
    assert "too many queries wait" in sqlite.errors[-1]


def test_results_belong_to_their_request(sqlite: SqlWorld) -> None:
    other = new_context()
    sqlite.lua(f'q.sql_query("db", "{ALL}", "ra")')
    assert sqlite.lua('return q.sql_num_rows("ra")', other) == 0
    sqlite.lua('q.sql_query("db", "SELECT 1", "ra")', other)
    assert sqlite.lua('return q.sql_num_rows("ra")') == 2
    later = sqlite.context.derive(Route.FAILURE)
    assert sqlite.pv(b"$dbr(ra=>[1,0])", later) == b"bob"


def test_results_of_mod_init_stay_readable(sqlite: SqlWorld) -> None:
    sqlite.lua(f'q.sql_query("db", "{ALL}", "ra")', new_context(Route.EVENT))
    assert sqlite.pv(b"$dbr(ra=>[0,0])") == b"alice"
    sqlite.lua('q.sql_result_free("ra")')
    assert sqlite.pv(b"$dbr(ra=>rows)") == 0
    assert sqlite.pv(b"$dbr(ra=>rows)", new_context()) == 2


def test_a_request_keeps_so_many_results(sqlite: SqlWorld) -> None:
    calls = [f'return q.sql_query("db", "SELECT 1", "r{number}")' for number in (1, 2, 3, 1)]
    assert [sqlite.lua(call) for call in calls] == [0] * 4
    assert sqlite.lua('return q.sql_query("db", "SELECT 1", "r4")') == -1
    assert "more than 3 results" in sqlite.errors[-1]


@pytest.mark.parametrize("text", ["db", "=>sqlite:///x", "db=>", "db=>oracle://x/y", "db=>x:pw@h"])
def test_bad_connections(services: FakeServices, text: str) -> None:
    with pytest.raises(ValueError, match="sqlops") as raised:
        services.load(Sqlops, sqlcon=[text])
    assert "pw" not in str(raised.value)


def test_declared_results(services: FakeServices) -> None:
    services.load(Sqlops, sqlres=["ra", "rb"], results_maxsize=2)
    with pytest.raises(ValueError, match="results_maxsize"):
        services.load(Sqlops, sqlres=["ra", "rb"], results_maxsize=1)


NATIVE = """
request_route {
  sql_query("db", "select credit from accounts", "ra"); $var(rows) = $rc;
  $var(first) = $dbr(ra=>[0,0]) + $dbr(ra=>rows);
  sql_query("db", "select credit from accounts where credit = 99", "ra"); $var(none) = $rc;
  sql_query("db", "select credit from accounts"); $var(nores) = $rc;
  sql_query("db", "selec", "rb"); $var(bad) = $rc;
  sql_query("db", "update accounts set note = '$rU'", "rb"); $var(upd) = $rc;
  $var(changed) = $sqlrows(db);
  sql_xquery("db", "select credit from accounts", "xa"); $var(xq) = $rc;
  sql_xquery("db", "select credit from accounts where credit = 99", "xa"); $var(xqnone) = $rc;
  sql_pvquery("db", "select note from accounts", "$var(note)"); $var(pvq) = $rc;
  sql_query_bind("db", "select credit from accounts where username = ?", "rc", "$fU");
  $var(bound) = $dbr(rc=>[0,0]);
  sql_query_async("db", "select 1"); $var(async) = $rc;
  sql_result_free("ra"); $var(free) = $rc;
}
"""


def test_native_routes(sqlite: SqlWorld, tmp_path: Path) -> None:
    calls = NativeCalls(sqlite.services, [sqlite.module], tmp_path, NATIVE)
    variables = calls.run(sqlite.context).variables
    expected = {b"rows": 1, b"first": 7, b"none": 2, b"nores": 3, b"bad": -1, b"upd": 2,
                b"changed": 2, b"xq": 1, b"xqnone": 2, b"pvq": 1, b"note": b"bob", b"bound": 5,
                b"async": 1, b"free": 1}  # fmt: skip
    assert {name: variables.get(name) for name in expected} == expected
    assert calls.waits >= 9


def test_transformations(sqlite: SqlWorld) -> None:
    sqlite.context.variables.update({b"q": b"it's \\ \" a", b"n": 12, b"e": b"", b"x": b"-3x"})
    shown = {
        b"$(var(q){sql.val})": b"'it''s \\\\ \" a'",
        b"$(var(n){sql.val})": 12,
        b"$(var(e){sql.val})": b"''",
        b"$(avp(zz){sql.val})": b"NULL",
        b"$(var(x){sql.val.int})": b"'-3x'",
        b"$(avp(zz){sql.val.int})": 0,
        b"$(avp(zz){sql.val.str})": b"''",
        b"$(var(q){s.escape.common})": b"it\\'s \\\\ \\\" a",
    }
    assert {spec: sqlite.pv(spec) for spec in shown} == shown


@pytest.mark.parametrize("attack", [b"' OR 1=1 -- ", b"\\' OR 1=1 -- ", b"\\", b"'", b"a''b"])
def test_quoted_values_stay_values(world: SqlWorld, attack: bytes) -> None:
    world.context.variables[b"q"] = attack
    quoted = world.pv(b"$(var(q){sql.val})").decode().replace("\\", "\\\\")
    query = f"SELECT credit FROM accounts WHERE username = {quoted}"
    assert world.lua(f'return q.sql_query("db", "{query}", "ra")') == 0
    assert world.pv(b"$avp(ra)") is None
