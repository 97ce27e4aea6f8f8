"""Module path: putting this proxy into the path of registrations (RFC 3327).

Owns what the Path URI says; the lines are written by script/path_header.py when the request is
sent, and Route headers are rr's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from kamailiod.modules.rr import Rr
from kamailiod.net.address import PROTOCOL_IDS, Source, bracketed
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, kemi
from kamailiod.script.path_header import NOTE, PathHeader
from kamailiod.sip.alias import alias_uri
from kamailiod.sip.uri import parameter_value, unescape

_UNSAFE = re.compile(rb"[^A-Za-z0-9\-_.!~*'()\[\]/:&+$]")


@dataclass(frozen=True, slots=True)
class PathParams(Params):
    """modparams of path."""

    use_received: int = 0
    received_format: int = 0
    received_name: str = "received"
    enable_r2: int = 0
    sockname_mode: int = 0


class Path(Module):
    """Adding Path headers, and following the `received` parameter of our own on the way back."""

    name: ClassVar[str] = "path"
    Params: ClassVar[type[Params]] = PathParams
    params: PathParams

    def mod_init(self) -> None:
        """Listen to rr when the received parameter is to be followed."""
        if self.params.use_received:
            self.services.module(Rr).on_route(self._follow)

    @kemi("path.add_path", native=(), routes=Route.REQUEST)
    def add_path(self, context: Context) -> int:
        """Add a Path header with the address the request will be sent from."""
        return self._add(context, b"", b"", False)

    @kemi("path.add_path_user", native=(), routes=Route.REQUEST)
    def add_path_user(self, context: Context, user: bytes) -> int:
        """Add a Path header with a user in its URI."""
        return self._add(context, user, b"", False)

    @kemi("path.add_path_user_params", native="add_path", routes=Route.REQUEST)
    def add_path_user_params(
        self, context: Context, user: bytes = b"", parameters: bytes = b""
    ) -> int:
        """Add a Path header with a user and further parameters in its URI."""
        return self._add(context, user, parameters, False)

    @kemi("path.add_path_received", native=(), routes=Route.REQUEST)
    def add_path_received(self, context: Context) -> int:
        """Add a Path header that tells where the request was received from."""
        return self._add(context, b"", b"", True)

    @kemi("path.add_path_received_user", native=(), routes=Route.REQUEST)
    def add_path_received_user(self, context: Context, user: bytes) -> int:
        """Add a Path header that tells where the request was received from, with a user."""
        return self._add(context, user, b"", True)

    @kemi("path.add_path_received_user_params", native="add_path_received", routes=Route.REQUEST)
    def add_path_received_user_params(
        self, context: Context, user: bytes = b"", parameters: bytes = b""
    ) -> int:
        """Add a Path header that tells where the request came from, with user and parameters."""
        return self._add(context, user, parameters, True)

    def _add(self, context: Context, user: bytes, parameters: bytes, received: bool) -> int:
        params = self.params
        added = b""
        if received:
            form = _alias if params.received_format else _received_uri
            added = b";%b=%b" % (params.received_name.encode(), form(context.source))
        if parameters:
            added += b";" + parameters.lstrip(b";")
        header = PathHeader(user, added, bool(params.enable_r2), bool(params.sockname_mode))
        headers: list[PathHeader] = context.shared.notes.setdefault(NOTE, [])  # type: ignore[assignment]  # only these are kept there
        headers.append(header)
        return 1

    def _follow(self, context: Context, parameters: bytes) -> None:
        value = parameter_value(parameters, self.params.received_name.encode())
        if not value:
            return
        text = unescape(value)
        uri = alias_uri(text) if self.params.received_format else text
        if uri:
            context.destination = uri


def _received_uri(source: Source) -> bytes:
    transport = source.local.transport
    suffix = b"" if transport == b"udp" else b";transport=" + transport
    uri = b"sip:%b:%d%b" % (bracketed(source.host), source.port, suffix)
    return _UNSAFE.sub(lambda match: b"%%%02X" % match.group()[0], uri)


def _alias(source: Source) -> bytes:
    number = PROTOCOL_IDS.get(source.local.transport, 0)
    return b"%b~%d~%d" % (bracketed(source.host), source.port, number)
