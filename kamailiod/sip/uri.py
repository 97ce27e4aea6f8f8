"""SIP, SIPS and tel URIs: parsing, parts, comparison.

Owns the grammar of RFC 3261 section 19.1; knows nothing of headers or messages.
"""

from __future__ import annotations

import re
from functools import lru_cache

# SIP-URI = "sip:" [ userinfo ] hostport uri-parameters [ headers ]     (RFC 3261 25.1)
# The user part may hold ";" and "?" (user-unreserved), so everything up to the last "@" before
# the host is userinfo.  A host is a name, an IPv4 address or "[" IPv6 "]".
_SIP_URI = re.compile(
    rb"(?i:(sips?)):"
    rb"(?:([^@:\s<>\"]*)(?::([^@\s<>\"]*))?@)?"
    rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+)"
    rb"(?::([0-9]{0,5}))?"
    rb"((?:;[^;?\s<>@\"]*)*)"
    rb"(?:\?([^\s<>\"]*))?\Z"
)
_TEL_URI = re.compile(rb"(?i:tel):([^;?\s<>@\"]+)((?:;[^;?\s<>@\"]*)*)\Z")
_ANY_URI = re.compile(rb"([A-Za-z][A-Za-z0-9+.\-]*):([^\s<>\"]+)\Z")

DEFAULT_PORTS = {b"udp": 5060, b"tcp": 5060, b"sctp": 5060, b"tls": 5061, b"ws": 80, b"wss": 443}


class Uri:
    """One parsed URI; every part is bytes, absent parts are empty and an absent port is 0."""

    __slots__ = ("headers", "host", "parameters", "password", "port", "scheme", "text", "user")

    def __init__(
        self,
        text: bytes,
        scheme: bytes,
        user: bytes,
        password: bytes,
        host: bytes,
        port: int,
        parameters: bytes,
        headers: bytes,
    ) -> None:
        self.text = text
        self.scheme = scheme
        self.user = user
        self.password = password
        self.host = host
        self.port = port
        self.parameters = parameters
        self.headers = headers

    @property
    def is_sip(self) -> bool:
        """Whether the scheme is one this server routes by itself: sip or sips."""
        return self.scheme in (b"sip", b"sips")

    def parameter(self, name: bytes) -> bytes | None:
        """Return a URI parameter's value, b"" for one without a value, None when absent."""
        return parameter_value(self.parameters, name)

    @property
    def transport(self) -> bytes:
        """The transport that the URI names, lower case; tls for sips; empty when it names none."""
        named = self.parameter(b"transport") if self.parameters else None
        if named:
            named = named.lower()
            if self.scheme == b"sips":
                return {b"tcp": b"tls", b"ws": b"wss"}.get(named, named)
            return named
        return b"tls" if self.scheme == b"sips" else b""

    @property
    def effective_port(self) -> int:
        """The port, or the default port of the URI's transport (RFC 3261 19.1.2)."""
        return self.port or DEFAULT_PORTS.get(self.transport or b"udp", 5060)

    @property
    def bare_host(self) -> bytes:
        """The host without the brackets of an IPv6 reference."""
        return self.host[1:-1] if self.host[:1] == b"[" else self.host

    def with_parts(
        self,
        user: bytes | None = None,
        host: bytes | None = None,
        port: int | None = None,
        parameters: bytes | None = None,
    ) -> bytes:
        """Return the text of this URI with some parts replaced; the others keep their bytes."""
        new_user = self.user if user is None else user
        credentials = new_user
        if new_user and self.password and user is None:
            credentials = new_user + b":" + self.password
        new_port = self.port if port is None else port
        return b"".join(
            (
                self.scheme,
                b":",
                credentials + b"@" if credentials else b"",
                self.host if host is None else host,
                b":%d" % new_port if new_port else b"",
                self.parameters if parameters is None else parameters,
                b"?" + self.headers if self.headers else b"",
            )
        )

    def __repr__(self) -> str:
        return f"Uri({self.text!r})"


@lru_cache(maxsize=1024)
def parse_uri(text: bytes) -> Uri | None:
    """Parse any URI; None when it is none (also a sip URI with a bad host or port).

    A URI of another scheme than sip, sips and tel keeps everything behind the colon as its host.
    """
    match = _SIP_URI.match(text)
    if match is not None:
        scheme, user, password, host, port, parameters, headers = match.groups()
        number = int(port) if port else 0
        if number > 65535 or (host[:1] == b"[" and not _plausible_ipv6(host)):
            return None
        return Uri(
            text,
            scheme.lower(),
            user or b"",
            password or b"",
            host,
            number,
            parameters,
            headers or b"",
        )
    match = _TEL_URI.match(text)
    if match is not None:
        return Uri(text, b"tel", match.group(1), b"", b"", 0, match.group(2), b"")
    match = _ANY_URI.match(text)
    if match is None or match.group(1).lower() in (b"sip", b"sips", b"tel"):
        return None
    return Uri(text, match.group(1).lower(), b"", b"", match.group(2), 0, b"", b"")


def parameter_value(parameters: bytes, name: bytes) -> bytes | None:
    """Return the value of one `;name=value` parameter, b"" without value, None when absent.

    Names are compared without case (RFC 3261 7.3.1); a quoted value may hold semicolons.
    """
    if not parameters:
        return None
    if b'"' in parameters:
        return _beside_quotes(parameters, name.lower())
    match = _parameter_pattern(name).search(parameters)
    if match is None:
        return None
    value: bytes | None = match.group(1)
    return b"" if value is None else value


@lru_cache(maxsize=512)
def _parameter_pattern(name: bytes) -> re.Pattern[bytes]:
    return re.compile(
        rb";\s*+" + re.escape(name) + rb"\s*+(?:=\s*+([^;\s,]*+))?\s*+(?=;|,|\Z)",
        re.IGNORECASE,
    )


_PARAMETER = re.compile(
    rb";\s*+([^\s;=,\"]++)\s*+(?:=\s*+(\"(?:[^\"\\]|\\.)*+\"|[^;\s,]*+))?", re.DOTALL
)


def _beside_quotes(parameters: bytes, name: bytes) -> bytes | None:
    # What looks like a parameter within a quoted value is none: each is read from its beginning.
    for match in _PARAMETER.finditer(parameters):
        found, value = match.groups()
        if found.lower() == name:
            if value is None:
                return b""
            quoted = len(value) > 1 and value[:1] == b'"' and value[-1:] == b'"'
            return bytes(value[1:-1] if quoted else value)
    return None


def _plausible_ipv6(host: bytes) -> bool:
    # Three colons in a row come from the ABNF bug that RFC 5118 4.10 asks to tolerate.
    return host.count(b":") >= 2 and host.count(b"::") <= 2


def unescape(text: bytes) -> bytes:
    """Decode %HH once (RFC 3261 19.1.4); anything else stays as it is."""
    if b"%" not in text:
        return text
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes((int(m.group(1), 16),)), text)
