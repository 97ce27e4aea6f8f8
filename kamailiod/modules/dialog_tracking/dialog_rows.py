"""Dialogs as rows of Kamailio's tables dialog and dialog_vars: statements and conversion.

Owns the columns, whose names are modparams, and what stands in them; it runs no statement.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from kamailiod.script.database import Row, identifier
from shm import Dialog

if TYPE_CHECKING:
    from kamailiod.modules.dialog_tracking.params import DialogParams

Statement = tuple[str, dict[str, object]]

ROWS_AT_ONCE = 200
"""How many rows one statement writes at most."""


class DialogRows:
    """The two tables as a config names them; statements have `:name` parameters."""

    def __init__(self, params: DialogParams) -> None:
        named = _column_names(params)
        self._table = identifier(params.table_name)
        self._columns = {field: identifier(name) for field, name in named.items()}
        self._variables = identifier(params.vars_table_name)
        self._entry = identifier(params.vars_h_entry_column)
        self._id = identifier(params.vars_h_id_column)
        self._key = identifier(params.vars_key_column)
        self._value = identifier(params.vars_value_column)

    def page(self, after: int, count: int) -> Statement:
        """Select some rows in the order of their own numbers, those after a number."""
        return f"{self._select()} WHERE id > :after ORDER BY id LIMIT {count}", {"after": after}

    def numbers(self) -> Statement:
        """Select h_entry, h_id and Call-ID of all rows."""
        columns = (self._columns[name] for name in (*_KEYS, "call_id"))
        return f"SELECT {', '.join(columns)} FROM {self._table}", {}

    def all(self) -> Statement:
        """Select all rows."""
        return f"{self._select()} ORDER BY id", {}

    def of_call(self, call_id: bytes) -> Statement:
        """Select the rows of one Call-ID."""
        where = f"WHERE {self._columns['call_id']} = :call_id ORDER BY id"
        return f"{self._select()} {where}", {"call_id": _text(call_id)}

    def variables_page(self, after: int, count: int) -> Statement:
        """Select some rows of variables: their own number, h_entry, h_id, key, value."""
        return (
            f"SELECT id, {self._entry}, {self._id}, {self._key}, {self._value}"
            f" FROM {self._variables} WHERE id > :after ORDER BY id LIMIT {count}",
            {"after": after},
        )

    def variables_of(self, dialog: Dialog) -> Statement:
        """Select the variables of one dialog, in the same columns."""
        return (
            f"SELECT id, {self._entry}, {self._id}, {self._key}, {self._value}"
            f" FROM {self._variables} WHERE {self._entry} = :entry AND {self._id} = :id",
            {"entry": dialog.h_entry, "id": dialog.h_id},
        )

    def _select(self) -> str:
        return f"SELECT id, {', '.join(self._columns.values())} FROM {self._table}"

    def read(self, row: Row) -> Dialog:
        """Return the dialog of a selected row; its own number is row[0]."""
        values = dict(zip(self._columns, row[1:], strict=True))
        texts = {name: _bytes(values[name]) for name in _TEXTS}
        numbers = {name: _number(values[name]) for name in _NUMBERS}
        dialog = Dialog(**texts, **numbers)  # type: ignore[arg-type]  # the fields of these two kinds
        dialog.flags = _number(values["iflags"])
        dialog.init_time = dialog.start_time
        dialog.timeout = max(dialog.expires - dialog.start_time, 1)
        dialog.profiles = _profiles(values["xdata"])
        return dialog

    def insert(self, dialogs: Sequence[Dialog]) -> Statement:
        """Insert rows of some dialogs."""
        columns = ", ".join(self._columns.values())
        parameters: dict[str, object] = {}
        lists = []
        for number, dialog in enumerate(dialogs):
            parameters |= {f"{name}_{number}": value for name, value in _values(dialog).items()}
            lists.append(f"({', '.join(f':{name}_{number}' for name in self._columns)})")
        return f"INSERT INTO {self._table} ({columns}) VALUES {', '.join(lists)}", parameters

    def update(self, dialog: Dialog) -> Statement:
        """Write the row of a dialog anew."""
        values = _values(dialog)
        parts = [
            f"{column} = :{name}" for name, column in self._columns.items() if name not in _KEYS
        ]
        where = " AND ".join(f"{self._columns[name]} = :{name}" for name in _KEYS)
        return f"UPDATE {self._table} SET {', '.join(parts)} WHERE {where}", values

    def delete(self, numbers: Sequence[tuple[int, int]]) -> Statement:
        """Delete the rows of dialogs by h_entry and h_id."""
        entry, identity = self._columns["h_entry"], self._columns["h_id"]
        return _delete(self._table, entry, identity, numbers)

    def delete_variables(self, numbers: Sequence[tuple[int, int]]) -> Statement:
        """Delete the variables of dialogs."""
        return _delete(self._variables, self._entry, self._id, numbers)

    def insert_variables(self, dialogs: Iterable[Dialog]) -> Statement | None:
        """Insert the variables of some dialogs; None when they have none."""
        parameters: dict[str, object] = {}
        lists: list[str] = []
        for dialog in dialogs:
            for key, value in dialog.variables.items():
                n = len(lists)
                parameters |= {
                    f"entry_{n}": dialog.h_entry, f"id_{n}": dialog.h_id,
                    f"key_{n}": _text(key), f"value_{n}": _text(value),
                }  # fmt: skip
                lists.append(f"(:entry_{n}, :id_{n}, :key_{n}, :value_{n})")
        if not lists:
            return None
        columns = f"{self._entry}, {self._id}, {self._key}, {self._value}"
        return f"INSERT INTO {self._variables} ({columns}) VALUES {', '.join(lists)}", parameters

    def delete_all(self) -> tuple[Statement, Statement]:
        """Empty both tables."""
        return (f"DELETE FROM {self._table}", {}), (f"DELETE FROM {self._variables}", {})


_KEYS = ("h_entry", "h_id")
_NUMBERS = ("h_entry", "h_id", "state", "start_time", "expires", "sflags")
_TEXTS = (
    "call_id", "from_uri", "from_tag", "to_uri", "to_tag", "from_cseq", "to_cseq",
    "from_route_set", "to_route_set", "from_contact", "to_contact", "from_socket", "to_socket",
    "toroute", "request_uri",
)  # fmt: skip


def _column_names(params: DialogParams) -> dict[str, str]:
    # By field of the record, in the order of the table; the last three have no modparam.
    return {
        "h_entry": params.h_entry_column,
        "h_id": params.h_id_column,
        "call_id": params.call_id_column,
        "from_uri": params.from_uri_column,
        "from_tag": params.from_tag_column,
        "to_uri": params.to_uri_column,
        "to_tag": params.to_tag_column,
        "from_cseq": params.from_cseq_column,
        "to_cseq": params.to_cseq_column,
        "from_route_set": params.from_route_column,
        "to_route_set": params.to_route_column,
        "from_contact": params.from_contact_column,
        "to_contact": params.to_contact_column,
        "from_socket": params.from_sock_column,
        "to_socket": params.to_sock_column,
        "state": params.state_column,
        "start_time": params.start_time_column,
        "expires": params.timeout_column,
        "sflags": params.sflags_column,
        "toroute": params.toroute_name_column,
        "iflags": "iflags",
        "request_uri": "req_uri",
        "xdata": "xdata",
    }


def _values(dialog: Dialog) -> dict[str, object]:
    values: dict[str, object] = {name: int(getattr(dialog, name)) for name in _NUMBERS}
    values |= {name: _text(getattr(dialog, name)) for name in _TEXTS}
    return values | {"iflags": dialog.flags, "xdata": _xdata(dialog.profiles)}


def _delete(table: str, entry: str, identity: str, numbers: Sequence[tuple[int, int]]) -> Statement:
    parameters: dict[str, object] = {}
    terms = []
    for n, (h_entry, h_id) in enumerate(numbers):
        parameters |= {f"entry_{n}": h_entry, f"id_{n}": h_id}
        terms.append(f"({entry} = :entry_{n} AND {identity} = :id_{n})")
    return f"DELETE FROM {table} WHERE {' OR '.join(terms)}", parameters


def _xdata(profiles: Sequence[tuple[bytes, bytes]]) -> str | None:
    # As Kamailio has it: the profiles of a dialog as JSON.
    if not profiles:
        return None
    members = [{"name": _text(name)} | ({"value": _text(value)} if value else {})
               for name, value in profiles]  # fmt: skip
    return json.dumps({"profiles": members}, separators=(",", ":"))


def _profiles(value: object) -> list[tuple[bytes, bytes]]:
    try:
        held = json.loads(value) if isinstance(value, str | bytes) and value else {}
    except ValueError:
        return []
    members: object = held.get("profiles") if isinstance(held, Mapping) else None
    if not isinstance(members, list):
        return []
    return [
        (str(member["name"]).encode(), str(member.get("value", "")).encode())
        for member in members
        if isinstance(member, Mapping) and "name" in member
    ]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return b"" if value is None else str(value).encode()


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float | str) and str(value) else 0
