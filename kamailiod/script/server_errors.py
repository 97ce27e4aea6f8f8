"""What the drivers of database servers raise: whether trying again makes sense, and a name to log.

Owns the error codes of PostgreSQL and MySQL; it must not let a driver's text out, which may hold
the URL with its password.
"""

from __future__ import annotations

import contextlib

# https://www.postgresql.org/docs/15/errcodes-appendix.html: unsupported, data, constraint, syntax.
_REFUSED_CLASSES = ("0A", "22", "23", "42")
_INSUFFICIENT_PRIVILEGE = "42501"

# https://mariadb.com/docs/server/reference/error-codes: nulls, columns, duplicates, syntax,
# tables, values out of range or of another type, foreign keys, checks.
_REFUSED_NUMBERS = frozenset(
    (
        1048, 1054, 1062, 1064, 1103, 1136, 1146, 1169, 1216, 1217, 1264, 1265, 1292, 1364, 1366,
        1367, 1406, 1411, 1451, 1452, 1586, 1690, 1761, 3819, 4025,
    )
)  # fmt: skip

# Connection, resources, an operator's doing, the system, authorization: not the statement's fault.
_AWAY_CLASSES = ("08", "53", "57", "58", "XX", "28", "3D", "F0")
# Of connections and passwords, a lock waited for too long, a shutdown, a full disk.
_AWAY_NUMBERS = frozenset(
    (1021, 1040, 1042, 1043, 1044, 1045, 1049, 1053, 1077, 1079, 1080, 1114, 1129, 1130, 1135,
     1152, 1153, 1158, 1159, 1160, 1161, 1203, 1205, 1226, 1927)
)  # fmt: skip
_FULL = ("53300", "1040", "1203", "1226")


def failures() -> tuple[type[Exception], ...]:
    """Return the exceptions that mean: the statement failed. Loads SQLAlchemy."""
    from sqlalchemy.exc import SQLAlchemyError

    found: tuple[type[Exception], ...] = (
        SQLAlchemyError, OSError, TimeoutError, ImportError, EOFError, ValueError,
    )  # fmt: skip
    # While they connect, and for statements as they are, their errors come as they are.
    with contextlib.suppress(ImportError):
        import asyncpg

        found += (asyncpg.PostgresError, asyncpg.InterfaceError)
    with contextlib.suppress(ImportError):
        import pymysql  # type: ignore[import-untyped]  # it has no types

        found += (pymysql.MySQLError,)
    return found


def is_refusal(error: BaseException) -> bool:
    """Whether the server works and will never take this statement with these values."""
    state = sql_state(error)
    if state:
        return state[:2] in _REFUSED_CLASSES and state != _INSUFFICIENT_PRIVILEGE
    number = _number(error)
    if number:
        return number in _REFUSED_NUMBERS
    return _is_unfit_value(error)


def is_statement_fault(error: BaseException) -> bool:
    """Whether the server works and has refused this very statement of a script."""
    state = sql_state(error)
    if state:
        return state[:2] not in _AWAY_CLASSES
    number = _number(error)
    if number:
        # The client's own numbers (2000 to 2999) are all of lost connections.
        return number not in _AWAY_NUMBERS and not 2000 <= number < 3000 and number >= 1000
    return isinstance(error, ValueError | TypeError) or _is_unfit_value(error)


def is_full(error: BaseException) -> bool:
    """Whether the server has all the connections that it allows."""
    return (sql_state(error) or str(_number(error))) in _FULL


def kind_of(error: BaseException) -> str:
    """Return the kind of an error and the server's code for it, nothing of its text."""
    original = getattr(error, "orig", None) or error
    code = sql_state(error) or str(_number(error) or "")
    return f"{type(original).__name__} {code}".rstrip()


def sql_state(error: BaseException) -> str:
    """Return PostgreSQL's five-character code of an error; empty when it has none."""
    original = getattr(error, "orig", None) or error
    state = getattr(original, "sqlstate", None)
    return state if isinstance(state, str) else ""


def _number(error: BaseException) -> int:
    original = getattr(error, "orig", None) or error
    number = original.args[0] if original.args else 0
    return number if isinstance(number, int) else 0


def _is_unfit_value(error: BaseException) -> bool:
    # asyncpg looks at a value before it sends it; what it then raises is a ValueError too.
    cause = getattr(error, "orig", None)
    while cause is not None:
        if isinstance(cause, ValueError | TypeError | OverflowError):
            return True
        cause = cause.__cause__
    return False
