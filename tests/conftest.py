"""Fixtures that all tests may ask for."""

from tests.database_servers import mariadb_server, mariadb_url, postgres_server, postgres_url

__all__ = ["mariadb_server", "mariadb_url", "postgres_server", "postgres_url"]
