import os
from dataclasses import fields, replace

import pytest

from shm import KEEP, Dialog, DialogStore, Direction, RecordError

FILLED = Dialog(
    call_id=b"abc@host",
    from_uri=b"sip:alice@example.com",
    to_uri=b"sip:bob@example.com",
    from_tag=b"f1",
    to_tag=b"t1",
    state=4,
    start_time=100,
    init_time=90,
    expires=5000,
    timeout=4900,
    flags=3,
    sflags=1,
    from_cseq=b"102",
    to_cseq=b"7",
    from_route_set=b"<sip:a;lr>",
    to_route_set=b"<sip:b;lr>",
    from_contact=b"sip:alice@192.0.2.1",
    to_contact=b"sip:bob@192.0.2.2",
    from_socket=b"udp:127.0.0.1:5060",
    to_socket=b"udp:127.0.0.1:5060",
    request_uri=b"sip:bob@192.0.2.2",
    toroute=b"TIMEOUT",
    variables={b"key": b"value", b"empty": b""},
    profiles=[(b"caller", b"alice"), (b"all", b"")],
    owner=2,
)


@pytest.fixture
def records(make_map):
    return make_map(hash_length=DialogStore.HASH_LENGTH)


@pytest.fixture
def store(records):
    return DialogStore(records, 64)


def test_every_field_comes_back(store):
    assert all(getattr(FILLED, f.name) for f in fields(Dialog) if not f.name.startswith("h_"))
    made = store.create(FILLED)
    assert made == replace(FILLED, h_entry=store.entry(b"abc@host"), h_id=made.h_id)
    assert made.h_id > 0
    assert store.get(made.h_entry, made.h_id) == made
    assert list(store.items()) == [made]


def test_its_owner_writes_a_dialog_without_reading_it(store, records):
    made = store.create(replace(FILLED))
    made.state, made.expires = 3, 17
    assert store.put(made)
    assert store.get(made.h_entry, made.h_id) == made
    assert len(records) == 1
    assert store.due(17, 9) == [made]


def test_find_gives_the_direction(store):
    made = store.create(FILLED)
    assert store.find(b"abc@host", b"f1", b"t1") == (made, Direction.DOWNSTREAM)
    assert store.find(b"abc@host", b"t1", b"f1") == (made, Direction.UPSTREAM)
    assert store.find(b"abc@host", b"f1", b"t2") is None
    assert store.find(b"abc@host", b"f1", b"") is None
    assert store.find(b"other@host", b"f1", b"t1") is None


def test_early_dialog_is_found_by_the_callers_tag(store):
    made = store.create(replace(FILLED, to_tag=b"", state=1))
    assert store.find(b"abc@host", b"f1", b"") == (made, Direction.DOWNSTREAM)
    assert store.find(b"abc@host", b"f1", b"new") == (made, Direction.DOWNSTREAM)
    assert store.find(b"abc@host", b"new", b"f1") == (made, Direction.UPSTREAM)
    assert store.find(b"abc@host", b"x", b"y") is None


def test_dialogs_of_one_call_and_of_one_entry_are_told_apart(records):
    store = DialogStore(records, 1)
    made = [
        store.create(replace(FILLED, call_id=b"%d" % (number // 2), from_tag=b"f%d" % number))
        for number in range(20)
    ]
    assert len({dialog.h_id for dialog in made}) == 20
    for number, dialog in enumerate(made):
        assert store.get(0, dialog.h_id) == dialog
        found = store.find(b"%d" % (number // 2), b"f%d" % number, b"t1")
        assert found == (dialog, Direction.DOWNSTREAM)


def test_update(store):
    made = store.create(FILLED)

    def end(dialog):
        dialog.state = 5
        dialog.variables[b"x"] = b"y"
        return dialog

    assert store.update(made.h_entry, made.h_id, end)
    changed = store.get(made.h_entry, made.h_id)
    assert (changed.state, changed.variables[b"x"]) == (5, b"y")
    assert store.update(made.h_entry, made.h_id, lambda dialog: KEEP)
    assert store.update(made.h_entry, made.h_id, lambda dialog: None)
    assert store.get(made.h_entry, made.h_id) is None
    assert not store.update(made.h_entry, made.h_id, end)


def test_delete_and_what_is_not_there(store):
    made = store.create(FILLED)
    assert store.delete(made.h_entry, made.h_id)
    assert not store.delete(made.h_entry, made.h_id)
    assert store.get(made.h_entry, made.h_id) is None
    assert store.get(-1, 1 << 40) is None


def test_due_gives_dialogs_until_they_are_dealt_with(store):
    first = store.create(FILLED)
    second = store.create(replace(FILLED, call_id=b"2", expires=6000))
    store.create(replace(FILLED, call_id=b"3", expires=0))
    assert store.due(4999, 10) == []
    assert store.due(5000, 10) == [first]
    assert store.due(5000, 10) == [first]
    store.update(first.h_entry, first.h_id, lambda dialog: replace(dialog, expires=7000))
    assert store.due(6500, 10) == [second]
    assert len(store.due(9000, 1)) == 1


def test_counts_by_state(store):
    for state in (1, 4, 4, 5):
        store.create(replace(FILLED, state=state))
    assert store.counts() == {1: 1, 4: 2, 5: 1}


def test_no_room(make_map):
    store = DialogStore(make_map(heap=4 << 10, hash_length=4))
    made = store.create(FILLED)
    big = replace(FILLED, toroute=b"x" * 9000)
    assert store.create(big) is None
    assert not store.update(made.h_entry, made.h_id, lambda dialog: big)
    assert store.get(made.h_entry, made.h_id) == made


def test_refusals(store, make_map, records):
    with pytest.raises(RecordError, match="hash length"):
        DialogStore(make_map())
    with pytest.raises(RecordError, match="cannot be stored"):
        store.create(replace(FILLED, state=300))
    records.put(b"\0\0\0\1\0\0\0\2x", b"\x09\x01\x90")
    with pytest.raises(RecordError, match="version 9"):
        store.get(1, 2)


def test_processes_create_and_change_dialogs(store, records, fork):
    shared = store.create(replace(FILLED, flags=0))

    def bump(dialog):
        dialog.flags += 1
        return dialog

    def work(rank):
        for number in range(200):
            made = store.create(replace(FILLED, call_id=b"%d@%d" % (number, rank), owner=rank))
            assert store.update(shared.h_entry, shared.h_id, bump)
            if number % 2:
                assert store.delete(made.h_entry, made.h_id)

    children = [fork(lambda rank=rank: work(rank)) for rank in range(3)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert store.get(shared.h_entry, shared.h_id).flags == 600
    assert len(records) == 301
    assert len({(d.h_entry, d.h_id) for d in store.items()}) == 301
    records.verify()


def test_numbers_of_servers_that_share_a_database_do_not_meet(records):
    store = DialogStore(records, 16, first=3, step=10)
    made = [store.create(Dialog(b"call-%d" % number)) for number in range(50)]
    assert {dialog.h_id % 10 for dialog in made} == {3}
    assert max(dialog.h_id for dialog in made) < 2**31


def test_a_restored_dialog_keeps_its_numbers_and_replaces_none(records):
    store = DialogStore(records, 16)
    dialog = replace(FILLED, h_entry=7, h_id=1234)
    assert store.restore(dialog)
    assert store.get(7, 1234) == dialog
    assert not store.restore(replace(dialog, state=3))
    assert store.get(7, 1234).state == 4


def test_before_the_answer_the_callees_tag_is_one_of_several(records):
    store = DialogStore(records, 16)
    early = store.create(replace(FILLED, state=2))
    assert store.find(b"abc@host", b"f1", b"of-another-fork") == (early, Direction.DOWNSTREAM)
    early.state = 4
    store.put(early)
    assert store.find(b"abc@host", b"f1", b"of-another-fork") is None


def test_numbers_may_be_given_before(records):
    store = DialogStore(records, 16)
    first, second = Dialog(b"a"), Dialog(b"a")
    store.number(first)
    numbers = (first.h_entry, first.h_id)
    second.h_id = first.h_id
    assert store.create(first) is first
    assert (first.h_entry, first.h_id) == numbers
    assert store.create(second).h_id != first.h_id
