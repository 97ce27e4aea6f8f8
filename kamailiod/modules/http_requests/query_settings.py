"""$http_req(...): the settings of a message's next asynchronous query.

Owns their names and how values are taken; they last for one query.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kamailiod.modules.http_requests.request import (
    Headers,
    HttpRequest,
    Pooling,
    Profile,
    header_fields,
)
from kamailiod.script.context import Value
from kamailiod.script.variables.value import strict_integer

_METHODS = (b"GET", b"POST", b"PUT", b"DELETE")
_OLD_VERSION = 1


class QuerySettings:
    """What one query is made with; `suspend` says whether its transaction waits for it."""

    __slots__ = ("_defaults", "body", "headers", "method", "profile", "suspend")

    def __init__(self, defaults: Profile) -> None:
        self._defaults = defaults
        self.reset()

    def reset(self) -> None:
        """Return to the module's own settings."""
        self.profile = self._defaults
        self.body = b""
        self.headers: Headers = ()
        self.method = ""
        self.suspend = True

    def set(self, key: bytes, value: Value) -> bool:
        """Take a setting, None for the default; False for a value of the wrong kind."""
        change = _CHANGES.get(key)
        return change is not None and change(self, value)

    def request(self, url: bytes) -> HttpRequest:
        """Return the request of a query to a URL."""
        return HttpRequest(url, self.body, self.headers, self.method)

    def default(self, name: str) -> object:
        """Return a setting of the module's own profile."""
        return getattr(self._defaults, name)


def known(key: bytes) -> bool:
    """Whether there is a setting of this name."""
    return key in _CHANGES


Change = Callable[[QuerySettings, Value], bool]


def _all(settings: QuerySettings, value: Value) -> bool:
    if value is None:
        settings.reset()
    return True


def _header(settings: QuerySettings, value: Value) -> bool:
    if not isinstance(value, bytes):
        return value is None
    settings.headers += header_fields(value)
    return True


def _body(settings: QuerySettings, value: Value) -> bool:
    if not isinstance(value, bytes | None):
        return False
    settings.body = value or b""
    return True


def _method(settings: QuerySettings, value: Value) -> bool:
    name = value.upper() if isinstance(value, bytes) else b""
    if value is not None and name not in _METHODS:
        return False
    settings.method = name.decode()
    return True


def _suspend(settings: QuerySettings, value: Value) -> bool:
    number = 1 if value is None else strict_integer(value)
    if number is None:
        return False
    settings.suspend = bool(number)
    return True


def _text(name: str, tls: bool) -> Change:
    def change(settings: QuerySettings, value: Value) -> bool:
        if not isinstance(value, bytes | None):
            return False
        given: dict[str, Any] = {name: (value or b"").decode("utf-8", "surrogateescape")}
        profile = settings.profile
        settings.profile = (
            replace(profile, tls=replace(profile.tls, **given)) if tls
            else replace(profile, **given)
        )  # fmt: skip
        return True

    return change


def _number(name: str, read: Callable[[int], object]) -> Change:
    def change(settings: QuerySettings, value: Value) -> bool:
        number = strict_integer(value)
        if number is None and value is not None:
            return False
        given: dict[str, Any] = {
            name: settings.default(name) if number is None else read(number)
        }
        settings.profile = replace(settings.profile, **given)
        return True

    return change


def _pooling(change_pooling: Callable[[Pooling, int], Pooling]) -> Change:
    def change(settings: QuerySettings, value: Value) -> bool:
        number = 0 if value is None else strict_integer(value)
        if number is None:
            return False
        pooling = change_pooling(settings.profile.pooling, number)
        settings.profile = replace(settings.profile, pooling=pooling)
        return True

    return change


def _keepalive(pooling: Pooling, number: int) -> Pooling:
    return replace(pooling, keepalive=(pooling.keepalive or (0, 0)) if number else None)


def _idle(pooling: Pooling, number: int) -> Pooling:
    return replace(pooling, keepalive=(number, (pooling.keepalive or (0, 0))[1]))


def _interval(pooling: Pooling, number: int) -> Pooling:
    return replace(pooling, keepalive=((pooling.keepalive or (0, 0))[0], number))


def _version(pooling: Pooling, number: int) -> Pooling:
    return replace(pooling, old_version=number == _OLD_VERSION)


_CHANGES: Mapping[bytes, Change] = {
    b"all": _all,
    b"authmethod": _number("methods", int),
    b"body": _body,
    b"follow_redirect": _number("redirects", bool),
    b"hdr": _header,
    b"http_version": _pooling(_version),
    b"ka-idle": _pooling(_idle),
    b"ka-interval": _pooling(_interval),
    b"keepalive": _pooling(_keepalive),
    b"method": _method,
    b"password": _text("password", tls=False),
    b"suspend": _suspend,
    b"tcp_ka_idle": _pooling(_idle),
    b"tcp_ka_interval": _pooling(_interval),
    b"tcp_keepalive": _pooling(_keepalive),
    b"timeout": _number("timeout", lambda milliseconds: milliseconds / 1000),
    b"tls_ca_path": _text("ca_path", tls=True),
    b"tls_client_cert": _text("certificate", tls=True),
    b"tls_client_key": _text("key", tls=True),
    b"username": _text("username", tls=False),
}
