from __future__ import annotations

import os
import time

import pytest

from kamailiod.modules.usrloc import Usrloc
from kamailiod.script.module import RpcFault, param_kinds
from shm import Binding
from tests.kamailiod.fakes import FakeServices


@pytest.fixture
def usrloc(services: FakeServices) -> Usrloc:
    module: Usrloc = services.load(Usrloc)
    services.start()
    return module


def binding(contact: bytes, q: int = -1, **fields: object) -> Binding:
    values: dict[str, object] = {
        "received": b"", "path": b"", "expires": 0, "call_id": b"c", "cseq": 1, "flags": 0,
        "cflags": 0, "user_agent": b"", "socket": b"", "methods": 1, "instance": b"", "reg_id": 0,
        "ruid": b"r", "connection_id": 0, "server_id": 0, "last_modified": 0.0, **fields,
    }  # fmt: skip
    return Binding(contact=contact, q=q, **values)  # type: ignore[arg-type]


def placed(usrloc: Usrloc, contacts: list[tuple[bytes, int]]) -> list[bytes]:
    bindings: list[Binding] = []
    for contact, q in contacts:
        old = usrloc.locations.matching(bindings, contact, b"c", b"")
        usrloc.locations.place(bindings, binding(contact, q), old)
    return [b.contact for b in bindings]


def test_order_by_q_and_then_age(usrloc: Usrloc) -> None:
    contacts = [(b"a", 100), (b"b", -1), (b"c", 900), (b"d", 100), (b"b", -1), (b"a", 100)]
    assert placed(usrloc, contacts) == [b"c", b"a", b"d", b"b"]
    assert placed(usrloc, [*contacts, (b"b", 950)]) == [b"b", b"c", b"a", b"d"]


def test_order_by_age_alone(services: FakeServices) -> None:
    usrloc = services.load(Usrloc, desc_time_order=1)
    services.start()
    assert placed(usrloc, [(b"a", 900), (b"b", 100), (b"c", 500), (b"a", 900)]) == [
        b"a",
        b"c",
        b"b",
    ]


@pytest.mark.parametrize(
    ("mode", "expected"), [(0, [0, 0, 0]), (1, [0, -1, 0]), (2, [0, 0, -1]), (3, [0, -1, 0])]
)
def test_matching_modes(services: FakeServices, mode: int, expected: list[int]) -> None:
    locations = services.load(Usrloc, matching_mode=mode)
    services.start()
    known = [binding(b"a", path=b"p")]
    matching = locations.locations.matching
    asked = [(b"a", b"c", b"p"), (b"a", b"x", b"p"), (b"a", b"c", b"x")]
    assert [matching(known, *contact) for contact in asked] == expected
    assert matching(known, b"a", b"c", b"") == 0, "without a Path it does not count"


def test_what_cannot_be_had_is_refused(services: FakeServices) -> None:
    with pytest.raises(ValueError, match="db_mode 5"):
        services.load(Usrloc, db_mode=5).mod_init()
    with pytest.raises(ValueError, match="not supported"):
        services.load(Usrloc, db_mode=1, db_url="oracle://h/x").mod_init()
    with pytest.raises(ValueError, match="matching_mode 9"):
        services.load(Usrloc, matching_mode=9).mod_init()


def test_the_modparams_are_kamailios() -> None:
    kinds = param_kinds(Usrloc.Params)
    assert kinds["preload"] == "list"
    assert kinds["hash_size"] == "int"
    assert set(Usrloc.without_effect) <= set(kinds)


def test_tables_are_known_to_all_processes(usrloc: Usrloc) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        usrloc.locations.table(b"aliases").update(b"bob", lambda _: [binding(b"sip:b@h")])
        os.write(writing, b"done")
        os._exit(0)
    assert os.read(reading, 4) == b"done"
    os.waitpid(child, 0)
    assert usrloc.locations.names() == [b"aliases"]
    assert usrloc.ul_db_users("aliases") == 1
    assert usrloc.locations.counts()["aliases"].contacts == 1


def test_expiry_in_the_timer_process(services: FakeServices, usrloc: Usrloc) -> None:
    now = int(time.time())
    old, live = binding(b"old", expires=now - 5), binding(b"live", expires=now + 500)
    table = usrloc.locations.table(b"location")
    table.update(b"alice", lambda _: [old, live])
    table.update(b"bob", lambda _: [old])
    assert usrloc.ul_db_expired_contacts("location") == 2
    expired: list[tuple[bytes, bytes, bytes]] = []
    usrloc.on_expired(lambda table, aor, contact: expired.append((table, aor, contact.contact)))
    usrloc.expire()
    assert usrloc.ul_db_expired_contacts("location") == 0
    assert [aor for aor, _ in table.items()] == [b"alice"]
    assert services.statistics.counts["usrloc:location-expires"] == 2
    assert sorted(expired) == [(b"location", b"alice", b"old"), (b"location", b"bob", b"old")]


def test_ruids_differ(usrloc: Usrloc) -> None:
    first, second = usrloc.locations.next_ruid(), usrloc.locations.next_ruid()
    assert first != second
    kind, started, process, number = first.decode().split("-")
    assert (kind, process, number) == ("uloc", f"{os.getpid():x}", "1")
    assert int(started, 16) <= time.time()


def test_commands(usrloc: Usrloc) -> None:
    usrloc.ul_add("location", "alice", "sip:a@h", 300, 0.5, "<sip:p;lr>", 0, 64, 15, "0", "0")
    usrloc.ul_add("location", "alice", "sip:b@h", 0)
    found = usrloc.ul_lookup("location", "alice")
    assert isinstance(found, dict)
    assert found["AoR"] == "alice"
    first, second = (contact["Contact"] for contact in found["Contacts"])
    assert (first["Address"], first["Q"], first["Path"]) == ("sip:a@h", 0.5, "<sip:p;lr>")
    assert 298 <= first["Expires"] <= 300
    assert (first["CFlags"], first["Methods"], first["Instance"]) == (64, 15, "[not set]")
    assert (second["Address"], second["Expires"]) == ("sip:b@h", "permanent")
    assert list(first) == [
        "Address", "Expires", "Q", "Call-ID", "CSeq", "User-Agent", "Received", "Path", "State",
        "Flags", "CFlags", "Socket", "Methods", "Ruid", "Instance", "Reg-Id", "Server-Id",
        "Tcpconn-Id", "Keepalive", "Last-Keepalive", "KA-Roundtrip", "Last-Modified",
    ]  # fmt: skip
    dump = usrloc.ul_dump()
    assert isinstance(dump, dict)
    domain = dump["Domains"][0]["Domain"]
    assert (domain["Domain"], domain["Stats"]) == ("location", {"Records": 1, "Max-Slots": 2})
    assert len(domain["AoRs"][0]["Info"]["Contacts"]) == 2
    brief = usrloc.ul_dump("brief")
    assert isinstance(brief, dict)
    contacts = brief["Domains"][0]["Domain"]["AoRs"][0]["Info"]["Contacts"]
    assert contacts[0] == {"Contact": {"Address": "sip:a@h"}}
    assert usrloc.ul_rm_contact("location", "alice", "sip:a@h") == ""
    with pytest.raises(RpcFault, match="Contact not found"):
        usrloc.ul_rm_contact("location", "alice", "sip:a@h")
    assert usrloc.ul_rm("location", "alice") == ""
    for command in (usrloc.ul_rm, usrloc.ul_lookup):
        with pytest.raises(RpcFault, match="AOR not found"):
            command("location", "alice")
    assert usrloc.ul_flush() == ""
