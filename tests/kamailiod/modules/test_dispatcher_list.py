"""dispatcher: where destinations come from, and the commands on them."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from kamailiod.modules.dispatcher import Dispatcher
from kamailiod.modules.dispatching.destination import Sockets
from kamailiod.modules.dispatching.list_file import ListError, read_list
from kamailiod.modules.dispatching.publication import Publication
from kamailiod.script.module import RpcFault
from kamailiod.script.table_layouts import create_tables
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.modules.dispatcher_setup import Balanced


@pytest.fixture
def balanced(services: FakeServices, tmp_path: Path) -> Balanced:
    return Balanced(services, tmp_path, reload_delta=0)


def reload(balanced: Balanced) -> object:
    return asyncio.run(balanced.module.rpc_reload())


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.list"
    path.write_text(
        "# all\n\n  1   sip:h1  \n2 sips:h2:5061;transport=tcp 8 -5 a=b;c=#d # behind\n"
        "3 sip:h3 # no flags\nx sip:h4\n5 tel:+1\n6\n7 sip:h7 y\n8 sip:h8 1 2 #none\n"
    )
    entries, faults = read_list(str(path), strict=False)
    assert [(e.set_id, e.uri, e.flags, e.priority, e.attributes) for e in entries] == [
        (1, b"sip:h1", 0, 0, b""), (2, b"sips:h2:5061;transport=tcp", 8, -5, b"a=b;c=#d"),
        (3, b"sip:h3", 0, 0, b""), (8, b"sip:h8", 1, 2, b""),
    ]  # fmt: skip
    assert [fault.split(":")[1] for fault in faults] == ["6", "7", "8", "9"]
    with pytest.raises(ListError, match=":6:"):
        read_list(str(path), strict=True)


def test_no_list_is_no_reason_not_to_start(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(services, tmp_path, list_file=str(tmp_path / "none"))
    assert any("cannot read the list file" in line for line in services.lines)
    assert balanced.call("ds_select_dst(1, 4)") == -1
    assert balanced.call("ds_reload()") == -1
    assert balanced.module.rpc_list() == {"NRSETS": 0, "RECORDS": []}


def test_bad_lines_are_left_out_or_all(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(services, tmp_path, "1 sip:h:1\n1 nonsense\n")
    assert balanced.states(1) == {1: "AX"}
    assert any("not a destination" in line for line in services.lines)
    services.modules.pop(Dispatcher)
    strict = Balanced(services, tmp_path, "1 sip:h:1\n1 nonsense\n", ds_load_mode=1)
    assert strict.call("ds_list_exists(1)") == -1


def test_a_socket_that_is_none_of_ours_is_named(services: FakeServices, tmp_path: Path) -> None:
    lines = "1 sip:h:1 0 0 socket=udp:10.9.9.9:5060\n1 sip:h:2 0 0 sockname=outside\n"
    balanced = Balanced(services, tmp_path, lines)
    assert sum("no local socket" in line for line in services.lines) == 1
    assert balanced.destination(1, 1).socket is None


def test_attributes_of_those_without(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(services, tmp_path, "1 sip:h:1\n", ds_attrs_none=1)
    assert balanced.destination(1, 1).attributes == b"none"


def test_a_list_in_kamailios_shape(services: FakeServices, tmp_path: Path) -> None:
    """As dispatcher.list of 5.6.3 answered over JSON-RPC."""
    attributes = "duid=a;maxload=10;weight=30;rweight=10"
    lines = f"1 sip:127.0.0.1:7002\n1 sip:127.0.0.1:7001 0 0 {attributes}\n"
    balanced = Balanced(services, tmp_path, lines, ds_hash_size=4)
    assert balanced.module.rpc_list() == {
        "NRSETS": 1,
        "RECORDS": [{"SET": {"ID": 1, "TARGETS": [
            {"DEST": {
                "URI": "sip:127.0.0.1:7001", "FLAGS": "AX", "PRIORITY": 0,
                "ATTRS": {
                    "BODY": "duid=a;maxload=10;weight=30;rweight=10", "DUID": "a",
                    "MAXLOAD": 10, "WEIGHT": 30, "RWEIGHT": 10, "SOCKET": None,
                    "SOCKNAME": None, "OBPROXY": None,
                },
                "RUNTIME": {"DLGLOAD": 0},
            }},
            {"DEST": {
                "URI": "sip:127.0.0.1:7002", "FLAGS": "AX", "PRIORITY": 0,
                "RUNTIME": {"DLGLOAD": 0},
            }},
        ]}}],
    }  # fmt: skip
    full: Any = balanced.module.rpc_list("full")
    shown = full["RECORDS"][0]["SET"]["TARGETS"][1]["DEST"]
    assert (shown["HOST"], shown["PORT"], shown["PROTOID"]) == ("127.0.0.1", 7002, 0)


def test_a_reload_starts_anew(balanced: Balanced) -> None:
    balanced.module.rpc_set_state("i", 4, "sip:127.0.0.1:7015")
    balanced.file.write_text("4 sip:127.0.0.1:7015\n6 sip:127.0.0.1:7016 1\n")
    assert reload(balanced) == "Ok. Dispatcher successfully reloaded."
    assert balanced.states(4) == {7015: "AX"}
    assert balanced.states(6) == {7016: "IX"}
    assert balanced.call("ds_list_exists(1)") == -1
    assert balanced.call("ds_select_dst(6, 4)") == -1


def test_a_reload_that_fails_changes_nothing(balanced: Balanced) -> None:
    balanced.file.unlink()
    with pytest.raises(RpcFault):
        reload(balanced)
    assert balanced.call("ds_reload()") == -1
    assert len(balanced.states(4)) == 5


def test_reloads_reuse_their_slots(balanced: Balanced) -> None:
    slots = []
    for _ in range(5):
        assert balanced.call("ds_reload()") == 1
        slots.append({one.slot for one in balanced.module.balancer.sets().by_slot.values()})
    assert slots[0] == slots[2] == slots[4]
    assert not slots[0] & slots[1]


def test_more_destinations_than_can_be(balanced: Balanced) -> None:
    balanced.file.write_text("".join(f"1 sip:h:{port}\n" for port in range(1, 9000)))
    assert balanced.call("ds_reload()") == -1
    assert any("no room" in line for line in balanced.services.lines)
    assert len(balanced.states(4)) == 5


def test_adding_and_removing_keeps_the_others(balanced: Balanced) -> None:
    module = balanced.module
    module.rpc_set_state("i", 4, "sip:127.0.0.1:7014")
    assert module.rpc_add(4, "sip:127.0.0.1:7020") == "Ok. Dispatcher destination added."
    assert module.rpc_add(4, "sip:127.0.0.1:7021", 8, 7, "duid=zz") == module.rpc_add(6, "sip:h:1")
    assert balanced.states(4) == {
        7021: "AP", 7020: "AX", 7015: "AX", 7014: "IX", 7013: "AX", 7012: "AX", 7011: "AX",
    }  # fmt: skip
    assert list(balanced.states(4))[:2] == [7021, 7020]
    assert balanced.destination(4, 7021).duid == b"zz"
    assert balanced.states(6) == {1: "AX"}
    assert module.rpc_remove(4, "SIP:127.0.0.1:7020") == "Ok. Dispatcher destination removed."
    assert module.rpc_remove(6, "sip:h:1") == module.rpc_remove(9, "sip:h:1")
    assert 7020 not in balanced.states(4)
    assert balanced.states(4)[7014] == "IX"
    assert balanced.call("ds_list_exists(6)") == -1
    with pytest.raises(RpcFault):
        module.rpc_add(4, "nonsense")


def test_changes_follow_each_other_not_too_fast(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(services, tmp_path)
    balanced.module.rpc_add(4, "sip:h:1")
    for again in (
        lambda: balanced.module.rpc_add(4, "sip:h:2"),
        lambda: balanced.module.rpc_remove(4, "sip:h:1"), lambda: reload(balanced),
    ):  # fmt: skip
        with pytest.raises(RpcFault, match="Ongoing reload"):
            again()


def test_setting_states(balanced: Balanced) -> None:
    module = balanced.module
    for state, letters in (("ip", "IP"), ("tp", "TP"), ("d", "DX"), ("dp", "DX"), ("a", "AX")):
        module.rpc_set_state(state, 4, "SIP:127.0.0.1:7015")
        assert balanced.states(4)[7015] == letters
    assert module.rpc_set_state("i", 4, "all") == "Ok. Dispatcher state updated."
    assert set(balanced.states(4).values()) == {"IX"}
    assert module.rpc_set_state("a", 9, "all") == "Ok. Dispatcher state updated."
    module.rpc_set_duid_state("i", 1, "a")
    assert balanced.states(1) == {7003: "AX", 7002: "AX", 7001: "IX"}
    assert balanced.services.script.events == []


@pytest.mark.parametrize(
    ("state", "group", "address", "message"),
    [
        ("x", 4, "all", "Unknown State Value"), ("", 4, "all", "Unknown State Value"),
        ("a", 4, "sip:nope", "State Update Failed"), ("a", 4, "ALL", "State Update Failed"),
        ("a", 9, "sip:127.0.0.1:7015", "State Update Failed"),
    ],
)
def test_states_that_cannot_be_set(
    balanced: Balanced, state: str, group: int, address: str, message: str
) -> None:
    with pytest.raises(RpcFault, match=message):
        balanced.module.rpc_set_state(state, group, address)
    with pytest.raises(RpcFault, match=message):
        balanced.module.rpc_set_duid_state(state, group, address)


def test_hashes_as_a_command(balanced: Balanced) -> None:
    assert balanced.module.rpc_hash(5, "abc") == {"hashid": 7167810, "slot": 0}
    assert balanced.module.rpc_hash(5, "abc", "def") == {"hashid": 14047601, "slot": 1}


def fill(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executemany(
            "INSERT INTO dispatcher (setid, destination, flags, priority, attrs, description)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [(1, "sip:h:1", 0, 0, "duid=a", "x1"), (1, "sip:h:2", 8, 5, "", "x2"),
             (2, "nonsense", 0, 0, "", ""), (3, "sip:h:3", 1, 0, "", "")],
        )  # fmt: skip
    connection.close()


def test_destinations_of_a_table(services: FakeServices, tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    create_tables(f"sqlite:///{path}", ["dispatcher"])
    fill(path)
    balanced = Balanced(
        services, tmp_path, db_url=f"sqlite:///{path}", ds_db_extra_attrs="about=description"
    )
    assert balanced.states(1) == {2: "AP", 1: "AX"}
    assert balanced.states(3) == {3: "IX"}
    assert balanced.destination(1, 1).attributes == b"duid=a;about=x1"
    assert balanced.destination(1, 2).attributes == b"about=x2"
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM dispatcher WHERE setid = 3")
    connection.close()
    with asyncio.Runner() as runner:
        services.loop = runner.get_loop()
        runner.run(balanced.module.rpc_reload())
    assert balanced.call("ds_list_exists(3)") == -1


def test_a_database_that_is_down_is_no_reason_not_to_start(
    services: FakeServices, tmp_path: Path
) -> None:
    balanced = Balanced(services, tmp_path, db_url="postgres://u:secret@127.0.0.1:1/none")
    assert balanced.call("ds_select_dst(1, 4)") == -1
    assert not any("secret" in line for line in services.lines)


def test_names_that_are_none(services: FakeServices, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a name"):
        Balanced(services, tmp_path, db_url=f"sqlite:///{tmp_path}/x", table_name="a; b")


def test_destinations_of_a_server(
    services: FakeServices, tmp_path: Path, postgres_url: str
) -> None:
    create_tables(postgres_url, ["dispatcher"])
    database = services.databases.database(postgres_url)
    database.execute_blocking(
        "INSERT INTO dispatcher (setid, destination, flags, priority, attrs)"
        " VALUES (1, 'sip:h:1', 0, 0, 'duid=a'), (1, 'sip:h:2', 8, 5, '')", {},
    )  # fmt: skip
    try:
        balanced = Balanced(services, tmp_path, db_url=postgres_url)
        assert balanced.states(1) == {2: "AP", 1: "AX"}
        assert balanced.destination(1, 1).duid == b"a"
    finally:
        database.execute_blocking("DROP TABLE dispatcher", {})


def test_all_processes_see_a_new_list(balanced: Balanced) -> None:
    mine = balanced.module.balancer
    other = Publication(mine.publication.records, mine.states, Sockets())
    assert set(other.sets().by_id) == {1, 2, 4}
    before = other.sets()
    assert other.sets() is before
    balanced.module.rpc_add(7, "sip:h:1")
    assert set(other.sets().by_id) == {1, 2, 4, 7}
