"""Which question marks of a statement stand for values."""

from __future__ import annotations

import pytest

from kamailiod.script.placeholders import fitting, for_mysql, for_postgres, for_sqlite


@pytest.mark.parametrize(
    ("statement", "postgres", "mysql"),
    [
        ("a = ? AND b = ?", "a = $1 AND b = $2", "a = %s AND b = %s"),
        ("a LIKE '%?''?' AND b = ?", "a LIKE '%?''?' AND b = $1", "a LIKE '%%?''?' AND b = %s"),
        ('"?" = ? -- ?\n+ ?', '"?" = $1 -- ?\n+ $2', '"?" = %s -- ?\n+ %s'),
        ("/* ? */ ?", "/* ? */ $1", "/* ? */ %s"),
        ("a % ? = 'x", "a % $1 = 'x", "a %% %s = 'x"),
    ],
)
def test_what_stands_for_a_value(statement: str, postgres: str, mysql: str) -> None:
    count = mysql.count("%s")
    assert for_postgres(statement) == (postgres, count)
    assert for_mysql(statement) == (mysql, count)
    assert for_sqlite(statement) == (statement, count)


def test_quotes_of_one_kind_of_database() -> None:
    assert for_postgres("$a$ ? $b$ ? $a$ ? $$?$$") == ("$a$ ? $b$ ? $a$ $1 $$?$$", 1)
    assert for_postgres(r"E'\'?' ? '\' ?") == (r"E'\'?' $1 '\' $2", 2)
    assert for_mysql(r"'\'?' ? # ?" + "\n`?` ?") == (r"'\'?' %s # ?" + "\n`?` %s", 2)
    assert for_sqlite("[?] `?` ?") == ("[?] `?` ?", 1)


def test_fitting() -> None:
    assert fitting(["a", None, None, None], 2) == ["a", None]
    assert fitting([], 0) == []
    for values, count in ((["a", "b"], 1), (["a"], 2), ([None, "b"], 1)):
        with pytest.raises(ValueError, match="values for"):
            fitting(values, count)
