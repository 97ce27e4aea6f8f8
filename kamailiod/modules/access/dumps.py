"""The tables of permissions as its commands show them."""

from __future__ import annotations

from kamailiod.modules.access.address_table import AddressRecord, AddressTable
from kamailiod.modules.access.trusted_table import TrustedTable

_NULL = "NULL"
_SLOT = 0
"""Stands where Kamailio shows the slot of its hash table."""


def address_dump(table: AddressTable) -> list[object]:
    """Return the single addresses."""
    return [_item(record, "ip") for record in table.hosts]


def domain_dump(table: AddressTable) -> list[object]:
    """Return the domain names."""
    return [_item(record, "domain_name") for record in table.names]


def subnet_dump(table: AddressTable) -> list[object]:
    """Return the subnets, in the order in which they are looked at."""
    return [
        {
            "id": number, "group": record.group,
            "item": {
                "ip": record.address, "mask": record.mask, "port": record.port,
                "tag": record.tag or "",
            },
        }
        for number, record in enumerate(table.subnets)
    ]  # fmt: skip


def trusted_dump(table: TrustedTable) -> list[object]:
    """Return the rules for trusted peers."""
    return [
        {
            "table": _SLOT,
            "item": {
                "ip": rule.record.source, "proto": rule.protocol_id,
                "pattern": rule.record.from_pattern or _NULL,
                "ruri_pattern": rule.record.uri_pattern or _NULL,
                "tag": rule.record.tag or _NULL, "priority": rule.record.priority,
            },
        }
        for rule in table.rules
    ]  # fmt: skip


def _item(record: AddressRecord, name: str) -> object:
    item = {name: record.address.strip("[]"), "port": record.port, "tag": record.tag or _NULL}
    return {"table": _SLOT, "group": record.group, "item": item}
