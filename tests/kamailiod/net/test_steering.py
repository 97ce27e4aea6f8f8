"""The owner of a Call-ID: what Python computes and what the kernel does with a datagram."""

from __future__ import annotations

import select
import socket
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamailiod.net.address import ListenAddress
from kamailiod.net.errors import BindError
from kamailiod.net.listening import ListeningSockets, refuse_taken
from kamailiod.net.ownership import owner_rank
from kamailiod.net.steering import steering_program

WORKERS = 4


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bound(offset: int = 0, workers: int = WORKERS) -> ListeningSockets:
    address = ListenAddress(0, b"udp", b"127.0.0.1", free_port())
    return ListeningSockets([address], workers, offset)


@pytest.fixture(scope="module")
def group() -> Iterator[ListeningSockets]:
    found = bound()
    if not found.steered:
        pytest.skip("this kernel refuses the program")
    yield found
    found.close()


def receiver_of(group: ListeningSockets, datagram: bytes) -> int:
    """Send a datagram and return the rank of the worker whose socket has it."""
    members = {
        rank: member
        for rank in range(1, group.workers + 1)
        for member in group.of_worker(rank, b"udp").values()
    }
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(datagram, ("127.0.0.1", group.addresses[0].port))
    ready, _, _ = select.select(list(members.values()), [], [], 5)
    (member,) = ready
    assert member.recv(65535) == datagram
    return next(rank for rank, found in members.items() if found is member)


def options(call_id: bytes, name: bytes = b"Call-ID: ", pad: int = 0) -> bytes:
    return (
        b"OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nX: " + b"p" * pad + b"\r\n" + name + call_id
        + b"\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )  # fmt: skip


def test_kernel_and_python_agree(group: ListeningSockets) -> None:
    ranks = Counter()  # type: ignore[var-annotated]  # of int
    for number in range(300):
        call_id = b"%08x-%d-abcdefghijkl@127.0.0.1" % (number * 2654435761 & 0xFFFFFFFF, number)
        rank = receiver_of(group, options(call_id, pad=number))
        assert rank == owner_rank(call_id, WORKERS)
        ranks[rank] += 1
    assert set(ranks) == {1, 2, 3, 4}
    assert min(ranks.values()) > 40


def test_every_offset_that_is_covered(group: ListeningSockets) -> None:
    call_id = b"0123456789abcdef-more"
    expected = next(
        (c, owner_rank(c, WORKERS))
        for c in (b"%d" % n + call_id for n in range(10))
        if owner_rank(c, WORKERS) != 1
    )
    first = options(expected[0]).index(b"l-ID")
    for pad in range(0, group.steered - first, 7):
        assert receiver_of(group, options(expected[0], pad=pad)) == expected[1]


@pytest.mark.parametrize(
    "datagram",
    [
        options(b"short"), options(b"0123456789abcdef", b"i: "),
        options(b"0123456789abcdef", b"Call-ID : "),
        options(b"0123456789abcdef", b"Call-ID:"), options(b"0123456789abcdef", b"CALL-ID: "),
        options(b"0123456789abcdef", pad=3000), b"\r\n\r\n", b"", b"l-ID", b"x" * 20 + b"l-ID: ",
        b"x" * 20 + b"l-ID: 012345678", b"\0" * 2000,
    ],
)  # fmt: skip
def test_what_the_kernel_cannot_tell_still_arrives(
    group: ListeningSockets, datagram: bytes
) -> None:
    assert receiver_of(group, datagram) == 1


def test_a_call_id_of_exactly_the_hashed_length(group: ListeningSockets) -> None:
    for number in range(20):
        call_id = b"%016d" % (number * 99991)
        assert receiver_of(group, options(call_id)) == owner_rank(call_id, WORKERS)


def test_the_offset_of_the_hashed_octets() -> None:
    group = bound(offset=8)
    try:
        if not group.steered:
            pytest.skip("this kernel refuses the program")
        seen = set()
        for number in range(40):
            call_id = b"samestar%016d@host" % (number * 7919)
            assert receiver_of(group, options(call_id)) == owner_rank(call_id, WORKERS, 8)
            seen.add(owner_rank(call_id, WORKERS, 8))
        assert seen == {1, 2, 3, 4}
    finally:
        group.close()


@given(st.binary(max_size=40), st.integers(1, 64), st.integers(0, 30))
def test_every_call_id_has_an_owner(call_id: bytes, workers: int, offset: int) -> None:
    rank = owner_rank(call_id, workers, offset)
    assert 1 <= rank <= workers
    assert rank == owner_rank(call_id[: offset + 16] + b"tail" * bool(len(call_id) >= offset + 16),
                              workers, offset)  # fmt: skip


def test_the_program_fits_and_jumps_forward() -> None:
    for last in (340, 660, 980):
        program = steering_program(WORKERS, 0, last)
        assert len(program) <= 4096
        for number, (code, yes, no, value) in enumerate(program):
            if code & 0x07 == 0x05:
                reach = value if code == 0x05 else max(yes, no)
                assert reach >= 0
                assert number + 1 + reach < len(program)
                assert max(yes, no) < 256


def test_a_taken_port_is_told() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        address = ListenAddress(0, b"udp", b"127.0.0.1", other.getsockname()[1])
        with pytest.raises(BindError, match="cannot listen on udp:"):
            refuse_taken([address])
        with pytest.raises(BindError):
            ListeningSockets([address], 1, 0)
