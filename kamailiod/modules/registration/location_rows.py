"""Rows of Kamailio's `location` table: from a binding to its columns and back, and the statements.

Owns the layout and what differs between databases; it must not know shared memory or connections.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from kamailiod.modules.registration.contact import ALL_METHODS
from kamailiod.script.database import Row, identifier
from shm import Binding

# Days from the epoch of Julian days to that of unix time: Kamailio's db_sqlite keeps times so.
_JULIAN_UNIX = 2440587.5
_DAY = 86400.0
_SIGN = 1 << 31
_WORD = 1 << 32

Values = dict[str, object]


@dataclass(frozen=True, slots=True)
class LocationColumns:
    """The names of the columns, as usrloc's modparams give them."""

    ruid: str
    username: str
    domain: str
    contact: str
    received: str
    path: str
    expires: str
    q: str
    callid: str
    cseq: str
    flags: str
    cflags: str
    user_agent: str
    socket: str
    methods: str
    instance: str
    reg_id: str
    server_id: str
    connection_id: str
    keepalive: str
    partition: str
    last_modified: str = "last_modified"

    def named(self) -> dict[str, str]:
        """Return column names by field; raises DatabaseError for what is no name."""
        return {name: identifier(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class RowRules:
    """How rows are written: the database's kind and usrloc's modparams that concern them.

    `keepalive_flag` is the mask of the branch flag that marks contacts to be kept alive.
    """

    scheme: str
    use_domain: bool
    numeric_times: bool
    by_ruid: bool
    always_insert: bool
    server_id: int
    own_only: bool
    keepalive_flag: int


class LocationRows:
    """Builds the statements on location tables and their parameters; one layout for all tables."""

    def __init__(self, columns: LocationColumns, rules: RowRules) -> None:
        self._names = columns.named()
        self._rules = rules
        self.to_time, self.from_time = _time_conversion(rules)
        self._fields = tuple(self._names)
        quote = "`" if rules.scheme == "mysql" else '"'
        self._quoted = {field: f"{quote}{name}{quote}" for field, name in self._names.items()}
        self._listed = ", ".join(self._quoted[field] for field in self._fields)

    @property
    def replaces(self) -> bool:
        """Whether `insertion` replaces a contact's row; else it is to be deleted before."""
        return self._rules.by_ruid or self._rules.always_insert

    def values(self, aor: bytes, binding: Binding) -> Values:
        """Return the column values of a binding, by field."""
        rules = self._rules
        user, domain = self.owner(aor)
        to_time = self.to_time
        return {
            "ruid": _text(binding.ruid), "username": user, "domain": domain,
            "contact": _text(binding.contact), "received": _text(binding.received) or None,
            "path": _text(binding.path) or None, "expires": to_time(binding.expires),
            "q": binding.q / 1000 if binding.q >= 0 else -1.0, "callid": _text(binding.call_id),
            "cseq": binding.cseq, "flags": _signed(binding.flags),
            "cflags": _signed(binding.cflags), "user_agent": _text(binding.user_agent)[:255],
            "socket": _text(binding.socket) or None,
            "methods": None if binding.methods == ALL_METHODS else _signed(binding.methods),
            "instance": _text(binding.instance) or None, "reg_id": binding.reg_id,
            "server_id": rules.server_id, "connection_id": binding.connection_id or -1,
            "keepalive": int(bool(binding.cflags & rules.keepalive_flag)), "partition": 0,
            "last_modified": to_time(int(binding.last_modified)),
        }  # fmt: skip

    def owner(self, aor: bytes) -> tuple[str, str | None]:
        """Return username and domain of an address-of-record."""
        text = _text(aor)
        if not self._rules.use_domain:
            return text, None
        user, _, domain = text.rpartition("@")
        return user, domain

    def aor(self, row: Row) -> bytes:
        """Return the address-of-record of a row of `selection`."""
        user = str(row[2]).encode()
        return b"%b@%b" % (user, _bytes(row[3])) if self._rules.use_domain else user

    def binding(self, row: Row) -> Binding:
        """Return the binding of a row of `selection`."""
        (
            _, ruid, _, _, contact, received, path, expires, q, call_id, cseq, flags, cflags,
            agent, socket, methods, instance, reg_id, server_id, _, _, _, modified,
        ) = row  # fmt: skip
        weight = float(cast("float", q)) if q is not None else -1.0
        return Binding(
            _bytes(contact), _bytes(received) if received else b"", _bytes(path) if path else b"",
            self.from_time(expires), round(weight * 1000) if weight >= 0 else -1,
            _bytes(call_id), _number(cseq), _number(flags) % _WORD if flags else 0,
            _number(cflags) % _WORD if cflags else 0, _bytes(agent), _bytes(socket),
            ALL_METHODS if methods is None else _number(methods) % _WORD,
            _bytes(instance) if instance else b"", _number(reg_id) if reg_id else 0, _bytes(ruid),
            0, _number(server_id) if server_id else 0, float(self.from_time(modified)),
        )  # fmt: skip

    def selection(self, table: str, condition: str = "", limit: bool = False) -> str:
        """Return the query of rows: `id` and all columns, in the order of their making.

        With `limit` it takes :last, the highest id before, and :count.
        """
        conditions = [condition] if condition else []
        if limit:
            conditions.append("id > :last")
        if self._rules.own_only:
            conditions.append(f"{self._quoted['server_id']} = {int(self._rules.server_id)}")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        tail = " LIMIT :count" if limit else ""
        return f"SELECT id, {self._listed} FROM {identifier(table)}{where} ORDER BY id{tail}"

    def of_user(self, table: str) -> str:
        """Return the query of a user's rows; takes :username and, with domains, :domain."""
        return self.selection(table, self._user_condition())

    def of_ruid(self, table: str) -> str:
        """Return the query of the row of a contact; takes :ruid."""
        return self.selection(table, f"{self._quoted['ruid']} = :ruid")

    def expired(self, table: str) -> str:
        """Return the query of rows that have expired; takes :now and :never."""
        return self.selection(table, self._expired_condition())

    def user_parameters(self, aor: bytes) -> Values:
        """Return the parameters of `of_user`."""
        user, domain = self.owner(aor)
        return {"username": user, "domain": domain} if domain is not None else {"username": user}

    def expired_parameters(self, now: int) -> Values:
        """Return the parameters of `expired`, `live` and `count`."""
        return {"now": self.to_time(now), "never": self.to_time(0)}

    def insertion(self, table: str) -> str:
        """Return what writes a row, in the place of the contact's own if `replaces`."""
        values = ", ".join(f":{field}" for field in self._fields)
        statement = f"INSERT INTO {identifier(table)} ({self._listed}) VALUES ({values})"
        if not self._rules.by_ruid or self._rules.always_insert:
            return statement
        columns = [column for field, column in self._quoted.items() if field != "ruid"]
        if self._rules.scheme == "mysql":
            changes = ", ".join(f"{column} = VALUES({column})" for column in columns)
            return f"{statement} ON DUPLICATE KEY UPDATE {changes}"
        changes = ", ".join(f"{column} = excluded.{column}" for column in columns)
        return f"{statement} ON CONFLICT ({self._quoted['ruid']}) DO UPDATE SET {changes}"

    def deletion(self, table: str) -> str:
        """Return what deletes the row of a contact; takes :ruid."""
        return f"DELETE FROM {identifier(table)} WHERE {self._quoted['ruid']} = :ruid"

    def deletion_of_contact(self, table: str) -> str:
        """Return what deletes a row by user, contact and Call-ID, its parameters' own names."""
        quoted = self._quoted
        return (
            f"DELETE FROM {identifier(table)} WHERE {self._user_condition()}"
            f" AND {quoted['contact']} = :contact AND {quoted['callid']} = :callid"
        )

    def contact_parameters(self, values: Values) -> Values:
        """Return the parameters of `deletion_of_contact` for a row's values."""
        names = ("username", "domain", "contact", "callid")
        wanted = names if self._rules.use_domain else (names[0], *names[2:])
        return {name: values[name] for name in wanted}

    def ruids(self, table: str) -> str:
        """Return the query of all contacts of this server."""
        ruid, server = self._quoted["ruid"], self._quoted["server_id"]
        where = f" WHERE {server} = {int(self._rules.server_id)}"
        return f"SELECT {ruid} FROM {identifier(table)}{where}"

    def deletion_of_expired(self, table: str) -> str:
        """Return what deletes the rows that have expired; takes :now and :never."""
        own = ""
        if self._rules.own_only:
            own = f" AND {self._quoted['server_id']} = {int(self._rules.server_id)}"
        return f"DELETE FROM {identifier(table)} WHERE {self._expired_condition()}{own}"

    def count(self, table: str, what: str) -> str:
        """Return the query that counts `users`, `contacts` or `expired`; takes :now and :never."""
        quoted = self._quoted
        if what == "expired":
            condition = self._expired_condition()
        else:
            condition = f"{quoted['expires']} > :now OR {quoted['expires']} = :never"
        if what != "users":
            return f"SELECT COUNT(*) FROM {identifier(table)} WHERE {condition}"
        user = f"{quoted['username']}, {quoted['domain']}"
        return (
            f"SELECT COUNT(*) FROM (SELECT DISTINCT {user} FROM {identifier(table)}"
            f" WHERE {condition}) AS found"
        )

    def _user_condition(self) -> str:
        quoted = self._quoted
        condition = f"{quoted['username']} = :username"
        if self._rules.use_domain:
            condition += f" AND {quoted['domain']} = :domain"
        return condition

    def _expired_condition(self) -> str:
        expires = self._quoted["expires"]
        return f"{expires} <= :now AND {expires} <> :never"


def _time_conversion(rules: RowRules) -> tuple[Callable[[int], object], Callable[[object], int]]:
    if rules.numeric_times:
        return int, _number
    if rules.scheme == "sqlite":
        return lambda second: second / _DAY + _JULIAN_UNIX, _from_any
    # Kamailio writes local time into columns without a zone.
    return datetime.fromtimestamp, _from_any


def _from_any(value: object) -> int:
    if isinstance(value, float):
        return round((value - _JULIAN_UNIX) * _DAY)
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, str):
        try:
            return int(datetime.fromisoformat(value).timestamp())
        except ValueError:
            return 0
    return _number(value)


def _number(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) else 0


def _signed(number: int) -> int:
    # INTEGER columns are signed; a mask with its highest bit is stored as what it is bit by bit.
    return number if number < _SIGN else number - _WORD


def _text(value: bytes) -> str:
    # PostgreSQL takes no zero octet in a text.
    return value.decode("utf-8", "replace").replace("\0", "")


def _bytes(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return value if isinstance(value, bytes) else b""


def in_slices(rows: Sequence[Values], size: int) -> list[Sequence[Values]]:
    """Return rows in slices of at most `size`."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]
