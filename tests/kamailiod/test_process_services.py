"""The shared stores that a server gives to its modules."""

import os
from types import SimpleNamespace

import pytest

from kamailiod.process_services import ProcessServices
from kamailiod.script.log import DEBUG, Log


@pytest.fixture
def services():
    log = Log(DEBUG, write=lambda level, text: None)
    made = ProcessServices(
        {}, (), SimpleNamespace(), log, SimpleNamespace(), {}, 2, f"test-{os.getpid()}-services",
        4 << 20, ((), ()), config_file="x.cfg",
    )  # fmt: skip
    yield made
    made.close()


def test_a_store_has_its_share_of_the_memory_and_no_more(services):
    records = services.hash_map("half", 64, 0.5)
    assert 2 << 20 <= records.usage().total < (2 << 20) + 16384
    number = 0
    while records.put(b"%d" % number, b"x" * 1000):
        number += 1
    assert 1700 < number < 2000
    assert records.usage().failures == 1
    assert all(records.get(b"%d" % kept) == b"x" * 1000 for kept in range(number))
    assert services.maps["half"] is records


def test_a_store_with_a_hash_and_weights_of_its_own(services):
    records = services.hash_map("own", 64, 0.1, code=lambda key: key[0], weigh=len)
    records.put(b"\x07key", b"12345")
    assert [record.key for record in records.records(b"", range(7, 8))] == [b"\x07key"]
    assert records.weight() == 5


def test_segments_go_with_the_server(services):
    services.hash_map("gone", 64, 0.1)
    path = f"/dev/shm/kamailiod.{services.instance}.gone"
    assert os.path.exists(path)
    services.close()
    assert not os.path.exists(path)
