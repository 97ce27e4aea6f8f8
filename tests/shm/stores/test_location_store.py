import os

import pytest

from shm import Binding, LocationCounts, LocationStore, RecordError

ALICE = Binding(
    contact=b"sip:alice@192.0.2.1:5060;ob",
    received=b"sip:198.51.100.7:1024",
    path=b"<sip:edge.example.com;lr>",
    expires=1000,
    q=-1,
    call_id=b"0815@192.0.2.1",
    cseq=7,
    flags=1,
    cflags=64,
    user_agent=b"Phone \xff 1.0",
    socket=b"udp:203.0.113.1:5060",
    methods=5951,
    instance=b'"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"',
    reg_id=1,
    ruid=b"uloc-65a-1",
    connection_id=-1,
    server_id=0,
    last_modified=900.25,
)


@pytest.fixture
def records(make_map):
    return make_map()


@pytest.fixture
def store(records):
    return LocationStore(records, b"location")


def add(*bindings):
    return lambda old: [*old, *bindings]


def test_every_field_comes_back(store):
    assert store.bindings(b"alice", 0) == []
    assert store.update(b"alice", add(ALICE))
    assert store.bindings(b"alice", 999) == [ALICE]
    assert list(store.items()) == [(b"alice", [ALICE])]
    assert list(store.aors()) == [b"alice"]


def test_bindings_are_frozen(store):
    store.update(b"alice", add(ALICE))
    [found] = store.bindings(b"alice", 0)
    assert type(found) is Binding
    assert hash(found) == hash(ALICE)
    assert found._replace(cseq=8).cseq == 8
    with pytest.raises(AttributeError):
        found.cseq = 9


def test_expired_bindings_are_not_found_and_permanent_ones_are(store):
    permanent = ALICE._replace(expires=0)
    later = ALICE._replace(expires=2000)
    store.update(b"alice", add(ALICE, permanent, later))
    assert store.bindings(b"alice", 1000) == [permanent, later]
    assert store.bindings(b"alice", 5000) == [permanent]


def test_update_replaces_and_an_empty_list_removes(store, records):
    store.update(b"alice", add(ALICE))
    assert store.update(b"alice", lambda old: [old[0]._replace(cseq=8)])
    assert [binding.cseq for binding in store.bindings(b"alice", 0)] == [8]
    assert store.update(b"alice", lambda old: old)
    assert store.update(b"alice", lambda old: [])
    assert store.bindings(b"alice", 0) == []
    assert len(records) == 0
    assert store.update(b"nobody", lambda old: [])


def test_remove(store):
    store.update(b"alice", add(ALICE))
    assert store.remove(b"alice")
    assert not store.remove(b"alice")


def test_expire_removes_what_is_due_and_gives_it(store):
    later = ALICE._replace(expires=2000)
    store.update(b"alice", add(ALICE, later))
    store.update(b"bob", add(ALICE))
    store.update(b"carol", add(ALICE._replace(expires=0)))
    assert store.expire(999, 100) == []
    assert sorted(store.expire(1000, 100), key=lambda gone: gone[0]) == [
        (b"alice", ALICE),
        (b"bob", ALICE),
    ]
    assert store.expire(1000, 100) == []
    assert store.bindings(b"alice", 0) == [later]
    assert store.counts() == LocationCounts(records=2, contacts=2)
    assert store.expire(2000, 100) == [(b"alice", later)]


def test_expire_takes_no_more_records_than_asked(store):
    for number in range(10):
        store.update(b"user%d" % number, add(ALICE))
    gone = [len(store.expire(1000, 4)) for _ in range(4)]
    assert gone == [4, 4, 2, 0]


def test_tables_share_a_map_and_see_only_their_own(store, records):
    other = LocationStore(records, b"loc")
    store.update(b"alice", add(ALICE, ALICE))
    other.update(b"alice", add(ALICE._replace(cseq=99)))
    assert store.counts() == LocationCounts(1, 2)
    assert other.counts() == LocationCounts(1, 1)
    assert other.bindings(b"alice", 0)[0].cseq == 99
    assert [aor for aor, _ in other.expire(1000, 10)] == [b"alice"]
    assert len(store.bindings(b"alice", 0)) == 2
    with pytest.raises(RecordError):
        LocationStore(records, b"a\0b")


def test_no_room_changes_nothing(make_map):
    store = LocationStore(make_map(heap=16 << 10), b"location")
    store.update(b"alice", add(ALICE))
    assert not store.update(b"alice", add(*[ALICE] * 100))
    assert store.bindings(b"alice", 0) == [ALICE]


def test_what_cannot_be_stored_is_refused(store, records):
    with pytest.raises(RecordError, match="cannot be stored"):
        store.update(b"alice", add(ALICE._replace(cseq=1 << 70)))
    records.put(b"location\0alice", b"\x09\x00\x00\x90")
    with pytest.raises(RecordError, match="version 9"):
        store.bindings(b"alice", 0)


def test_processes_register_the_same_user(store, records, fork):
    def register(name):
        for number in range(300):
            contact = ALICE._replace(contact=b"%d" % name, cseq=number)
            store.update(
                b"alice",
                lambda old, new=contact: [*(b for b in old if b.contact != new.contact), new],
            )

    children = [fork(lambda name=name: register(name)) for name in range(3)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    found = sorted((binding.contact, binding.cseq) for binding in store.bindings(b"alice", 0))
    assert found == [(b"0", 299), (b"1", 299), (b"2", 299)]
    records.verify()


def test_a_backing_adds_what_is_not_there(store):
    def by_cseq(bindings):
        bindings.sort(key=lambda binding: binding.cseq)

    assert store.add(b"alice", [ALICE._replace(cseq=9), ALICE._replace(cseq=8, ruid=b"2")], by_cseq)
    store.update(b"alice", lambda old: [old[0], old[1]._replace(cseq=30)])
    known, new = ALICE._replace(cseq=1), ALICE._replace(cseq=20, ruid=b"3")
    assert store.add(b"alice", [known, new], by_cseq)
    found = [(binding.ruid, binding.cseq) for binding in store.bindings(b"alice", 0)]
    assert found == [(b"2", 8), (b"3", 20), (ALICE.ruid, 30)]


def test_an_address_of_record_is_found_by_its_hash(store, records):
    other = LocationStore(records, b"other")
    for number in range(100):
        store.update(b"user%d" % number, add(ALICE))
        other.update(b"user%d" % number, add(ALICE))
    found = store.of_hash(store.hash_of(b"user7"))
    assert (b"user7", [ALICE]) in found
    assert len(found) < 10
    assert all(aor.startswith(b"user") for aor, _ in found)


def test_the_map_knows_how_many_bindings_it_holds(make_map):
    records = make_map(weigh=LocationStore.weigh)
    store = LocationStore(records, b"location")
    records.put(b"else", b"of no weight")
    store.update(b"alice", add(ALICE, ALICE))
    store.update(b"bob", add(*[ALICE] * 300))
    assert (len(records), records.weight()) == (3, 302)
    store.update(b"alice", lambda old: old[:1])
    store.remove(b"bob")
    assert records.weight() == 1
    records.verify()
