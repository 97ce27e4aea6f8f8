"""Where a Redis is and how it is talked to: owns the URL's form, opens no connection."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

PORT = 6379
TIMEOUT = 1.0
"""Seconds for a connection, and for a command, unless the address says otherwise."""

# "redis" [ "s" ] "://" [ [ user ] ":" password "@" ] host [ ":" port ] *( "," host [ ":" port ] )
#     [ "/" db ] [ "?" options ]
_URL = re.compile(
    r"redis(?P<tls>s)?://(?:(?P<user>[^:@/]*)(?::(?P<password>[^@]*))?@)?"
    r"(?P<hosts>[^/?@]*)(?:/(?P<db>\d*))?(?:\?(?P<options>.*))?\Z"
)
_UNIX = re.compile(
    r"(?:redis\+)?unix://(?:(?P<user>[^:@/]*)(?::(?P<password>[^@]*))?@)?"
    r"(?P<path>/[^?]*)(?:\?(?P<options>.*))?\Z"
)
_HOST = re.compile(r"(?P<host>\[[^\]]+\]|[^:,\[\]]+)(?::(?P<port>\d{1,5}))?\Z")
SCHEMES = ("redis", "rediss", "unix", "redis+unix")


class RedisAddressError(Exception):
    """A URL or definition that cannot be used; the text holds no credentials."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """One server, or a cluster by some of its `nodes`; times are in seconds.

    `unix` is a socket's path and takes the place of the nodes.  `authorities` is a file or folder
    of certificates that a TLS server's is checked against, empty for the system's; `verify` False
    leaves out the check.  With `only_these` a cluster's redirections are followed to the nodes
    only.  `sentinels` tell which node it is now: the primary of their `group`, or a `replica`.
    """

    nodes: tuple[tuple[str, int], ...] = (("127.0.0.1", PORT),)
    unix: str = ""
    db: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    authorities: str = ""
    verify: bool = True
    cluster: bool = False
    only_these: bool = False
    sentinels: tuple[tuple[str, int], ...] = ()
    group: str = ""
    replica: bool = False
    connect_timeout: float = TIMEOUT
    command_timeout: float = TIMEOUT

    def __str__(self) -> str:
        if self.unix:
            return f"unix://{self.unix}"
        if self.sentinels:
            return f"redis of the sentinels' group {self.group}"
        scheme = "rediss" if self.tls else "redis"
        return f"{scheme}://{','.join(f'{host}:{port}' for host, port in self.nodes)}/{self.db}"


def is_redis_url(text: str) -> bool:
    """Whether a URL is meant to be a Redis's."""
    return text.partition("://")[0] in SCHEMES


def parse_redis_url(text: str) -> RedisAddress:
    """Take redis://user:password@host:port/db apart; rediss:// is TLS, unix:///path a socket.

    Several hosts with commas between them, or the option `cluster=1`, make it a cluster.  Options
    follow a `?`: cluster, db, ca, verify, timeout and connect_timeout (in seconds).  Raises
    RedisAddressError.
    """
    match = _URL.match(text) or _UNIX.match(text)
    if match is None:
        raise RedisAddressError(f"not a URL of a Redis: {text.partition('://')[0]}://...")
    options = dict(parse_qsl(match["options"] or "", keep_blank_values=True))
    parts = match.groupdict()
    nodes = tuple(_node(text) for text in (parts.get("hosts") or "127.0.0.1").split(","))
    try:
        address = RedisAddress(
            nodes=nodes,
            unix=unquote(parts.get("path") or ""),
            db=int(parts.get("db") or options.pop("db", "0")),
            user=unquote(parts["user"] or ""),
            password=unquote(parts["password"] or ""),
            tls=bool(parts.get("tls")),
            authorities=options.pop("ca", ""),
            verify=options.pop("verify", "1") != "0",
            cluster=options.pop("cluster", "0") != "0" or len(nodes) > 1,
            connect_timeout=_seconds(options.pop("connect_timeout", "")),
            command_timeout=_seconds(options.pop("timeout", "")),
        )
    except ValueError:
        raise RedisAddressError("a URL of a Redis has an option that is no number") from None
    if options:
        raise RedisAddressError(f"unknown options in a URL of a Redis: {', '.join(options)}")
    return address


def _node(text: str) -> tuple[str, int]:
    match = _HOST.match(text)
    if match is None:
        raise RedisAddressError("a URL of a Redis has a host that is none")
    return match["host"].strip("[]"), int(match["port"] or PORT)


def _seconds(text: str) -> float:
    value = float(text or TIMEOUT)
    if not 0 < value < 3600:
        raise ValueError
    return value
