"""Module db_postgres: how postgres:// databases are used.

PostgreSQL is always there (script/server_database.py); this owns only the modparams.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from kamailiod.script.database import TIMEOUT, DatabaseOptions
from kamailiod.script.module import Module, Params
from kamailiod.script.services import Services

SCHEMES = ("postgres", "postgresql")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


@dataclass(frozen=True, slots=True)
class DbPostgresParams(Params):
    """Kamailio's modparams of db_postgres, and our own `max_connections`.

    `timeout` is how many seconds a connection, and a statement, may take; 0 stands for 2.
    `max_connections` is the most a process opens to one database; 0 shares 80 among the workers,
    from 4 to 32 for each.
    """

    retries: int = 2
    lockset: int = 4
    timeout: int = 0
    tcp_keepalive: int = 0
    bytea_output_escape: int = 1
    con_param: list[str] = field(default_factory=list)
    max_connections: int = 0


class DbPostgres(Module):
    """The driver of postgres:// URLs."""

    name: ClassVar[str] = "db_postgres"
    Params: ClassVar[type[DbPostgresParams]] = DbPostgresParams
    params: DbPostgresParams
    # Connections are tried before they are used, values come in binary, nothing is locked.
    without_effect: ClassVar[tuple[str, ...]] = (
        "retries", "lockset", "tcp_keepalive", "bytea_output_escape",
    )  # fmt: skip

    def __init__(self, params: DbPostgresParams, services: Services) -> None:
        super().__init__(params, services)
        seconds = float(params.timeout or TIMEOUT)
        connect = connection_arguments(params.con_param)
        services.databases.configure(
            SCHEMES, DatabaseOptions(params.max_connections, seconds, seconds, connect)
        )


def connection_arguments(settings: Iterable[str]) -> dict[str, object]:
    """Return what the driver is told for settings `key=value` of libpq; raises ValueError.

    TLS is asked for by sslmode, sslrootcert, sslcert and sslkey; connect_timeout counts for each
    connection; any other is a setting of the session (application_name, search_path).
    """
    given: dict[str, str] = {}
    for text in settings:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not key or not equals:
            raise ValueError('db_postgres: a con_param is not "key=value"')
        given[key] = value
    arguments: dict[str, object] = {}
    if "connect_timeout" in given:
        arguments["timeout"] = float(given.pop("connect_timeout"))
    mode = given.pop("sslmode", "")
    root, own, key = (given.pop(name, "") for name in ("sslrootcert", "sslcert", "sslkey"))
    if mode:
        if mode not in _SSL_MODES:
            raise ValueError(f"db_postgres: no such sslmode: {mode[:32]}")
        arguments["ssl"] = _context(mode, root, own, key) if root or own else mode
    if given:
        arguments["server_settings"] = given
    return arguments


def _context(mode: str, root: str, own: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=root or None)
    context.check_hostname = mode == "verify-full"
    if mode not in ("verify-ca", "verify-full"):
        context.verify_mode = ssl.CERT_NONE
    if own:
        context.load_cert_chain(own, key or None)
    return context
