"""The layouts against Kamailio's own files, and the tables made of them."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from kamailiod.script.database import DatabaseError
from kamailiod.script.table_layouts import LAYOUTS, create_tables

FILES = {
    "sqlite": Path("/usr/share/kamailio/db_sqlite"),
    "postgres": Path("/usr/share/kamailio/postgres"),
    "mysql": Path("/usr/share/kamailio/mysql"),
}


def shape(statement: str) -> set[str]:
    """Return the parts of a CREATE TABLE, without what no database keeps."""
    inside = statement[statement.index("(") + 1 : statement.rindex(")")]
    plain = re.sub(r"`|\bDEFAULT NULL\b", "", inside)
    plain = re.sub(r"\b(SMALLINT|INT)\(\d+\)", r"\1", plain)
    plain = re.sub(r"DEFAULT 1\.0\b", "DEFAULT 1", plain)
    parts = re.split(r",\s*(?![^()]*\))", plain)
    return {" ".join(part.split()) for part in parts if not part.strip().startswith("INDEX")}


def indexes(text: str) -> set[tuple[str, ...]]:
    return {
        (name, *re.findall(r"\w+", columns))
        for name, columns in re.findall(
            r"\bINDEX (?:IF NOT EXISTS )?(\w+) (?:ON \w+ )?\((.*?)\)", text
        )
    }


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("scheme", FILES)
def test_each_layout_is_what_kamailio_has(scheme: str, name: str) -> None:
    folder = FILES[scheme]
    if not folder.is_dir():
        pytest.skip(f"{folder} is not installed")
    text = "\n".join(
        path.read_text()
        for path in folder.glob("*-create.sql")
        # Other modules, with tables of the same names.
        if not path.name.startswith("ims_")
    )
    found = re.search(rf"CREATE TABLE `?{name}`? \(.*?\n\);", text, re.DOTALL)
    assert found is not None
    table = LAYOUTS[name]
    ours = list(table.statements(scheme))
    assert shape(ours[0]) == shape(found[0])
    theirs = "\n".join(re.findall(rf"CREATE INDEX \w+ ON {name} \(.*?\)", text))
    assert indexes("\n".join(ours).replace("`", "")) == indexes(theirs.replace("`", ""))
    version = re.search(rf"values \('{name}','(\d+)'\)", text)
    assert version is not None
    assert table.version == int(version[1])


def test_all_tables_of_a_new_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/folder/k.db"
    assert create_tables(url) == list(LAYOUTS)
    create_tables(url, ["subscriber"])
    with sqlite3.connect(tmp_path / "folder" / "k.db") as connection:
        versions = dict(connection.execute("SELECT table_name, table_version FROM version"))
        connection.execute("INSERT INTO subscriber (username, domain) VALUES ('a', 'b')")
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute("INSERT INTO subscriber (username, domain) VALUES ('a', 'b')")
        expires = "SELECT expires FROM location"
        connection.execute("INSERT INTO location (ruid) VALUES ('x')")
        assert connection.execute(expires).fetchall() == [("2030-05-28 21:32:15",)]
    connection.close()
    assert versions == {name: table.version for name, table in LAYOUTS.items()}


def test_a_layout_under_another_name() -> None:
    table = LAYOUTS["acc"]
    made = "\n".join(table.statements("postgres", "acc_2026"))
    assert "CREATE TABLE IF NOT EXISTS acc_2026 (" in made
    assert "acc_2026_callid_idx ON acc_2026 (callid)" in made
    assert "('acc_2026', 5)" in table.version_statement("postgres", "acc_2026")
    with pytest.raises(DatabaseError):
        list(table.statements("mysql", "acc; DROP TABLE acc"))


def test_what_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="nowhere"):
        create_tables(f"sqlite:///{tmp_path}/k.db", ["acc", "nowhere"])
    assert not (tmp_path / "k.db").exists()
    (tmp_path / "folder").touch()
    with pytest.raises(DatabaseError, match="folder"):
        create_tables(f"sqlite:///{tmp_path}/folder/k.db")
    with pytest.raises(DatabaseError) as caught:
        create_tables("mysql://u:hunter2@127.0.0.1:1/k")
    assert "hunter2" not in str(caught.value)
