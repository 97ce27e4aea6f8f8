import errno
import os
import stat
from pathlib import Path

import pytest

from shm import Origin, Segment, SegmentError, SegmentFullError
from shm.layout import LAYOUT_VERSION


def file_of(segment: Segment) -> Path:
    return Path("/dev/shm") / segment.name.lstrip("/")


def test_create_is_private_named_and_zero(make_segment, instance):
    segment = make_segment(5000, "location")
    assert segment.name == f"/kamailiod.{instance}.location"
    assert segment.origin is Origin.CREATED
    assert segment.size == 8192
    assert stat.S_IMODE(file_of(segment).stat().st_mode) == 0o600
    assert bytes(segment.memory[64:]) == bytes(8192 - 64)


def test_attach_sees_the_same_memory(make_segment, instance):
    segment = make_segment(4096, "x")
    other = Segment.attach(instance, "x")
    segment.words[100] = 0x0123456789ABCDEF
    assert other.words[100] == 0x0123456789ABCDEF
    assert other.origin is Origin.ATTACHED
    other.close()


def test_keep_takes_over_what_matches(make_segment):
    first = make_segment(4096, "x")
    first.words[100] = 7
    first.close()
    kept = make_segment(4096, "x", keep=True)
    assert kept.origin is Origin.KEPT
    assert kept.words[100] == 7


@pytest.mark.parametrize("layout, size", [(LAYOUT_VERSION + 1, 4096), (LAYOUT_VERSION, 8192)])
def test_keep_makes_anew_what_does_not_match(make_segment, instance, layout, size):
    make_segment(4096, "x").words[100] = 7
    segment = Segment.create(instance, "x", size, layout=layout, keep=True)
    assert segment.origin is Origin.CREATED
    assert segment.words[100] == 0


def test_without_keep_a_stale_segment_is_replaced(make_segment):
    make_segment(4096, "x").words[100] = 7
    assert make_segment(4096, "x").words[100] == 0


def test_half_made_segment_is_not_taken_over(make_segment, instance):
    make_segment(4096, "x").words[0] = 0
    with pytest.raises(SegmentError, match="no such segment"):
        Segment.attach(instance, "x")
    assert make_segment(4096, "x", keep=True).origin is Origin.CREATED


def test_unlink_twice_is_no_error(make_segment):
    segment = make_segment(4096)
    segment.unlink()
    segment.unlink()
    assert not file_of(segment).exists()


def test_close_with_a_view_in_use_leaves_the_view_valid(make_segment):
    segment = make_segment(4096)
    view = segment.words[8:16]
    segment.close()
    view[0] = 1
    assert view[0] == 1


@pytest.mark.parametrize("name", ["", "a/b", "a b", "x" * 300])
def test_invalid_names(name):
    with pytest.raises(SegmentError):
        Segment.create(name, "x", 4096)


def test_attach_to_nothing():
    with pytest.raises(SegmentError, match="no such segment"):
        Segment.attach("test-none", "x")


def test_large_segment_is_sparse_and_refused_beyond_what_is_free(make_segment, instance):
    assert file_of(make_segment(64 << 20, "sparse")).stat().st_blocks * 512 < 1 << 20
    with pytest.raises(SegmentFullError, match=r"KiB of /dev/shm, where \d+ KiB are free"):
        make_segment(1 << 50, "x")
    assert not Path(f"/dev/shm/kamailiod.{instance}.x").exists()


def test_reserve_allocates_a_part(make_segment):
    segment = make_segment(64 << 20)
    assert segment.reserve(1 << 20, 2 << 20)
    assert 1 << 20 <= file_of(segment).stat().st_blocks * 512 < 2 << 20


def test_small_segment_is_allocated_and_refused_when_full(make_segment, instance, monkeypatch):
    assert file_of(make_segment(1 << 20, "small")).stat().st_blocks * 512 == 1 << 20

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SegmentFullError):
        make_segment(1 << 20, "x")
    assert not Path(f"/dev/shm/kamailiod.{instance}.x").exists()
