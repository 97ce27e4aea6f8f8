"""Trusted peers: rules of source address, transport protocol and patterns of From and Request-URI.

Owns matching; where rules come from is the module's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kamailiod.modules.access.errors import TableError
from kamailiod.modules.textops_functions.patterns import pattern
from kamailiod.net.address import PROTOCOL_IDS

ANY = b"any"

_NONE = b"none"
_PROTOCOLS = {ANY: 0, **PROTOCOL_IDS}


@dataclass(frozen=True, slots=True)
class TrustedRecord:
    """One record as written; patterns and tag may be missing."""

    source: str
    protocol: str
    from_pattern: str | None
    uri_pattern: str | None
    tag: str | None
    priority: int


@dataclass(frozen=True, slots=True)
class Peer:
    """What a request tells of who sent it."""

    source: bytes
    protocol: bytes
    from_uri: bytes
    uri: bytes


class TrustedRule:
    """A record made ready to match."""

    __slots__ = ("_from", "_protocol", "_uri", "record", "tag")

    def __init__(self, record: TrustedRecord) -> None:
        self.record = record
        self.tag = (record.tag or "").encode()
        self._protocol = record.protocol.lower().encode()
        self._from = _compiled(record, record.from_pattern)
        self._uri = _compiled(record, record.uri_pattern)
        if self._protocol not in _PROTOCOLS:
            raise TableError(f"{record.source}: protocol {record.protocol} is not known")

    @property
    def protocol_id(self) -> int:
        """Kamailio's number of the protocol, 0 for any."""
        return _PROTOCOLS[self._protocol]

    @property
    def is_none(self) -> bool:
        """Whether the rule fits no request at all."""
        return self._protocol == _NONE

    def fits(self, peer: Peer) -> bool:
        """Whether protocol and patterns fit; a peer of protocol ANY fits each but none."""
        if self._protocol not in (ANY, peer.protocol) and peer.protocol != ANY:
            return False
        if self._from is not None and not self._from.search(peer.from_uri):
            return False
        return self._uri is None or self._uri.search(peer.uri) is not None


class TrustedTable:
    """All rules, those of a source by falling priority; raises TableError for a bad record."""

    def __init__(self, records: Iterable[TrustedRecord]) -> None:
        rules = [rule for rule in map(TrustedRule, records) if not rule.is_none]
        self.rules = sorted(rules, key=lambda rule: -rule.record.priority)
        self._by_source: dict[bytes, list[TrustedRule]] = {}
        for rule in self.rules:
            self._by_source.setdefault(rule.record.source.encode(), []).append(rule)

    def tags(self, peer: Peer) -> list[bytes]:
        """Return the tags, empty for none, of all rules that a peer fits, in their order."""
        return tags(self._by_source.get(peer.source, ()), peer)


def tags(rules: Iterable[TrustedRule], peer: Peer) -> list[bytes]:
    """Return the tags of those of the rules that a peer fits."""
    return [rule.tag for rule in rules if rule.fits(peer)]


def rules_of_rows(source: str, rows: Sequence[Sequence[object]]) -> list[TrustedRule]:
    """Return the rules of a query for one source, by rising priority, as databases order them.

    Rows are protocol, both patterns, tag and priority; those that cannot be used are left out.
    """
    rules = []
    for row in rows:
        try:
            rule = TrustedRule(trusted_record((source, *row)))
        except TableError:
            continue
        if not rule.is_none:
            rules.append(rule)
    return sorted(rules, key=lambda rule: rule.record.priority)


def trusted_record(row: Sequence[object]) -> TrustedRecord:
    """Return the record of a row: source, protocol, both patterns, tag, priority."""
    source, protocol, from_pattern, uri_pattern, tag, priority = row
    if not isinstance(source, str) or not isinstance(protocol, str):
        raise TableError(f"{source}: source or protocol is no text")
    if priority is not None and not isinstance(priority, int):
        raise TableError(f"{source}: priority {priority} is no number")
    return TrustedRecord(
        source, protocol, _text(from_pattern), _text(uri_pattern), _text(tag), priority or 0
    )


def is_protocol(name: bytes) -> bool:
    """Whether a script may ask for this protocol, in lower case."""
    return name in _PROTOCOLS and name != _NONE


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _compiled(record: TrustedRecord, text: str | None) -> re.Pattern[bytes] | None:
    if not text:
        return None
    compiled = pattern(text.encode(), ignore_case=False, newlines=False)
    if compiled is None:
        raise TableError(f"{record.source}: {text} is no regular expression")
    return compiled
