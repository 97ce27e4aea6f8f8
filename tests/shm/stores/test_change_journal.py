import os

import pytest

from shm import ChangeJournal


@pytest.fixture
def words():
    return memoryview(bytearray(8)).cast("Q")


@pytest.fixture
def journal(make_map, words):
    return ChangeJournal(make_map(), words)


def entries(journal):
    return {entry.key: entry.gone for entry in journal.entries(100)}


def test_a_record_stands_once_in_it_with_all_that_left(journal):
    assert not journal.is_pending()
    journal.note(b"alice")
    journal.note(b"bob", [b"1"])
    journal.note(b"bob", [b"2", b"3"])
    assert journal.is_pending()
    assert len(journal) == 2
    assert entries(journal) == {b"alice": [], b"bob": [b"1", b"2", b"3"]}
    assert len(journal.entries(1)) == 1


def test_what_was_written_is_forgotten(journal):
    journal.note(b"alice", [b"1"])
    for entry in journal.entries(100):
        journal.settle(entry)
    assert not journal.is_pending()
    assert entries(journal) == {}


def test_what_changed_while_it_was_written_stays(journal):
    journal.note(b"alice", [b"1"])
    [entry] = journal.entries(100)
    journal.note(b"alice", [b"2"])
    journal.settle(entry)
    assert entries(journal) == {b"alice": [b"1", b"2"]}


def test_a_change_without_room_is_told(make_map, words):
    journal = ChangeJournal(make_map(heap=16 << 10), words)
    for number in range(1000):
        journal.note(b"user%d" % number)
    assert 0 < len(journal) < 1000
    assert journal.take_overflow()
    assert not journal.take_overflow()
    journal.overflow()
    assert journal.is_pending()


def test_processes_note_the_same_record(journal, fork):
    def note(name):
        for number in range(200):
            journal.note(b"alice", [b"%d-%d" % (name, number)])

    children = [fork(lambda name=name: note(name)) for name in range(3)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    [entry] = journal.entries(10)
    assert len(entry.gone) == 600
    assert len(set(entry.gone)) == 600
