"""The subscriber table: who may register, and with which secret.

Owns the statements on Kamailio's table; it must not know requests or digests of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from kamailiod.script.database import Database, Row, identifier
from kamailiod.sip.digest import first_hash

T = TypeVar("T")

TABLE = "subscriber"

Found = Callable[[Sequence[Row] | None], T]


class Subscribers:
    """Reads and changes subscriber tables of one database.

    `with_domain` says whether a user is looked for by name and domain, or by name alone.
    """

    def __init__(
        self, database: Database, user_column: str, domain_column: str, with_domain: bool
    ) -> None:
        self._database = database
        self._user = identifier(user_column)
        self._domain = identifier(domain_column)
        self.with_domain = with_domain
        self._statements: dict[tuple[str, tuple[str, ...]], str] = {}

    def find(
        self, table: str, columns: tuple[str, ...], user: str, domain: str, found: Found[T]
    ) -> T | Callable[[], Awaitable[T]]:
        """Read a user's row and return found(rows), or what gives its awaitable if it must wait.

        The rows are None when the database failed.  Raises DatabaseError for a bad table name.
        """
        statement = self._statements.get((table, columns))
        if statement is None:
            statement = self._statements[(table, columns)] = self._statement(table, columns)
        parameters = {"user": user, "domain": domain} if self.with_domain else {"user": user}
        rows = self._database.fetch_at_once(statement, parameters)
        if rows is not None:
            return found(rows)

        async def later() -> T:
            return found(await self._database.fetch(statement, parameters))

        return later

    async def add(self, user: str, domain: str, password: str) -> bool:
        """Add a user, in the place of one of that name; False when the database failed."""
        row = {"user": user, "domain": domain, "password": password, "ha1": "", "ha1b": ""}
        if domain:
            name, realm, secret = user.encode(), domain.encode(), password.encode()
            full_name = b"%b@%b" % (name, realm)
            row["ha1"] = first_hash(b"MD5", name, realm, secret).decode()
            row["ha1b"] = first_hash(b"MD5", full_name, realm, secret).decode()
        if await self.remove(user, domain) is None:
            return False
        statement = (
            f"INSERT INTO {TABLE} ({self._user}, {self._domain}, password, ha1, ha1b)"
            " VALUES (:user, :domain, :password, :ha1, :ha1b)"
        )
        return await self._database.execute(statement, row) == 1

    async def remove(self, user: str, domain: str) -> int | None:
        """Remove a user; how many there were, None when the database failed."""
        statement = f"DELETE FROM {TABLE} WHERE {self._user} = :user AND {self._domain} = :domain"
        return await self._database.execute(statement, {"user": user, "domain": domain})

    async def names(self) -> Sequence[Row] | None:
        """Return (user, domain) of all users, ordered; None when the database failed."""
        names = f"{self._user}, {self._domain}"
        return await self._database.fetch(f"SELECT {names} FROM {TABLE} ORDER BY {names}", {})

    def _statement(self, table: str, columns: tuple[str, ...]) -> str:
        wanted = ", ".join(map(identifier, columns))
        statement = f"SELECT {wanted} FROM {identifier(table)} WHERE {self._user} = :user"
        return f"{statement} AND {self._domain} = :domain" if self.with_domain else statement
