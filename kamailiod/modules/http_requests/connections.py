"""Connections by name: modparam httpcon and the sections of config_file.

Owns both grammars; what is not said there is as the module's own settings have it.
"""

from __future__ import annotations

import configparser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kamailiod.modules.http_requests.request import Profile

_VERSIONS = ("DEFAULT", "TLSv1", "SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_WORDS = {"yes": 1, "true": 1, "on": 1, "no": 0, "false": 0, "off": 0}


class DefinitionError(ValueError):
    """A definition that says no connection."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One named connection; `address` is the URL after "scheme://" and any credentials."""

    name: str
    scheme: str
    address: str
    profile: Profile
    failover: str = ""

    def url(self, path: bytes) -> bytes:
        """Return the URL of a path below the connection's own."""
        base = f"{self.scheme}://{self.address}".encode()
        if not path:
            return base
        return base + path if path.startswith(b"/") else base + b"/" + path


def parse_connection(text: str, defaults: Profile, unit: float = 1.0) -> Connection:
    """Read `name=>scheme://[user[:password]@]address[;parameter=value...]`.

    `unit` are the seconds of one in its timeout. Raises DefinitionError.
    """
    name, arrow, rest = text.strip().partition("=>")
    scheme, separator, address = rest.strip().partition("://")
    if not (arrow and separator and name.strip() and scheme and address):
        raise DefinitionError(f"httpcon {name.strip() or '?'} is not name=>scheme://address")
    credentials, at, address = ("", "", address) if "@" not in address else address.partition("@")
    address, *parameters = address.split(";")
    user, _, password = credentials.partition(":")
    settings = dict(_pair(name, parameter) for parameter in parameters if parameter.strip())
    profile = replace(defaults, username=user, password=password) if at else defaults
    return _connection(name.strip(), scheme, address, profile, settings, unit)


def read_connections(path: str, defaults: Profile, unit: float = 1.0) -> list[Connection]:
    """Read a config_file: a section a connection. Raises DefinitionError."""
    parser = configparser.ConfigParser(
        interpolation=None, delimiters=("=",), comment_prefixes=("#",),
        inline_comment_prefixes=("#",),
    )  # fmt: skip
    try:
        parser.read_string(Path(path).read_text())
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise DefinitionError(f"config_file {path}: {error}") from None
    return [_section(name, parser[name], defaults, unit) for name in parser.sections()]


def _section(
    name: str, section: Mapping[str, str], defaults: Profile, unit: float
) -> Connection:
    settings = {key: value.strip().strip('"') for key, value in section.items()}
    url = settings.pop("url", "")
    connection = parse_connection(f"{name}=>{url}", defaults)
    profile = connection.profile
    if "username" in settings:
        profile = replace(profile, username=settings.pop("username"))
    if "password" in settings:
        profile = replace(profile, password=settings.pop("password"))
    return _connection(name, connection.scheme, connection.address, profile, settings, unit)


def _pair(name: str, parameter: str) -> tuple[str, str]:
    key, _, value = parameter.partition("=")
    return key.strip(), value.strip().strip('"')


def _connection(
    name: str, scheme: str, address: str, profile: Profile, settings: dict[str, str],
    unit: float,
) -> Connection:  # fmt: skip
    failover = settings.pop("failover", "")
    proxy_port = settings.pop("httpproxyport", None)
    for key, value in settings.items():
        change = _SETTINGS.get(key)
        if change is None:
            raise DefinitionError(f"connection {name}: {key} is no parameter")
        try:
            profile = change(profile, value, unit)
        except ValueError:
            raise DefinitionError(f"connection {name}: {key}={value} is not right") from None
    if proxy_port is not None:
        profile = replace(profile, proxy=with_port(profile.proxy, _number(proxy_port)))
    return Connection(name, scheme.lower(), address, profile, failover)


def with_port(proxy: str, port: int) -> str:
    """Return a proxy's URL with a port put in; without a proxy or a port there is none."""
    if not proxy or not port:
        return ""
    scheme, _, address = proxy.rpartition("://")
    host = address.rstrip("/")
    if not host.endswith("]") and host.rpartition(":")[2].isdigit():
        host = host.rpartition(":")[0]
    return f"{scheme or 'http'}://{host}:{port}"


def _number(text: str) -> int:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    return int(text)


def _version(text: str) -> int:
    return _VERSIONS.index(text) if text in _VERSIONS else int(text)


Change = Callable[[Profile, str, float], Profile]


def _tls(name: str, read: Callable[[str], Any]) -> Change:
    def change(profile: Profile, text: str, unit: float) -> Profile:
        changed: dict[str, Any] = {name: read(text)}
        return replace(profile, tls=replace(profile.tls, **changed))

    return change


def _plain(name: str, read: Callable[[str], Any]) -> Change:
    def change(profile: Profile, text: str, unit: float) -> Profile:
        changed: dict[str, Any] = {name: read(text)}
        return replace(profile, **changed)

    return change


def _keep(profile: Profile, text: str, unit: float) -> Profile:
    return replace(profile, pooling=replace(profile.pooling, keep=bool(_number(text))))


def _seconds(profile: Profile, text: str, unit: float) -> Profile:
    return replace(profile, timeout=int(text) * unit)


def _flag(text: str) -> bool:
    return bool(_number(text))


_SETTINGS: Mapping[str, Change] = {
    "authmethod": _plain("methods", int),
    "cipher_suites": _tls("ciphers", str),
    "client_cert": _tls("certificate", str),
    "client_key": _tls("key", str),
    "http_follow_redirect": _plain("redirects", _flag),
    "httpproxy": _plain("proxy", str),
    "httpredirect": _plain("redirects", _flag),
    "keep_connections": _keep,
    "keepconnections": _keep,
    "maxdatasize": _plain("most", int),
    "timeout": _seconds,
    "tlsversion": _tls("version", _version),
    "useragent": _plain("user_agent", str),
    "verify_host": _tls("verify_host", _flag),
    "verify_peer": _tls("verify_peer", _flag),
}
