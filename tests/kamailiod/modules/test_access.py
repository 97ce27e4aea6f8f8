"""Tables and rules of permissions by themselves, with what Kamailio 5.6.3 made of the same ones."""

from __future__ import annotations

import ipaddress
import random

import pytest

from kamailiod.modules.access.address_file import read_addresses
from kamailiod.modules.access.address_table import AddressRecord, AddressTable
from kamailiod.modules.access.errors import TableError
from kamailiod.modules.access.record_source import address_record
from kamailiod.modules.access.rule_file import RuleFile
from kamailiod.modules.access.rule_files import plain_uri
from kamailiod.modules.access.trusted_table import (
    Peer,
    TrustedRecord,
    TrustedTable,
    rules_of_rows,
    trusted_record,
)


def table(*records: tuple[int, str, int, int, str | None], most: int = 512) -> AddressTable:
    return AddressTable([AddressRecord(*record) for record in records], most)


def test_the_last_single_address_and_the_first_subnet_win() -> None:
    found = table(
        (1, "127.0.0.1", 32, 0, "a"), (9, "127.0.0.1", 32, 0, "again"),
        (4, "10.1.2.0", 24, 0, "x24"), (2, "10.0.0.0", 8, 0, "ten"), (2, "10.1.0.0", 16, 0, "t16"),
    )  # fmt: skip
    assert found.find(b"127.0.0.1", 5) == (9, b"again")
    assert found.find(b"127.0.0.1", 5, 1) == (1, b"a")
    assert found.find(b"10.1.2.3", 5) == (2, b"ten")
    assert found.find(b"10.1.2.3", 5, 4) == (4, b"x24")
    assert found.find(b"10.1.2.3", 5, 5) is None
    assert [record.group for record in found] == [1, 9, 2, 2, 4]


@pytest.mark.parametrize("bits", [32, 128])
def test_subnets_are_what_ipaddress_says(bits: int) -> None:
    rng = random.Random(bits)
    make = ipaddress.IPv4Address if bits == 32 else ipaddress.IPv6Address
    nets = [(make(rng.getrandbits(bits)), rng.randrange(1, bits)) for _ in range(60)]
    found = table(*((n + 1, str(ip), prefix, 0, None) for n, (ip, prefix) in enumerate(nets)))
    for _ in range(300):
        near, _ = rng.choice(nets)
        flipped = int(near) ^ (1 << rng.randrange(bits))
        host = make(flipped)
        groups = [
            n + 1
            for n, (ip, prefix) in enumerate(nets)
            if host in ipaddress.ip_network((int(ip), prefix), strict=False)
        ]
        match = found.find(str(host).encode(), 5060)
        assert (match.group if match else None) == (groups[0] if groups else None)


@pytest.mark.parametrize(
    "record",
    [
        (0, "9.9.9.9", 32, 0, None),
        (5, "1.1.1.1", 33, 0, None),
        (5, "::1", 129, 0, None),
        (5, "1.1.1.1", -1, 0, None),
    ],
)
def test_bad_addresses(record: tuple[int, str, int, int, None]) -> None:
    with pytest.raises(TableError):
        table(record)


def test_too_many_subnets() -> None:
    with pytest.raises(TableError, match="max_subnets"):
        table((1, "10.0.0.0", 8, 0, None), (1, "11.0.0.0", 8, 0, None), most=1)


def test_the_address_file() -> None:
    text = """# comment
1 127.0.0.1 32 0 tag1
1 10.0.0.10      # comment

x 1.1.1.1
0 9.9.9.9
10 fe80:: 10 0 two words
"""
    assert list(read_addresses(text.splitlines(), "f")) == [
        AddressRecord(1, "127.0.0.1", 32, 0, "tag1"), AddressRecord(1, "10.0.0.10", 0, 0, None),
        AddressRecord(10, "fe80::", 10, 0, "two"),
    ]  # fmt: skip
    for bad in ("8", "1 1.1.1.1 x", "1 1.1.1.1 32 y"):
        with pytest.raises(TableError, match="f:2"):
            list(read_addresses(["", bad], "f"))


@pytest.mark.parametrize(
    "row",
    [
        (None, "1.1.1.1", 32, 0, None),
        (1, None, 32, 0, None),
        (1, "1.1.1.1", None, 0, None),
        (1, "1.1.1.1", 32, "x", None),
    ],
)
def test_bad_rows_of_addresses(row: tuple[object, ...]) -> None:
    with pytest.raises(TableError):
        address_record(row)


def trusted(*records: tuple[str, str, str | None, str | None, str | None, int]) -> TrustedTable:
    return TrustedTable([TrustedRecord(*record) for record in records])


TRUSTED = trusted(
    ("127.0.0.1", "udp", "^sip:alice@.*", None, "t1", 0),
    ("127.0.0.1", "any", None, "^sip:9.*", "t2", 5),
    ("127.0.0.2", "tcp", None, None, "t3", 0),
    ("127.0.0.3", "none", None, None, "t4", 0),
    ("127.0.0.4", "any", None, None, None, 1),
)


@pytest.mark.parametrize(
    ("source", "protocol", "sender", "uri", "expected"),
    [
        (b"127.0.0.1", b"udp", b"sip:alice@x", b"sip:9@y", [b"t2", b"t1"]),
        (b"127.0.0.1", b"udp", b"sip:carl@x", b"sip:9@y", [b"t2"]),
        (b"127.0.0.1", b"udp", b"sip:alice@x", b"sip:8@y", [b"t1"]),
        (b"127.0.0.1", b"udp", b"SIP:Alice@x", b"sip:8@y", []),
        (b"127.0.0.1", b"tcp", b"sip:alice@x", b"sip:8@y", []),
        (b"127.0.0.1", b"any", b"sip:alice@x", b"sip:8@y", [b"t1"]),
        (b"127.0.0.2", b"udp", b"", b"", []),
        (b"127.0.0.2", b"any", b"", b"", [b"t3"]),
        (b"127.0.0.3", b"any", b"", b"", []),
        (b"127.0.0.4", b"udp", b"", b"", [b""]),
        (b"127.0.0.5", b"udp", b"", b"", []),
    ],
)
def test_trusted_peers(
    source: bytes, protocol: bytes, sender: bytes, uri: bytes, expected: list[bytes]
) -> None:
    assert TRUSTED.tags(Peer(source, protocol, sender, uri)) == expected


def test_bad_trusted_records() -> None:
    for bad in (("1.1.1.1", "smoke", None, None, None, 0), ("1.1.1.1", "any", "(", None, None, 0)):
        with pytest.raises(TableError):
            trusted(bad)
    with pytest.raises(TableError):
        trusted_record((None, "any", None, None, None, 0))
    with pytest.raises(TableError):
        trusted_record(("1.1.1.1", "any", None, None, None, "x"))
    rows = [("any", None, None, "b", 2), ("smoke", None, None, "c", 0), ("any", "", "", "a", 1)]
    assert [rule.tag for rule in rules_of_rows("1.1.1.1", rows)] == [b"a", b"b"]


RULES = RuleFile(
    rb'''# rules
"^sip:alice@.*" : "^sip:9.*", "^sip:8.*"   # comment
ALL : "^sip:100@.*"
"^sip:bob" EXCEPT "^sip:bob2" : ALL EXCEPT "^sip:secret", "^sip:hid"
^sip:carl@x : ALL
"^sip:dave" "^sip:dan" : ALL
"^sip:erin#" : "^sip:(6|7)"
all : "^sip:200@"
"^sip:frank
"^sip:gus" :
: "^sip:300"
ALL, : ALL
ALL : "("
'''.splitlines()
)


def test_faults_of_a_rule_file_do_not_count() -> None:
    assert RULES.faults == [6, 9, 10, 11, 12, 13]
    assert len(RULES.rules) == 6


@pytest.mark.parametrize(
    ("asker", "asked", "expected"),
    [
        (b"sip:alice@x", b"sip:9", True),
        (b"SIP:ALICE@x", b"sip:8", True),
        (b"sip:alice@x", b"sip:5", False),
        (b"sip:z@x", b"sip:100@q", True),
        (b"sip:bob@x", b"sip:1", True),
        (b"sip:bob2@x", b"sip:1", False),
        (b"sip:bob@x", b"sip:secret", False),
        (b"sip:bob@x", b"sip:hidden", False),
        (b"sip:carl@x", b"sip:1", True),
        (b"sip:dan@x", b"sip:1", False),
        (b"sip:erin#", b"sip:6", True),
        (b"sip:z@x", b"sip:200@q", False),
        (b"sip:frank@x", b"sip:1", False),
    ],
)
def test_rules(asker: bytes, asked: bytes, expected: bool) -> None:
    assert RULES.fit(asker, asked) is expected


def test_a_hostile_rule_line_is_read_in_a_moment() -> None:
    assert RuleFile([b'"' * 20000, b"a:" * 20000, b"a " * 20000 + b":", b"," * 20000]).faults


@pytest.mark.parametrize(
    ("uri", "plain"),
    [
        (b"sip:9@127.0.0.1:45863;param=2", b"sip:9@127.0.0.1"),
        (b"sips:host;x", b"sips:host"),
        (b"nonsense", b"nonsense"),
    ],
)
def test_plain_uris(uri: bytes, plain: bytes) -> None:
    assert plain_uri(uri) == plain
