"""The statements that write accounting rows, as each kind of database wants them.

Owns SQL; what is in a row is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Container, Sequence

from kamailiod.script.database import Parameters, identifier


class Insert:
    """One INSERT statement; a row is a value a column.

    `statement` writes a row, `in_doubt` does so unless it is there: nobody knows how far a killed
    process came.  `inexact` are columns that MySQL keeps with fewer digits than it was given.
    """

    __slots__ = ("_columns", "_is_postgres", "in_doubt", "statement")

    def __init__(
        self, scheme: str, table: str, columns: Sequence[str], inexact: Container[str] = ()
    ) -> None:
        self._is_postgres = scheme.startswith("postgres")
        self._columns = [identifier(column) for column in columns]
        table = identifier(table)
        if self._is_postgres:
            self.statement, self.in_doubt = _postgres_statements(table, self._columns)
        elif scheme == "mysql":
            self.statement, self.in_doubt = _mysql_statements(table, self._columns, inexact)
        else:
            self.statement, self.in_doubt = _sqlite_statements(table, self._columns)

    def parameters(self, values: Sequence[object]) -> Parameters:
        """Return the parameters of one row."""
        if self._is_postgres:
            names = map(str.lower, self._columns)
            return {"row": json.dumps(dict(zip(names, values, strict=True)))}
        return {f"c{number}": value for number, value in enumerate(values)}


def _postgres_statements(table: str, columns: Sequence[str]) -> tuple[str, str]:
    # The columns of attributes are of any type: let the server make it from text.
    names = ", ".join(columns)
    same = " AND ".join(f"old.{column} IS NOT DISTINCT FROM new.{column}" for column in columns)
    insert = (
        f"INSERT INTO {table} ({names}) SELECT {names}"
        f" FROM json_populate_record(CAST(NULL AS {table}), CAST(:row AS json)) AS new"
    )
    return insert, f"{insert} WHERE NOT EXISTS (SELECT 1 FROM {table} AS old WHERE {same})"


def _mysql_statements(
    table: str, columns: Sequence[str], inexact: Container[str]
) -> tuple[str, str]:
    names = ", ".join(f"`{column}`" for column in columns)
    marks = _marks(columns)
    same = " AND ".join(
        f"ABS(`{column}` - {mark}) < 0.0005" if column in inexact else f"`{column}` <=> {mark}"
        for column, mark in zip(columns, marks, strict=True)
    )
    insert, values = f"INSERT INTO `{table}` ({names})", ", ".join(marks)
    unless = f"WHERE NOT EXISTS (SELECT 1 FROM `{table}` WHERE {same})"
    return f"{insert} VALUES ({values})", f"{insert} SELECT {values} FROM DUAL {unless}"


def _sqlite_statements(table: str, columns: Sequence[str]) -> tuple[str, str]:
    marks = _marks(columns)
    same = " AND ".join(
        f"{column} IS {mark}" for column, mark in zip(columns, marks, strict=True)
    )
    insert, values = f"INSERT INTO {table} ({', '.join(columns)})", ", ".join(marks)
    unless = f"WHERE NOT EXISTS (SELECT 1 FROM {table} WHERE {same})"
    return f"{insert} VALUES ({values})", f"{insert} SELECT {values} {unless}"


def _marks(columns: Sequence[str]) -> list[str]:
    return [f":c{number}" for number in range(len(columns))]
