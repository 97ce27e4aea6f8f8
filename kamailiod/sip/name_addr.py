"""name-addr and addr-spec with header parameters: From, To, Contact, Route and their kin.

Owns the grammar of RFC 3261 sections 20.10, 20.20, 20.34 and 20.39; knows nothing of messages.
"""

from __future__ import annotations

import re
from functools import lru_cache

from kamailiod.sip.uri import Uri, parameter_value, parse_uri

# name-addr = [ display-name ] LAQUOT addr-spec RAQUOT
# display-name = *( token LWS ) / quoted-string;  no LWS is needed before "<" (RFC 4475 3.1.1.6).
# Without "<>" everything from the first semicolon on are header parameters (RFC 3261 20).
# Possessive throughout: no two parts can match the same octets, so nothing is tried twice.
_ELEMENT = re.compile(
    rb"\s*+(?:"
    rb"(\"(?:[^\"\\]|\\.)*+\"\s*+|[^<>\",;:@]*+)<([^<>]*+)>"
    rb"|([^\s,;<>\"]++)"
    rb")\s*+((?:;(?:[^,;\"<>]|\"(?:[^\"\\]|\\.)*+\"|<[^<>]*+>)*+)*+)"
)
_SEPARATOR = re.compile(rb"\s*,\s*")


class NameAddr:
    """One address: display name as written (quotes kept), URI text, raw parameters."""

    __slots__ = ("display", "parameters", "uri_text")

    def __init__(self, display: bytes, uri_text: bytes, parameters: bytes) -> None:
        self.display = display
        self.uri_text = uri_text
        self.parameters = parameters

    @property
    def uri(self) -> Uri | None:
        """The parsed URI, None when it is malformed."""
        return parse_uri(self.uri_text)

    @property
    def tag(self) -> bytes:
        """The tag parameter, empty when absent."""
        return parameter_value(self.parameters, b"tag") or b""

    def parameter(self, name: bytes) -> bytes | None:
        """Return a header parameter's value, b"" without value, None when absent."""
        return parameter_value(self.parameters, name)

    def __bytes__(self) -> bytes:
        display = self.display + b" " if self.display else b""
        return b"%s<%s>%s" % (display, self.uri_text, self.parameters)


@lru_cache(maxsize=512)
def parse_name_addr(value: bytes) -> NameAddr | None:
    """Parse a body that must hold exactly one address; None when it is malformed."""
    match = _ELEMENT.match(value)
    if match is None or match.end() != len(value):
        return None
    return _from_match(match)


@lru_cache(maxsize=512)
def parse_addresses(value: bytes) -> tuple[NameAddr, ...]:
    """Parse a comma-joined list of addresses; empty when any of it is malformed."""
    addresses = []
    position = 0
    while True:
        match = _ELEMENT.match(value, position)
        if match is None:
            return ()
        addresses.append(_from_match(match))
        position = match.end()
        if position == len(value):
            return tuple(addresses)
        separator = _SEPARATOR.match(value, position)
        if separator is None:
            return ()
        position = separator.end()


def _from_match(match: re.Match[bytes]) -> NameAddr:
    display, bracketed, plain, parameters = match.groups()
    uri_text = plain if bracketed is None else bracketed.strip()
    return NameAddr((display or b"").strip(), uri_text, parameters.rstrip())
