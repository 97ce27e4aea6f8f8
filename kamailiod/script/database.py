"""What a database is to modules: its URL in Kamailio's form, and what can be asked of it.

Owns no connection: the kinds are in sqlite_database.py and server_database.py, databases.py makes
them. Statements have `:name` parameters. What goes wrong is a result, None, and a log line when it
begins and when it ends; credentials are never in one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol
from urllib.parse import unquote

from kamailiod.script.log import Log

Row = tuple[object, ...]
Parameters = Mapping[str, object]

TIMEOUT = 2.0
"""Seconds after which a statement is given up."""


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What any statement gave: its columns' names (none without a result set), rows, changes."""

    columns: tuple[str, ...] = ()
    rows: Sequence[Row] = ()
    affected: int = 0


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """How a process uses a kind of database servers; `connections` is the most of one database.

    `connect` are arguments of the driver for each connection.
    """

    connections: int = 0
    timeout: float = TIMEOUT
    connect_timeout: float = TIMEOUT
    connect: Mapping[str, object] = field(default_factory=dict)

# db_url = scheme "://" [ user [ ":" password ] "@" host [ ":" port ] ] "/" name
_URL = re.compile(
    r"(?P<scheme>[a-z_]+)://"
    r"(?:(?:(?P<user>[^:@/]*)(?::(?P<password>[^@]*))?@)?(?P<host>\[[^\]]+\]|[^:/@]*)(?::(?P<port>\d+))?)?"
    r"/(?P<name>.*)\Z"
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")


class DatabaseError(Exception):
    """A database URL that cannot be used; the text holds no credentials."""


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A database URL taken apart; `name` is the database's name, or the file of a sqlite one."""

    scheme: str
    name: str
    user: str = ""
    password: str = field(default="", repr=False)
    host: str = ""
    port: int | None = None

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}/{self.name}"


class Outcome(Enum):
    """What became of a write that somebody answers for."""

    WRITTEN = "written"
    REFUSED = "refused"
    """The database works and will never take it: a constraint, a type, a missing table."""
    UNREACHABLE = "unreachable"
    """It may be taken later: no connection, a lock, a full disk, a time-out."""


class Database(Protocol):
    """One database; to be used in one process only, by its loop."""

    def fetch_at_once(self, statement: str, parameters: Parameters) -> Sequence[Row] | None:
        """Return the rows of a query that needs no waiting; None when it must be awaited."""

    async def fetch(self, statement: str, parameters: Parameters) -> Sequence[Row] | None:
        """Return the rows of a query; None when it failed or took longer than TIMEOUT."""

    async def execute(self, statement: str, parameters: Parameters) -> int | None:
        """Run and commit a statement, return how many rows it changed; None when it failed."""

    async def write(self, statement: str, parameters: Parameters) -> Outcome:
        """Do what `execute` does for who has to know whether trying again makes sense."""

    async def write_many(self, statement: str, rows: Sequence[Parameters]) -> Outcome:
        """Do what `write` does for many rows at once: all of them are written, or none."""

    async def query(
        self, statement: str, values: Sequence[object] | None = None
    ) -> QueryResult | None:
        """Run and commit any statement as it is; None when it failed, was refused or took too long.

        With `values` (texts, numbers, None) each `?` outside of quotes and comments stands for one.
        A refused statement says nothing of the database: it is logged by its kind.
        """

    def fetch_blocking(self, statement: str, parameters: Parameters) -> Sequence[Row] | None:
        """Do what `fetch` does where nothing may wait: in mod_init, at the end of a process."""

    def execute_blocking(self, statement: str, parameters: Parameters) -> int | None:
        """Do what `execute` does where nothing may wait."""

    def write_blocking(self, statement: str, parameters: Parameters) -> Outcome:
        """Do what `write` does where nothing may wait."""

    def write_many_blocking(self, statement: str, rows: Sequence[Parameters]) -> Outcome:
        """Do what `write_many` does where nothing may wait."""


class Health:
    """Whether a database works; logs when that changes, not at each statement."""

    __slots__ = ("_log", "_name", "_works")

    def __init__(self, log: Log, name: str) -> None:
        self._log = log
        self._name = name
        self._works = True

    def good(self) -> None:
        """Take note of a statement that worked."""
        if not self._works:
            self._works = True
            self._log.notice("database", f"{self._name} works again")

    def bad(self, reason: str) -> None:
        """Take note of one that failed."""
        if self._works:
            self._works = False
            self._log.error("database", f"{self._name} fails: {reason}")

    def refused(self, reason: str) -> None:
        """Take note of a write that it will never take: the database itself works."""
        self.good()
        self._log.error("database", f"{self._name} refuses a row: {reason}")

    def refused_statement(self, reason: str) -> None:
        """Take note of a statement that is wrong: the database itself works."""
        self.good()
        self._log.error("database", f"{self._name} refuses a statement: {reason}")

    def too_slow(self, seconds: float) -> None:
        """Take note of a statement that was given up: it may be the statement's own fault."""
        self._log.error("database", f"{self._name}: a statement took more than {seconds:g} s")


SCHEMES = ("sqlite", "mysql", "postgres", "postgresql")


def parse_url(text: str) -> DatabaseUrl:
    """Take a URL such as sqlite:////var/lib/x.db or mysql://user:password@host/name apart.

    Behind `sqlite:///` stands a file relative to the working directory, an absolute one with a
    fourth slash.  Raises DatabaseError.
    """
    match = _URL.match(text)
    scheme = text.partition(":")[0]
    if match is None or not match["name"]:
        raise DatabaseError(f"not a database URL: {scheme}:...")
    if scheme not in SCHEMES:
        raise DatabaseError(f"databases of the kind {scheme} are not supported")
    if scheme == "sqlite" and match["host"]:
        raise DatabaseError("a sqlite URL has three slashes before its file")
    return DatabaseUrl(
        scheme,
        match["name"],
        unquote(match["user"] or ""),
        unquote(match["password"] or ""),
        (match["host"] or "").strip("[]"),
        int(match["port"]) if match["port"] else None,
    )


def identifier(name: str) -> str:
    """Return the name of a table or column as it is; raises DatabaseError for what is none."""
    if not _IDENTIFIER.match(name):
        raise DatabaseError(f"not a name of a table or column: {name[:64]!r}")
    return name
