"""A map that several processes write at once is a dict for each of them, and their sum for all."""

import os
import traceback
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from shm import KEEP, HashMap, Segment

PROCESSES = 3
VALUES = st.binary(max_size=400)
TIMES = st.integers(0, 9)
CALLS = st.lists(
    st.tuples(
        st.integers(0, PROCESSES - 1),
        st.sampled_from(("put", "delete", "append", "keep", "expire", "count")),
        st.integers(0, 5),
        VALUES,
        TIMES,
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=50)
@given(CALLS)
def test_processes_each_see_a_dict_and_leave_their_sum(calls):
    segment = Segment.create(f"test-processes-{os.getpid()}", "x", HashMap.segment_size(4, 1 << 18))
    try:
        records = HashMap(segment, 4, weigh=len)
        own = [[call for call in calls if call[0] == process] for process in range(PROCESSES)]
        children = [forked(lambda part=part: run(records, part)) for part in own]
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * PROCESSES
        records.verify()
        model, counts = {}, Counter()
        for call in calls:
            apply(None, model, counts, call)
        found = {record.key: (record.value, record.expires) for record in records.records()}
        assert found == {**model, **{key: (b"%d" % n, 0) for key, n in counts.items()}}
        assert records.weight() == sum(len(value) for value, _ in found.values())
        assert len(records) == len(found)
        assert records.recovered == 0
    finally:
        segment.unlink()
        segment.close()


def run(records, calls):
    model, counts = {}, Counter()
    for call in calls:
        apply(records, model, counts, call)
        prefix = b"%d:" % call[0]
        found = {record.key: (record.value, record.expires) for record in records.records(prefix)}
        assert found == model
        key = prefix + b"%d" % call[2]
        assert records.lookup(key) == model.get(key)


def apply(records, model, counts, call):
    """Do a call to the model, and with a map to both, comparing what they answer."""
    process, name, number, value, time = call
    key = b"%d:%d" % (process, number)
    if name == "put":
        model[key] = value, time
        assert records is None or records.put(key, value, time)
    elif name == "delete":
        there = model.pop(key, None) is not None
        assert records is None or records.delete(key) == there
    elif name == "append":
        model[key] = model.get(key, (b"", 0))[0] + value, time
        assert records is None or records.update(key, lambda old, _: ((old or b"") + value, time))
    elif name == "keep":
        assert records is None or records.update(key, lambda old, _: KEEP)
    elif name == "expire":
        prefix = b"%d:" % process
        due = {
            k: v for k, (v, until) in model.items() if 0 < until <= time and k.startswith(prefix)
        }
        assert records is None or dict(records.pop_expired(time, 100, prefix)) == due
        for gone in due:
            del model[gone]
    else:
        shared = b"shared%d" % (number % 2)
        counts[shared] += 1
        assert records is None or records.update(
            shared, lambda old, expires: (b"%d" % (int(old or b"0") + 1), 0)
        )


def forked(work):
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
