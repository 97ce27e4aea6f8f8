"""Module kemix: KSR.kx, direct functions for what pseudo-variables hold.

Owns which variable stands behind which function, and the few that have none.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ClassVar

from kamailiod.script.context import Context, Value
from kamailiod.script.module import Module, kemi

_Getter = Callable[["Kemix", Context], object]


def _variable(name: str, spec: bytes) -> _Getter:
    def getter(self: Kemix, context: Context) -> object:
        return self.services.variables.accessors[spec].get(context)

    getter.__doc__ = f"Return {spec.decode()}, nil when there is none."
    return kemi(f"kx.get_{name}", native=())(getter)


def _or_empty(name: str, spec: bytes) -> _Getter:
    def getter(self: Kemix, context: Context) -> object:
        value: Value = self.services.variables.accessors[spec].get(context)
        return b"" if value is None else value

    getter.__doc__ = f"Return {spec.decode()}, the empty string when there is none."
    return kemi(f"kx.gete_{name}", native=())(getter)


def _or_null(name: str, spec: bytes) -> _Getter:
    def getter(self: Kemix, context: Context) -> object:
        value: Value = self.services.variables.accessors[spec].get(context)
        return b"<null>" if value is None else value

    getter.__doc__ = f"Return {spec.decode()}, `<null>` when there is none."
    return kemi(f"kx.getw_{name}", native=())(getter)


class Kemix(Module):
    """The KSR.kx functions: get_x is nil, gete_x empty and getw_x `<null>` without a value."""

    name: ClassVar[str] = "kemix"

    get_ruri = _variable("ruri", b"$ru")
    get_ouri = _variable("ouri", b"$ou")
    get_furi = _variable("furi", b"$fu")
    get_turi = _variable("turi", b"$tu")
    get_nhuri = _variable("nhuri", b"$nh(u)")
    get_srcip = _variable("srcip", b"$si")
    get_srcport = _variable("srcport", b"$sp")
    get_srcuri = _variable("srcuri", b"$su")
    get_srcaddr_sock = _variable("srcaddr_sock", b"$sas")
    get_rcvip = _variable("rcvip", b"$Ri")
    get_rcvport = _variable("rcvport", b"$Rp")
    get_rcvadvip = _variable("rcvadvip", b"$RAi")
    get_rcvadvport = _variable("rcvadvport", b"$RAp")
    get_rcvaddr_sock = _variable("rcvaddr_sock", b"$Ras")
    get_proto = _variable("proto", b"$proto")
    get_callid = _variable("callid", b"$ci")
    get_method = _variable("method", b"$rm")
    get_ruser = _variable("ruser", b"$rU")
    gete_ruser = _or_empty("ruser", b"$rU")
    getw_ruser = _or_null("ruser", b"$rU")
    get_rhost = _variable("rhost", b"$rd")
    gete_rhost = _or_empty("rhost", b"$rd")
    getw_rhost = _or_null("rhost", b"$rd")
    get_fuser = _variable("fuser", b"$fU")
    gete_fuser = _or_empty("fuser", b"$fU")
    getw_fuser = _or_null("fuser", b"$fU")
    get_fhost = _variable("fhost", b"$fd")
    gete_fhost = _or_empty("fhost", b"$fd")
    getw_fhost = _or_null("fhost", b"$fd")
    get_tuser = _variable("tuser", b"$tU")
    gete_tuser = _or_empty("tuser", b"$tU")
    getw_tuser = _or_null("tuser", b"$tU")
    get_thost = _variable("thost", b"$td")
    gete_thost = _or_empty("thost", b"$td")
    getw_thost = _or_null("thost", b"$td")
    get_duri = _variable("duri", b"$du")
    gete_duri = _or_empty("duri", b"$du")
    getw_duri = _or_null("duri", b"$du")
    get_cturi = _variable("cturi", b"$ctu")
    gete_cturi = _or_empty("cturi", b"$ctu")
    getw_cturi = _or_null("cturi", b"$ctu")
    get_ua = _variable("ua", b"$ua")
    gete_ua = _or_empty("ua", b"$ua")
    getw_ua = _or_null("ua", b"$ua")
    get_au = _variable("au", b"$au")
    gete_au = _or_empty("au", b"$au")
    getw_au = _or_null("au", b"$au")

    @kemi("kx.get_status", native=())
    def get_status(self, context: Context) -> int:
        """Return the status of a reply, -1 for a request."""
        message = context.message
        return -1 if message.is_request else message.status

    @kemi("kx.gets_status", native=())
    def gets_status(self, context: Context) -> object:
        """Return the status of a reply as text, nil for a request."""
        message = context.message
        return None if message.is_request else b"%d" % message.status

    @kemi("kx.get_send_sock", native=())
    def get_send_sock(self, context: Context) -> object:
        """Return the forced send socket as `proto:host:port`, nil when there is none."""
        return context.socket.text if context.socket is not None else None

    @kemi("kx.get_send_sock_name", native=())
    def get_send_sock_name(self, context: Context) -> object:
        """Return the name of the forced send socket, nil when it has none."""
        return (context.socket.name or None) if context.socket is not None else None

    @kemi("kx.get_send_sock_port", native=())
    def get_send_sock_port(self, context: Context) -> int:
        """Return the port of the forced send socket, 0 when there is none."""
        return context.socket.port if context.socket is not None else 0

    @kemi("kx.get_rcv_sock_name", native=())
    def get_rcv_sock_name(self, context: Context) -> object:
        """Return the name of the socket the message came on, nil when it has none."""
        return context.source.local.name or None

    @kemi("kx.get_protoid", native=())
    def get_protoid(self, context: Context) -> int:
        """Return the number of the transport protocol (udp 1, tcp 2, tls 3, ...)."""
        value = self.services.variables.accessors[b"$prid"].get(context)
        return value if isinstance(value, int) else 0

    @kemi("kx.get_body", native=())
    def get_body(self, context: Context) -> object:
        """Return the body, nil when there is none."""
        return context.message.body or None

    @kemi("kx.gete_body", native=())
    def gete_body(self, context: Context) -> bytes:
        """Return the body, the empty string when there is none."""
        return context.message.body

    @kemi("kx.getw_body", native=())
    def getw_body(self, context: Context) -> bytes:
        """Return the body, `<null>` when there is none."""
        return context.message.body or b"<null>"

    @kemi("kx.get_bodylen", native=())
    def get_bodylen(self, context: Context) -> int:
        """Return the length of the body in octets."""
        return len(context.message.body)

    @kemi("kx.get_timestamp", native=())
    def get_timestamp(self, context: Context) -> int:
        """Return when the message came, in Unix seconds."""
        value = self.services.variables.accessors[b"$Ts"].get(context)
        return value if isinstance(value, int) else 0

    @kemi("kx.get_conid", native=())
    def get_conid(self, context: Context) -> int:
        """Return the id of the stream connection the message came on, -1 without one."""
        return context.source.connection_id or -1

    @kemi("kx.get_msgbuf", native=())
    def get_msgbuf(self, context: Context) -> bytes:
        """Return the message as received."""
        return context.message.data

    @kemi("kx.get_msglen", native=())
    def get_msglen(self, context: Context) -> int:
        """Return the length of the message as received, in octets."""
        return len(context.message.data)

    @kemi("kx.get_msgtype", native=())
    def get_msgtype(self, context: Context) -> int:
        """Return 1 for a request, 2 for a reply."""
        return 1 if context.message.is_request else 2

    @kemi("kx.get_def", native=())
    def get_def(self, context: Context, name: bytes) -> bytes:
        """Return the value of a `#!define`, empty when there is none."""
        return self.services.defines.get(name.decode("utf-8", "replace"), "").encode()

    @kemi("kx.get_defn", native=())
    def get_defn(self, context: Context, name: bytes) -> int:
        """Return the value of a `#!define` as a number, 0 when it is none."""
        return _number(self.get_def(context, name))

    @kemi("kx.ifdef", native=())
    def ifdef(self, context: Context, name: bytes) -> bool:
        """Whether there is a `#!define` of this name."""
        return name.decode("utf-8", "replace") in self.services.defines

    @kemi("kx.ifndef", native=())
    def ifndef(self, context: Context, name: bytes) -> bool:
        """Whether there is no `#!define` of this name."""
        return not self.ifdef(context, name)

    @kemi("kx.get_env", native=())
    def get_env(self, context: Context, name: bytes) -> bytes:
        """Return an environment variable, empty when it is unset."""
        return os.environb.get(name, b"")

    @kemi("kx.get_envn", native=())
    def get_envn(self, context: Context, name: bytes) -> int:
        """Return an environment variable as a number, 0 when it is none."""
        return _number(self.get_env(context, name))


def _number(text: bytes) -> int:
    stripped = text.strip(b'" \t')
    return int(stripped) if stripped.lstrip(b"-").isdigit() else 0
