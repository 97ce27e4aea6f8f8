"""Location tables and their database: written through, written back, alone; away and back again."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from kamailiod.modules.registrar import Registrar
from kamailiod.modules.usrloc import Usrloc
from kamailiod.script.server_database import ServerDatabase
from kamailiod.script.table_layouts import create_tables
from shm import Binding
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.registering import answer, request

T = TypeVar("T")
NOW = int(time.time())
BINDING = Binding(
    contact=b"sip:alice@192.0.2.1:5060;ob", received=b"sip:198.51.100.7:1024",
    path=b"<sip:edge.example.com;lr>", expires=NOW + 600, q=250, call_id=b"0815@192.0.2.1", cseq=7,
    flags=1, cflags=1 << 31, user_agent="Ph\u00f6ne".encode(), socket=b"udp:127.0.0.1:5060",
    methods=5951, instance=b"<urn:uuid:1>", reg_id=2, ruid=b"uloc-1", connection_id=0, server_id=0,
    last_modified=float(NOW),
)  # fmt: skip


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.run_until_complete(made.shutdown_default_executor())
    made.close()


@pytest.fixture
def services(loop: asyncio.AbstractEventLoop) -> Iterator[FakeServices]:
    made = again(loop)
    yield made
    for database in made.databases._open.values():
        if isinstance(database, ServerDatabase):
            loop.run_until_complete(database.close())
    made.close()


def again(loop: asyncio.AbstractEventLoop) -> FakeServices:
    made = FakeServices()
    made.loop = loop
    return made


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/location.db"


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def url(request: pytest.FixtureRequest, loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    kind = "file_url" if request.param == "sqlite" else f"{request.param}_url"
    found = cast(str, request.getfixturevalue(kind))
    create_tables(found, ["location"])
    yield found
    if request.param != "sqlite":
        made = again(loop)
        dropped = made.databases.database(found).execute_blocking("DROP TABLE location", {})
        assert dropped is not None
        made.close()


def started(services: FakeServices, url: str, **params: object) -> Usrloc:
    usrloc: Usrloc = services.load(Usrloc, db_url=url, **params)
    services.load(Registrar)
    services.start()
    return usrloc


def rows(usrloc: Usrloc, columns: str) -> list[tuple[object, ...]]:
    assert usrloc.database is not None
    statement = f"SELECT {columns} FROM location ORDER BY id"
    return list(usrloc.database.fetch_blocking(statement, {}) or ())


def put(usrloc: Usrloc, aor: bytes, *bindings: Binding) -> None:
    assert usrloc.locations.table(b"location").update(aor, lambda old: list(bindings))


def run(services: FakeServices, work: Awaitable[T]) -> T:
    return cast(T, services.loop.run_until_complete(work))


def flush(usrloc: Usrloc) -> bool:
    assert usrloc._backing is not None
    return run(cast(FakeServices, usrloc.services), usrloc._backing.flush())


def come_back(services: FakeServices, url: str, **params: object) -> dict[bytes, list[Binding]]:
    later = again(services.loop)
    try:
        return dict(started(later, url, db_mode=2, **params).locations.table(b"location").items())
    finally:
        later.close()


def test_every_field_comes_back_after_a_restart(services: FakeServices, url: str) -> None:
    usrloc = started(services, url, db_mode=2)
    plain = BINDING._replace(
        ruid=b"uloc-2", received=b"", path=b"", q=-1, expires=0, methods=0xFFFFFFFF, instance=b"",
        reg_id=0, cflags=0,
    )  # fmt: skip
    put(usrloc, b"alice", BINDING, plain)
    put(usrloc, b"bob", plain._replace(ruid=b"uloc-3"))
    usrloc.child_exit(0)
    found = come_back(services, url)
    assert found == {b"alice": [BINDING, plain], b"bob": [plain._replace(ruid=b"uloc-3")]}


def test_only_changes_are_written(services: FakeServices, url: str) -> None:
    usrloc = started(services, url, db_mode=2)
    put(usrloc, b"alice", BINDING, BINDING._replace(ruid=b"uloc-2"))
    assert flush(usrloc)
    put(usrloc, b"alice", BINDING._replace(cseq=8))
    put(usrloc, b"bob", BINDING._replace(ruid=b"uloc-3"))
    assert flush(usrloc)
    assert rows(usrloc, "ruid, username, cseq") == [("uloc-1", "alice", 8), ("uloc-3", "bob", 7)]
    usrloc.locations.table(b"location").remove(b"bob")
    usrloc.locations.table(b"location").expire(NOW + 700, 10)
    assert flush(usrloc)
    assert rows(usrloc, "ruid") == []
    assert not usrloc._journal


def test_counts_are_of_rows(services: FakeServices, url: str) -> None:
    usrloc = started(services, url, db_mode=1)
    gone = BINDING._replace(ruid=b"uloc-2", expires=NOW - 5)
    put(usrloc, b"alice", BINDING, BINDING._replace(ruid=b"uloc-4", expires=0), gone)
    put(usrloc, b"bob", gone._replace(ruid=b"uloc-3"))
    assert flush(usrloc)
    counts = [usrloc.ul_db_users, usrloc.ul_db_contacts, usrloc.ul_db_expired_contacts]
    assert [run(services, cast(Any, count("location"))) for count in counts] == [1, 2, 2]
    assert usrloc._backing is not None
    run(services, usrloc._backing.remove_expired())
    assert rows(usrloc, "ruid") == [("uloc-1",), ("uloc-4",)]


def test_the_database_alone(services: FakeServices, url: str) -> None:
    usrloc = started(services, url, db_mode=3)
    registrar = cast(Registrar, services.module(Registrar))
    lua = LuaCalls(services, [registrar, usrloc])
    save = "return KSR.registrar.save('location', 0)"
    context = request(["<sip:a@h>;q=0.3", "<sip:b@h>;q=0.9"])
    assert lua(context, save) == 1
    both = "<sip:b@h>;q=0.9;expires=3600, <sip:a@h>;q=0.3;expires=3600"
    assert answer(services)[1]["Contact"] == both
    assert usrloc.locations.total().records == 0
    assert sorted(rows(usrloc, "username, contact")) == [
        ("alice", "sip:a@h"), ("alice", "sip:b@h"),
    ]  # fmt: skip
    call = request(method="INVITE", uri="sip:alice@example.com")
    assert lua(call, "return KSR.registrar.lookup('location')") == 1
    assert (call.uri, [branch.uri for branch in call.branches]) == (b"sip:b@h", [b"sip:a@h"])
    assert lua(call, "return KSR.registrar.registered_uri('location', 'sip:bob@h')") == -1
    assert lua(request(["<sip:a@h>;expires=0"], cseq=2), save) == 3
    assert [row[0] for row in rows(usrloc, "contact")] == ["sip:b@h"]
    shown = cast(Any, run(services, cast(Any, usrloc.ul_dump("brief"))))
    info = shown["Domains"][0]["Domain"]["AoRs"][0]["Info"]
    assert (info["AoR"], info["Contacts"]) == ("alice", [{"Contact": {"Address": "sip:b@h"}}])
    found = cast(Any, run(services, cast(Any, usrloc.ul_lookup("location", "alice"))))
    assert found["Contacts"][0]["Contact"]["Address"] == "sip:b@h"
    ruid = rows(usrloc, "ruid")[0][0]
    remove = f"return KSR.registrar.unregister_ruid('location', '', '{ruid}')"
    assert [lua(call, remove), lua(call, remove)] == [1, -3]
    assert rows(usrloc, "ruid") == []


def test_expired_rows_are_removed_and_told(services: FakeServices, url: str) -> None:
    usrloc = started(services, url, db_mode=3, rm_expired_delay=100)
    assert usrloc.stored is not None
    told: list[bytes] = []
    usrloc.on_expired(lambda table, aor, contact: told.append(contact.ruid))
    lua = LuaCalls(services, [cast(Registrar, services.module(Registrar)), usrloc])
    lua(request(["<sip:a@h>", "<sip:b@h>"]), "return KSR.registrar.save('location', 0)")
    database = usrloc.database
    assert database is not None and usrloc.rows is not None
    old = usrloc.rows.to_time(int(time.time()) - 50)
    statement = "UPDATE location SET expires = :old WHERE contact = :contact"
    database.execute_blocking(statement, {"old": old, "contact": "sip:a@h"})
    call = request(method="INVITE", uri="sip:alice@h")
    lua(call, "return KSR.registrar.lookup('location')")
    assert (call.uri, call.branches) == (b"sip:b@h", [])
    run(services, usrloc._expire_stored())
    assert told == []
    older = {"old": usrloc.rows.to_time(int(time.time()) - 150), "contact": "sip:a@h"}
    database.execute_blocking(statement, older)
    run(services, usrloc._expire_stored())
    assert len(told) == len(rows(usrloc, "ruid")) == 1


def test_by_contact_and_call_id_in_a_table_with_domains(services: FakeServices, url: str) -> None:
    usrloc = started(services, url, db_mode=2, use_domain=1, db_ops_ruid=0)
    put(usrloc, b"alice@one", BINDING)
    put(usrloc, b"alice@two", BINDING._replace(ruid=b"uloc-2"))
    assert flush(usrloc)
    put(usrloc, b"alice@one", BINDING._replace(cseq=9))
    assert flush(usrloc)
    found = sorted(rows(usrloc, "username, domain, cseq"), key=str)
    assert found == [("alice", "one", 9), ("alice", "two", 7)]
    assert set(come_back(services, url, use_domain=1)) == {b"alice@one", b"alice@two"}


def test_a_database_that_is_away_loses_nothing(
    services: FakeServices, file_url: str, tmp_path: Path
) -> None:
    usrloc = started(services, file_url, db_mode=2)
    file, aside = tmp_path / "location.db", tmp_path / "aside.db"
    put(usrloc, b"alice", BINDING)
    assert flush(usrloc)
    file.rename(aside)
    put(usrloc, b"bob", BINDING._replace(ruid=b"uloc-2"))
    usrloc.locations.table(b"location").remove(b"alice")
    assert not flush(usrloc)
    assert usrloc.locations.table(b"location").bindings(b"bob", NOW)
    aside.rename(file)
    assert flush(usrloc)
    assert rows(usrloc, "ruid") == [("uloc-2",)]


def test_a_table_is_read_once_its_database_is_there(
    services: FakeServices, file_url: str, tmp_path: Path
) -> None:
    usrloc = started(services, file_url, db_mode=1)
    put(usrloc, b"alice", BINDING)
    assert flush(usrloc)
    file, aside = tmp_path / "location.db", tmp_path / "aside.db"
    file.rename(aside)
    file.mkdir()
    later = again(services.loop)
    usrloc = started(later, file_url, db_mode=1)
    backing = usrloc._backing
    assert backing is not None
    assert backing.lacks([b"location"])
    assert any("cannot be read" in line for line in later.lines)
    put(usrloc, b"bob", BINDING._replace(ruid=b"uloc-2"))
    file.rmdir()
    aside.rename(file)
    run(later, backing.load_missing())
    assert not backing.lacks([b"location"])
    assert {aor for aor, _ in usrloc.locations.table(b"location").items()} == {b"alice", b"bob"}
    later.close()


def test_changes_without_room_in_the_journal_are_written_too(
    services: FakeServices, file_url: str
) -> None:
    usrloc = started(services, file_url, db_mode=2)
    put(usrloc, b"alice", BINDING)
    put(usrloc, b"carol", BINDING._replace(ruid=b"uloc-3"))
    assert flush(usrloc)
    journal = usrloc._journal
    assert journal is not None
    usrloc.locations.memory(b"location").update(b"alice", lambda old: [old[0]._replace(cseq=9)])
    usrloc.locations.memory(b"location").update(b"bob", lambda old: [BINDING._replace(ruid=b"b")])
    usrloc.locations.memory(b"location").remove(b"carol")
    journal.overflow()
    assert journal.is_pending()
    assert flush(usrloc)
    assert rows(usrloc, "ruid, cseq") == [("uloc-1", 9), ("b", 7)]
    assert not journal.is_pending()


def test_a_row_that_is_refused_keeps_no_other_out(services: FakeServices, file_url: str) -> None:
    usrloc = started(services, file_url, db_mode=2)
    with sqlite3.connect(file_url.removeprefix("sqlite:///")) as connection:
        connection.execute(
            "CREATE TRIGGER no_bob BEFORE INSERT ON location WHEN NEW.username = 'bob'"
            " BEGIN SELECT RAISE(ABORT, 'not bob'); END"
        )
    connection.close()
    for number, name in enumerate((b"alice", b"bob", b"carol")):
        put(usrloc, name, BINDING._replace(ruid=b"uloc-%d" % number))
    assert flush(usrloc)
    assert [row[0] for row in rows(usrloc, "username")] == ["alice", "carol"]
    assert any("not bob" in line for line in services.lines)


def test_what_is_brought_back(services: FakeServices, file_url: str) -> None:
    usrloc = started(services, file_url, db_mode=2)
    for number, socket in enumerate((b"udp:127.0.0.1:5060", b"udp:9.9.9.9:5060", b"tcp:1.1.1.1:1")):
        name = b"u%d" % number
        put(usrloc, name, BINDING._replace(ruid=name, socket=socket))
    assert flush(usrloc)
    assert len(come_back(services, file_url)) == 3
    assert len(come_back(services, file_url, fetch_rows=1)) == 3
    assert set(come_back(services, file_url, skip_remote_socket=1)) == {b"u0"}
    assert set(come_back(services, file_url, db_clean_tcp=1)) == {b"u0", b"u1"}
    assert come_back(services, file_url, db_load=0) == {}


def test_servers_that_share_a_table(services: FakeServices, file_url: str) -> None:
    services.settings.server_id = 3
    usrloc = started(services, file_url, db_mode=2, server_id_filter=1)
    put(usrloc, b"alice", BINDING)
    assert flush(usrloc)
    assert rows(usrloc, "server_id") == [(3,)]
    assert come_back(services, file_url, server_id_filter=1) == {}
    assert set(come_back(services, file_url)) == {b"alice"}


def test_columns_and_numeric_times(services: FakeServices, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/own.db"
    create_tables(url, ["location"])
    with sqlite3.connect(tmp_path / "own.db") as connection:
        connection.execute("ALTER TABLE location RENAME COLUMN contact TO uri")
        connection.execute("ALTER TABLE location RENAME COLUMN callid TO call")
    connection.close()
    params = {"contact_column": "uri", "callid_column": "call", "expires_type": 1}
    usrloc = started(services, url, db_mode=2, **params)
    put(usrloc, b"alice", BINDING)
    assert flush(usrloc)
    assert rows(usrloc, "uri, call, expires") == [
        (BINDING.contact.decode(), BINDING.call_id.decode(), BINDING.expires)
    ]
    assert come_back(services, url, **params) == {b"alice": [BINDING]}
    with pytest.raises(ValueError, match="not a name"):
        started(again(services.loop), url, db_mode=2, contact_column="x; DROP TABLE location")


def test_kamailios_own_rows(services: FakeServices, file_url: str) -> None:
    create_tables(file_url, ["location"])
    with sqlite3.connect(file_url.removeprefix("sqlite:///")) as connection:
        connection.execute(
            "INSERT INTO location (ruid, username, domain, contact, expires, q, callid, cseq,"
            " last_modified, user_agent, socket, server_id, connection_id) VALUES"
            " ('uloc-7-6b04d20d-c19-d', 'alice', NULL, 'sip:alice@10.0.0.9',"
            " 2461368.53739005, -1.0,"
            " 'c1', 9, 2461368.49572338, 'n/a', 'udp:127.0.0.1:43028', 7, -1)"
        )
    connection.close()
    [found] = come_back(services, file_url)[b"alice"]
    assert (found.expires, int(found.last_modified)) == (1795481631, 1795478031)
    assert (found.q, found.methods, found.server_id) == (-1, 0xFFFFFFFF, 7)


def test_memory_only_by_a_flag_of_save(services: FakeServices, file_url: str) -> None:
    usrloc = started(services, file_url, db_mode=1)
    registrar = cast(Registrar, services.module(Registrar))
    assert registrar.save(request(["<sip:a@h>"]), b"location", 1) == 1
    assert registrar.save(request(["<sip:a@h>"], to="<sip:bob@h>"), b"location", 0) == 1
    assert flush(usrloc)
    assert rows(usrloc, "username") == [("bob",)]
    assert usrloc.locations.total().contacts == 2


def test_the_timer_process_writes(services: FakeServices, file_url: str) -> None:
    usrloc = started(services, file_url, db_mode=1)
    for module in services.modules.values():
        module.child_init(-1)
    put(usrloc, b"alice", BINDING)
    services.timers.advance(services.timers.now() + 1.2)

    async def written() -> None:
        while usrloc._tasks:
            await asyncio.sleep(0.01)

    run(services, written())
    assert rows(usrloc, "ruid") == [("uloc-1",)]
    assert usrloc.ul_flush() == ""
    assert services.statistics.counts["usrloc:location-users"] == 1
    assert services.statistics.counts["usrloc:location-contacts"] == 1
    assert services.statistics.counts["usrloc:registered_users"] == 1
