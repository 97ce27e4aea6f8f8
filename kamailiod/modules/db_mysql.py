"""Module db_mysql: how mysql:// databases (MySQL, MariaDB) are used.

MySQL is always there (script/server_database.py); this owns only the modparams.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from kamailiod.script.database import TIMEOUT, DatabaseOptions
from kamailiod.script.module import Module, Params
from kamailiod.script.services import Services


class SslMode(IntEnum):
    """What opt_ssl_mode asks for."""

    DEFAULT = 0
    DISABLED = 1
    PREFERRED = 2
    REQUIRED = 3
    VERIFY_CA = 4
    VERIFY_IDENTITY = 5


@dataclass(frozen=True, slots=True)
class DbMysqlParams(Params):
    """Kamailio's modparams of db_mysql, and our own `max_connections`.

    A statement may take send_timeout and receive_timeout seconds together; 0 stands for 2.
    `max_connections` is the most a process opens to one database; 0 shares 80 among the workers,
    from 4 to 32 for each.
    """

    ping_interval: int = 300
    connect_timeout: int = 2
    send_timeout: int = 0
    receive_timeout: int = 0
    retries: int = 1
    server_timezone: int = 0
    timeout_interval: int = 2
    auto_reconnect: int = 1
    insert_delayed: int = 0
    update_affected_found: int = 0
    unsigned_type: int = 0
    opt_ssl_ca: str = ""
    opt_ssl_mode: int = 0
    max_connections: int = 0


class DbMysql(Module):
    """The driver of mysql:// URLs."""

    name: ClassVar[str] = "db_mysql"
    Params: ClassVar[type[DbMysqlParams]] = DbMysqlParams
    params: DbMysqlParams
    # Connections are tried before they are used; rows found are what is counted; the rest is of
    # Kamailio's own typed values and of MySQL's past.
    without_effect: ClassVar[tuple[str, ...]] = (
        "ping_interval", "retries", "server_timezone", "timeout_interval", "auto_reconnect",
        "insert_delayed", "update_affected_found", "unsigned_type",
    )  # fmt: skip

    def __init__(self, params: DbMysqlParams, services: Services) -> None:
        super().__init__(params, services)
        seconds = float(params.send_timeout + params.receive_timeout)
        context = _context(params.opt_ssl_mode, params.opt_ssl_ca)
        services.databases.configure(
            ("mysql",),
            DatabaseOptions(
                params.max_connections,
                seconds or TIMEOUT,
                float(params.connect_timeout or TIMEOUT),
                {"ssl": context} if context is not None else {},
            ),
        )


def _context(mode: int, authority: str) -> ssl.SSLContext | None:
    if mode < SslMode.REQUIRED:
        return None
    context = ssl.create_default_context(cafile=authority or None)
    context.check_hostname = mode >= SslMode.VERIFY_IDENTITY
    if mode < SslMode.VERIFY_CA:
        context.verify_mode = ssl.CERT_NONE
    return context
