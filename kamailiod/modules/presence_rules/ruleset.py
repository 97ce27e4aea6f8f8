"""Presence authorization rules (RFC 4745, RFC 5025): what a document says of one watcher.

Owns the reading of rule documents; where they are kept is not its business.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import IntEnum
from xml.etree import ElementTree


class Status(IntEnum):
    """A subscription's state, by the numbers of Kamailio's presence module."""

    ACTIVE = 1
    PENDING = 2
    TERMINATED = 3


class RulesError(Exception):
    """A document that is no set of rules."""


_STATUS = {
    "block": Status.TERMINATED, "confirm": Status.PENDING,
    "polite-block": Status.ACTIVE, "allow": Status.ACTIVE,
}  # fmt: skip


def status_of(document: str, user: str, domain: str, now: datetime) -> Status:
    """Return what the first rule that holds for a watcher grants; PENDING when none does.

    Raises RulesError for what cannot be read.
    """
    try:
        root = ElementTree.fromstring(document)
        rules = list(_named(root, "rule"))
        rule = next((found for found in rules if _holds(found, user, domain, now)), None)
    except (ElementTree.ParseError, ValueError) as error:
        raise RulesError(str(error)) from None
    if rule is None:
        return Status.PENDING
    handling = next((h for a in _named(rule, "actions") for h in _named(a, "sub-handling")), None)
    if handling is None:
        return Status.PENDING
    status = _STATUS.get((handling.text or "").strip())
    if status is None:
        raise RulesError(f"no way to handle a subscription: {(handling.text or '')[:32]}")
    return status


def _holds(rule: ElementTree.Element, user: str, domain: str, now: datetime) -> bool:
    conditions = next(_named(rule, "conditions"), None)
    if conditions is None:
        return False
    validity = next(_named(conditions, "validity"), None)
    if validity is not None and not _is_valid(validity, now):
        return False
    identity = next(_named(conditions, "identity"), None)
    return identity is not None and _is_identity(identity, f"sip:{user}@{domain}", domain)


def _is_valid(validity: ElementTree.Element, now: datetime) -> bool:
    starts, ends = _named(validity, "from"), _named(validity, "until")
    return any(
        _moment(start) <= now <= _moment(end) for start, end in zip(starts, ends, strict=True)
    )


def _moment(element: ElementTree.Element) -> datetime:
    return datetime.fromisoformat((element.text or "").strip()).astimezone()


def _is_identity(identity: ElementTree.Element, uri: str, domain: str) -> bool:
    if any(one.get("id") == uri for one in _named(identity, "one")):
        return True
    return any(
        many.get("domain") in (None, domain) and not _is_excepted(many, uri, domain)
        for many in _named(identity, "many")
    )


def _is_excepted(many: ElementTree.Element, uri: str, domain: str) -> bool:
    return any(
        exception.get("id") == uri or exception.get("domain") == domain
        for exception in _named(many, "except")
    )


def _named(parent: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    # Kamailio looks at local names only, and so do documents that forget a namespace.
    return (child for child in parent if child.tag.rpartition("}")[2] == name)
