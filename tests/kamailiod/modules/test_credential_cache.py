"""Credentials that auth_db keeps in shared memory for a while."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.test_auth_db import Server

OK, WRONG_PASSWORD, UNKNOWN_USER = 1, -2, -3


@pytest.fixture
def server(services: FakeServices, tmp_path: Path) -> Server:
    made = Server(services, tmp_path, credentials_cache=60)
    made.run(made.module.rpc_add("alice", "secret"))
    return made


def change_behind(server: Server, password: str) -> None:
    with sqlite3.connect(server.path) as connection:
        connection.execute("UPDATE subscriber SET password = ?", (password,))
    connection.close()


def test_what_was_read_counts_for_a_while(server: Server) -> None:
    assert server.check() == OK
    change_behind(server, "changed")
    assert server.check() == OK
    assert server.check(password="changed") == WRONG_PASSWORD
    assert server.module.rpc_cache_flush() == {"removed": 1}
    assert server.check(password="changed") == OK
    assert server.check() == WRONG_PASSWORD


def test_it_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = "kamailiod.modules.authentication.credential_cache.time"
    assert server.check() == OK
    change_behind(server, "changed")
    monkeypatch.setattr(clock, SimpleNamespace(time=lambda: 4e9))
    assert server.check(password="changed") == OK
    monkeypatch.setattr(clock, SimpleNamespace(time=lambda: 5e9))
    cache = server.module._cache
    assert cache is not None and len(cache._records) == 1
    cache.purge()
    assert len(cache._records) == 0


def test_a_database_that_is_away(server: Server) -> None:
    assert server.check() == OK
    server.path.rename(server.path.with_suffix(".away"))
    server.services.databases.database(f"sqlite:///{server.path}")._look_again = 0.0  # type: ignore[attr-defined]  # looks each second
    assert server.check() == OK
    assert server.check(password="wrong") == WRONG_PASSWORD


def test_users_who_are_not_there_are_not_kept(server: Server) -> None:
    assert server.check(username="zed") == UNKNOWN_USER
    server.run(server.module.rpc_add("zed", "secret"))
    assert server.check(username="zed") == OK


def test_adding_and_removing_take_effect_at_once(server: Server) -> None:
    assert server.check() == OK
    server.run(server.module.rpc_add("alice", "new"))
    assert server.check() == WRONG_PASSWORD
    assert server.check(password="new") == OK
    server.run(server.module.rpc_rm("alice"))
    assert server.check(password="new") == UNKNOWN_USER


def test_forgetting_one_user(server: Server) -> None:
    server.run(server.module.rpc_add("alic", "secret"))
    assert server.check() == server.check(username="alic") == OK
    assert server.module.rpc_cache_remove("alice", "elsewhere.org") == {"removed": 1}
    assert server.module.rpc_cache_remove("alice") == {"removed": 0}
    assert server.module.rpc_cache_remove("alic@example.com") == {"removed": 1}


def test_users_of_a_domain(services: FakeServices, tmp_path: Path) -> None:
    server = Server(services, tmp_path, credentials_cache=60, use_domain=1)
    server.run(server.module.rpc_add("alice@example.com", "secret"))
    assert server.check() == OK
    assert server.module.rpc_cache_remove("alice@elsewhere.org") == {"removed": 0}
    assert server.module.rpc_cache_remove("alice", "example.com") == {"removed": 1}


def test_a_row_read_before_a_removal_is_not_kept(server: Server) -> None:
    cache = server.module._cache
    assert cache is not None
    generation = cache.generation
    cache.remove("alice")
    cache.put(b"alice\0\0subscriber", ("secret",), generation)
    assert cache.get(b"alice\0\0subscriber") is None
    cache.put(b"alice\0\0subscriber", ("secret", None, 5, 1.5), cache.generation)
    assert cache.get(b"alice\0\0subscriber") == ("secret", None, 5, "1.5")


def test_from_lua(server: Server) -> None:
    calls = LuaCalls(server.services, [server.module])
    call = 'return KSR.auth_db.auth_check("example.com", "subscriber", 0)'
    assert calls(server.request(), call) == OK
    change_behind(server, "changed")
    assert calls(server.request(), call) == OK
    asked = 'return KSR.auth_db.is_subscriber("sip:alice@x", "subscriber", 0)'
    assert calls(server.request(), asked) == OK


def test_without_a_cache(services: FakeServices, tmp_path: Path) -> None:
    server = Server(services, tmp_path)
    assert server.module.rpc_cache_flush() == {"removed": 0}
    assert server.module.rpc_cache_remove("alice") == {"removed": 0}
