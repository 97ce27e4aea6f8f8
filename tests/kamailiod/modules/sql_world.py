"""sqlops over one database of each kind, called from Lua, with a table of accounts in it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from kamailiod.modules.sqlops import Sqlops
from kamailiod.script.context import Context, Route
from kamailiod.script.server_database import ServerDatabase
from kamailiod.script.sqlite_database import create_file
from tests.kamailiod.fakes import FakeServices, context_of
from tests.kamailiod.lua_calls import LuaCalls

INVITE = (
    b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKs\r\n"
    b"From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: s\r\n"
    b"CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)
KINDS = ("sqlite", "postgres", "mariadb")
ACCOUNTS = (
    "CREATE TABLE accounts (username VARCHAR(64), credit INT, rate NUMERIC(8,3), note VARCHAR(64))"
)
FLOAT = {"sqlite": "REAL", "postgres": "DOUBLE PRECISION", "mysql": "DOUBLE"}


def new_context(route: Route = Route.REQUEST) -> Context:
    return context_of(INVITE, route)


class SqlWorld:
    """Connection `db` to a database with alice (5), bob (-7, no note)."""

    def __init__(self, services: FakeServices, url: str, **params: Any) -> None:
        self.services = services
        self.loop = services.loop = asyncio.new_event_loop()
        self.url = url
        connections = [f"db=>{url}", *params.pop("sqlcon", ())]
        self.module: Sqlops = services.load(Sqlops, sqlcon=connections, **params)
        services.start()
        self.database = services.databases.database(url)
        for statement in ("DROP TABLE IF EXISTS accounts", ACCOUNTS):
            assert self.database.execute_blocking(statement, {}) is not None
        insert = "INSERT INTO accounts VALUES (:name, :credit, :rate, :note)"
        for name, credit, rate, note in (("alice", 5, 0.25, "vip"), ("bob", -7, 1.5, None)):
            row = {"name": name, "credit": credit, "rate": rate, "note": note}
            assert self.database.execute_blocking(insert, row) == 1
        self.calls = LuaCalls(services, [self.module])
        self.context = new_context()

    def lua(self, text: str, context: Context | None = None) -> Any:
        return self.calls(context or self.context, f"local q = KSR.sqlops\n{text}")

    def each(self, *calls: str) -> tuple[Any, ...]:
        return tuple(self.lua(f"return {call}") for call in calls)

    def pv(self, spec: bytes, context: Context | None = None) -> Any:
        return self.services.variables.compile(spec).get(context or self.context)

    def rows(self, statement: str) -> Any:
        return self.database.fetch_blocking(statement, {})

    def run(self, work: Any) -> Any:
        return self.services.loop.run_until_complete(work)

    @property
    def errors(self) -> list[str]:
        return [line for line in self.services.lines if "ERROR" in line]

    def close(self) -> None:
        self.services.loop = self.loop
        self.module.child_exit(1)
        for database in self.services.databases._open.values():
            if isinstance(database, ServerDatabase):
                self.run(database.close())
        self.loop.close()


def url_of(kind: str, request: Any, folder: Path) -> str:
    """Return the URL of an empty database of a kind."""
    if kind == "sqlite":
        path = folder / "sql.db"
        create_file(str(path), ())
        return f"sqlite:///{path}"
    return str(request.getfixturevalue(f"{kind}_url"))
