"""db_postgres and db_mysql: what their modparams say to the pools."""

from __future__ import annotations

import ssl

import pytest

from kamailiod.modules.db_mysql import DbMysql
from kamailiod.modules.db_postgres import DbPostgres, connection_arguments
from tests.kamailiod.fakes import FakeServices


def test_postgres(services: FakeServices) -> None:
    services.load(
        DbPostgres, timeout=7, max_connections=12,
        con_param=["sslmode=require", "application_name = pbx", "connect_timeout=3"],
    )  # fmt: skip
    for scheme in ("postgres", "postgresql"):
        options = services.databases._options_of(scheme)
        assert (options.connections, options.timeout) == (12, 7.0)
        assert options.connect == {
            "ssl": "require", "server_settings": {"application_name": "pbx"}, "timeout": 3.0,
        }  # fmt: skip


def test_postgres_without_modparams(services: FakeServices) -> None:
    services.load(DbPostgres)
    options = services.databases._options_of("postgres")
    assert (options.connections, options.timeout, options.connect) == (32, 2.0, {})


def test_tls_of_postgres(tmp_path_factory: pytest.TempPathFactory) -> None:
    authority = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    for mode, verified, hostname in (
        ("require", ssl.CERT_NONE, False),
        ("verify-ca", ssl.CERT_REQUIRED, False),
        ("verify-full", ssl.CERT_REQUIRED, True),
    ):
        settings = connection_arguments([f"sslmode={mode}", f"sslrootcert={authority}"])
        context = settings["ssl"]
        assert isinstance(context, ssl.SSLContext)
        assert (context.verify_mode, context.check_hostname) == (verified, hostname)


@pytest.mark.parametrize("text", ["sslmode", "=x", "sslmode=never"])
def test_bad_settings_of_postgres(text: str) -> None:
    with pytest.raises(ValueError, match="db_postgres"):
        connection_arguments([text])


@pytest.mark.parametrize(
    ("mode", "verified", "hostname"),
    [(3, ssl.CERT_NONE, False), (4, ssl.CERT_REQUIRED, False), (5, ssl.CERT_REQUIRED, True)],
)
def test_mysql(services: FakeServices, mode: int, verified: int, hostname: bool) -> None:
    services.load(DbMysql, connect_timeout=4, receive_timeout=5, send_timeout=1, opt_ssl_mode=mode)
    options = services.databases._options_of("mysql")
    assert (options.connections, options.timeout, options.connect_timeout) == (32, 6.0, 4.0)
    context = options.connect["ssl"]
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (verified, hostname)


def test_mysql_without_modparams(services: FakeServices) -> None:
    services.load(DbMysql)
    options = services.databases._options_of("mysql")
    assert (options.timeout, options.connect_timeout, options.connect) == (2.0, 2.0, {})
