"""Mailboxes: order, limits, what a full queue does."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import uvloop

from workers import MAX_PAYLOAD, Mailboxes, NoEventLoop, PayloadTooLong, UnknownRank


@pytest.fixture
def mailboxes() -> Iterator[Mailboxes]:
    boxes = Mailboxes([0, 1, 2])
    yield boxes
    boxes.close()


def receive(mailboxes: Mailboxes, rank: int, count: int) -> list[bytes]:
    loop = uvloop.new_event_loop()
    mailbox = mailboxes.mailbox(rank, loop)
    got: list[bytes] = []

    def take(payload: bytes) -> None:
        got.append(payload)
        if len(got) == count:
            loop.stop()

    mailbox.open(take)
    loop.call_later(10, loop.stop)
    loop.run_forever()
    mailbox.close()
    loop.close()
    assert mailbox.received == len(got)
    return got


def test_payloads_arrive_whole_and_in_order(mailboxes: Mailboxes) -> None:
    sender = mailboxes.mailbox(1)
    payloads = [b"", b"x", os.urandom(1500), os.urandom(MAX_PAYLOAD)]
    payloads += [b"%d" % number for number in range(200)]
    assert all(sender.send(2, payload) for payload in payloads)
    assert sender.send(0, b"for another")
    assert receive(mailboxes, 2, len(payloads)) == payloads
    assert receive(mailboxes, 0, 1) == [b"for another"]
    assert (sender.sent, sender.full) == (len(payloads) + 1, 0)


def test_another_process_sends(mailboxes: Mailboxes) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0 if mailboxes.mailbox(1).send(2, b"over the fork") else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert receive(mailboxes, 2, 1) == [b"over the fork"]


def test_a_full_queue_refuses_and_counts() -> None:
    mailboxes = Mailboxes([1, 2], queue_bytes=100_000)
    sender = mailboxes.mailbox(1)
    accepted = 0
    while sender.send(2, b"x" * 1000):
        accepted += 1
    assert not sender.send(2, b"x" * 1000)
    assert (sender.sent, sender.full) == (accepted, 2)
    assert accepted >= 50
    assert sender.send(1, b"the others are not affected")
    assert len(receive(mailboxes, 2, accepted)) == accepted
    assert sender.send(2, b"x" * 1000)
    mailboxes.close()


def test_a_default_queue_holds_a_burst(mailboxes: Mailboxes) -> None:
    sender = mailboxes.mailbox(1)
    assert all(sender.send(2, b"x" * 1000) for _ in range(100))


def test_what_cannot_be_sent(mailboxes: Mailboxes) -> None:
    mailbox = mailboxes.mailbox(1)
    with pytest.raises(PayloadTooLong):
        mailbox.send(2, b"x" * (MAX_PAYLOAD + 1))
    with pytest.raises(UnknownRank):
        mailbox.send(7, b"x")
    with pytest.raises(UnknownRank):
        mailboxes.mailbox(7)
    with pytest.raises(NoEventLoop):
        mailbox.open(print)
    assert mailbox.sent == mailbox.full == 0
