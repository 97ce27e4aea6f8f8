from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shm import DialogProfileStore, RecordError


@pytest.fixture
def counts(make_map):
    return make_map(hash_length=DialogProfileStore.HASH_LENGTH)


@pytest.fixture
def profiles(counts):
    return DialogProfileStore(counts)


def test_a_value_counts_for_itself_and_for_the_profile(profiles):
    assert profiles.join(1, b"caller", b"alice")
    assert profiles.join(2, b"caller", b"alice")
    assert profiles.join(1, b"caller", b"bob")
    assert profiles.join(1, b"inbound", None)
    assert profiles.size(b"caller", b"alice") == 2
    assert profiles.size(b"caller") == 3
    assert profiles.size(b"inbound") == 1
    assert profiles.size(b"caller", b"nobody") == 0
    profiles.leave(2, b"caller", b"alice")
    assert (profiles.size(b"caller", b"alice"), profiles.size(b"caller")) == (1, 2)


def test_names_and_values_do_not_run_into_each_other(profiles):
    profiles.join(1, b"ab", b"c")
    assert profiles.size(b"a", b"bc") == 0
    assert profiles.size(b"a") == 0


def test_a_process_is_counted_anew_without_the_others(profiles, counts):
    profiles.join(1, b"p", b"v")
    profiles.join(2, b"p", b"v")
    profiles.forget(1)
    assert profiles.size(b"p", b"v") == 1
    profiles.leave(2, b"p", b"v")
    assert len(counts) == 0


def test_no_count_goes_below_nothing(profiles):
    profiles.leave(1, b"p", None)
    profiles.join(1, b"p", None)
    assert profiles.size(b"p") == 1


def test_members_elsewhere_count_until_their_time(profiles):
    assert profiles.add_remote(b"p", b"v", b"uid-1", 100)
    assert profiles.add_remote(b"p", b"v", b"uid-1", 200)
    assert profiles.add_remote(b"p", None, b"uid-2", 0)
    assert (profiles.size(b"p"), profiles.size(b"p", b"v")) == (2, 1)
    profiles.forget(1)
    profiles.expire(150)
    assert profiles.size(b"p") == 2
    profiles.expire(200)
    assert (profiles.size(b"p"), profiles.size(b"p", b"v")) == (1, 0)
    assert profiles.remove_remote(b"p", None, b"uid-2")
    assert not profiles.remove_remote(b"p", None, b"uid-2")
    assert profiles.size(b"p") == 0


def test_a_full_map_refuses(make_map):
    profiles = DialogProfileStore(make_map(heap=4096, hash_length=DialogProfileStore.HASH_LENGTH))
    value = b"v" * 500
    joined = [profiles.join(number, b"p", value) for number in range(20)]
    assert joined[0]
    assert not joined[-1]
    assert profiles.size(b"p", value) == sum(joined)


def test_the_map_must_fit(make_map):
    with pytest.raises(RecordError):
        DialogProfileStore(make_map())


_names = st.sampled_from([b"a", b"b", b"ab"])
_values = st.sampled_from([b"x", b"y", b"xy"])


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(1, 3), _names, _values, st.booleans()), max_size=40))
def test_it_counts_as_a_counter_does(make_map, steps):
    records = make_map(hash_length=DialogProfileStore.HASH_LENGTH)
    profiles = DialogProfileStore(records)
    expected: Counter[tuple[int, bytes, bytes]] = Counter()
    for rank, name, value, joins in steps:
        if joins:
            profiles.join(rank, name, value)
            expected[rank, name, value] += 1
        elif expected[rank, name, value]:
            profiles.leave(rank, name, value)
            expected[rank, name, value] -= 1
    for name in (b"a", b"b", b"ab"):
        in_profile = {key: n for key, n in expected.items() if key[1] == name}
        assert profiles.size(name) == sum(in_profile.values())
        for value in (b"x", b"y", b"xy"):
            held = sum(n for key, n in in_profile.items() if key[2] == value)
            assert profiles.size(name, value) == held
