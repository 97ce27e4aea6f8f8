"""A published value: seen whole by all, made once a publication."""

from __future__ import annotations

import os

from shm import Published
from tests.shm.conftest import Fork, MakeMap


def names(value: object) -> tuple[str, ...]:
    assert isinstance(value, list)
    return tuple(value)


def test_empty_before_the_first(make_map: MakeMap) -> None:
    assert Published(make_map(), b"x", names, ("none",)).get() == ("none",)


def test_made_once_a_publication(make_map: MakeMap) -> None:
    made: list[object] = []
    records = make_map()
    def make(value: object) -> int:
        made.append(value)
        return len(made)

    value = Published(records, b"x", make, 0)
    for number in (1, 2):
        assert value.set(["a", number])
        assert [value.get(), value.get()] == [number, number]
    assert made == [["a", 1], ["a", 2]]


def test_names_do_not_meet(make_map: MakeMap) -> None:
    records = make_map()
    one, two = (Published(records, name, names, ()) for name in (b"one", b"two"))
    one.set(["1"])
    assert (one.get(), two.get()) == (("1",), ())


def test_other_processes_see_it_and_lose_no_change(make_map: MakeMap, fork: Fork) -> None:
    value = Published(make_map(), b"x", names, ())
    value.set([])

    def add() -> None:
        for _ in range(50):
            value.change(lambda old: [*names(old), str(os.getpid())])

    children = [fork(add) for _ in range(3)]
    for child in children:
        os.waitpid(child, 0)
    assert len(value.get()) == 150
    assert set(value.get()) == {str(child) for child in children}


def test_without_room_nothing_changes(make_map: MakeMap) -> None:
    value = Published(make_map(), b"x", names, ())
    value.set(["kept"])
    assert not value.set(["y" * 100] * 1_000_000)
    assert value.get() == ("kept",)
