"""Fixtures that all tests may ask for."""

from tests.database_servers import mariadb_server, mariadb_url, postgres_server, postgres_url
from tests.redis_servers import redis_cluster, redis_server, redis_tls_server, redis_url

__all__ = [
    "mariadb_server", "mariadb_url", "postgres_server", "postgres_url",
    "redis_cluster", "redis_server", "redis_tls_server", "redis_url",
]  # fmt: skip
