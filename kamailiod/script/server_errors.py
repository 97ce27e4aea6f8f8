"""What the drivers of database servers raise: whether trying again makes sense, and a name to log.

Owns the error codes of PostgreSQL and MySQL; it must not let a driver's text out, which may hold
the URL with its password.
"""

from __future__ import annotations

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


def failures() -> tuple[type[Exception], ...]:
    """Return the exceptions that mean: the statement failed. Loads SQLAlchemy."""
    from sqlalchemy.exc import SQLAlchemyError

    found: tuple[type[Exception], ...] = (SQLAlchemyError, OSError, TimeoutError, ImportError)
    try:
        import asyncpg
    except ImportError:
        return found
    # While it connects, its errors come as they are.
    return (*found, asyncpg.PostgresError, asyncpg.InterfaceError)


def is_refusal(error: BaseException) -> bool:
    """Whether the server works and will never take this statement with these values."""
    state = sql_state(error)
    if state:
        return state[:2] in _REFUSED_CLASSES and state != _INSUFFICIENT_PRIVILEGE
    number = _number(error)
    if number:
        return number in _REFUSED_NUMBERS
    return _is_unfit_value(error)


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
    original = getattr(error, "orig", None)
    number = original.args[0] if original is not None and original.args else 0
    return number if isinstance(number, int) else 0


def _is_unfit_value(error: BaseException) -> bool:
    # asyncpg looks at a value before it sends it; what it then raises is a ValueError too.
    cause = getattr(error, "orig", None)
    while cause is not None:
        if isinstance(cause, ValueError | TypeError | OverflowError):
            return True
        cause = cause.__cause__
    return False
