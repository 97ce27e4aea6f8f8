"""Connections over real loopback sockets: accepted, opened, reused, closed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from kamailiod.net.address import ListenAddress, Source, Target
from kamailiod.net.stream import StreamConnections, StreamLimits

MESSAGE = b"OPTIONS sip:x SIP/2.0\r\nContent-Length: 0\r\n\r\n"


class Peer:
    """A worker's streams on an ephemeral port, and what they received."""

    def __init__(self, limits: StreamLimits, rank: int = 1, workers: int = 1) -> None:
        self.received: asyncio.Queue[tuple[bytes, Source]] = asyncio.Queue()
        self.loop = asyncio.get_running_loop()
        self.streams = StreamConnections(
            rank, workers, lambda data, source: self.received.put_nowait((data, source)), limits,
            self.loop,
        )  # fmt: skip
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.socket.setblocking(False)
        self.port = int(self.socket.getsockname()[1])
        self.address = ListenAddress(0, b"tcp", b"127.0.0.1", self.port)

    async def open(self) -> Peer:
        await self.streams.open({self.address: self.socket})
        return self

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def next(self) -> tuple[bytes, Source]:
        return await asyncio.wait_for(self.received.get(), 5)

    async def until(self, count: int) -> None:
        async def wait() -> None:
            while self.streams.count() != count:
                await asyncio.sleep(0)

        await asyncio.wait_for(wait(), 5)


def run(
    test: Callable[[Peer], Awaitable[None]], limits: StreamLimits | None = None, rank: int = 1,
    workers: int = 1,
) -> None:  # fmt: skip
    async def main() -> None:
        await test(await Peer(limits or StreamLimits(), rank, workers).open())

    asyncio.run(main())


def test_accept_receive_and_answer_on_the_same_connection() -> None:
    async def test(peer: Peer) -> None:
        reader, writer = await peer.connect()
        writer.write(MESSAGE + MESSAGE[:10])
        data, source = await peer.next()
        assert data == MESSAGE
        assert (source.host, source.port) == (
            b"127.0.0.1", writer.get_extra_info("sockname")[1],
        )  # fmt: skip
        assert peer.streams.count() == 1
        writer.write(MESSAGE[10:])
        assert (await peer.next())[0] == MESSAGE
        target = Target(b"tcp", source.host, source.port, peer.address, source.connection_id)
        assert peer.streams.send(target, b"answer")
        assert await asyncio.wait_for(reader.readexactly(6), 5) == b"answer"
        again = Target(b"tcp", source.host, source.port, peer.address)
        assert peer.streams.send(again, b"by address")
        assert await asyncio.wait_for(reader.readexactly(10), 5) == b"by address"
        assert peer.streams.count() == 1
        writer.close()
        await peer.until(0)

    run(test)


def test_open_queue_and_reuse() -> None:
    async def test(peer: Peer) -> None:
        other = await Peer(StreamLimits()).open()
        target = Target(b"tcp", b"127.0.0.1", other.port, peer.address)
        for _ in range(3):
            assert peer.streams.send(target, MESSAGE)
        sources = [(await other.next())[1] for _ in range(3)]
        assert len({source.connection_id for source in sources}) == 1
        assert peer.streams.send(target, MESSAGE)
        await other.next()
        assert (peer.streams.count(), other.streams.count()) == (1, 1)

    run(test)


def test_a_refused_connection_is_forgotten() -> None:
    async def test(peer: Peer) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            target = Target(b"tcp", b"127.0.0.1", probe.getsockname()[1], peer.address)
        for _ in range(2):
            assert peer.streams.send(target, MESSAGE)
            async with asyncio.timeout(5):
                while peer.streams._opening:
                    await asyncio.sleep(0)
        assert peer.streams.count() == 0
        assert not peer.streams.send(Target(b"tcp", b"127.0.0.1", 0, peer.address), MESSAGE)

    run(test)


def test_what_waits_for_a_connection_is_bounded() -> None:
    async def test(peer: Peer) -> None:
        target = Target(b"tcp", b"127.0.0.1", peer.port, peer.address)
        taken = [peer.streams.send(target, MESSAGE) for _ in range(20)]
        assert taken[0]
        assert not taken[-1]

    run(test, StreamLimits(queued_bytes=100))


def test_pings_are_answered() -> None:
    async def test(peer: Peer) -> None:
        reader, writer = await peer.connect()
        writer.write(b"\r\n\r\n")
        assert await asyncio.wait_for(reader.readexactly(2), 5) == b"\r\n"
        writer.close()

    run(test)


def test_bad_framing_is_handed_on_and_closed() -> None:
    async def test(peer: Peer) -> None:
        reader, writer = await peer.connect()
        writer.write(b"OPTIONS sip:x SIP/2.0\r\nContent-Length: -9\r\n\r\n")
        data, source = await peer.next()
        assert data.startswith(b"OPTIONS")
        assert peer.streams.owner_of(source.connection_id) == 1
        assert await asyncio.wait_for(reader.read(), 5) == b""
        await peer.until(0)
        writer.close()

    run(test)


def test_an_idle_connection_is_closed() -> None:
    async def test(peer: Peer) -> None:
        reader, writer = await peer.connect()
        await peer.until(1)
        peer.streams.close_idle()
        assert peer.streams.count() == 1
        peer.streams.limits = StreamLimits(lifetime=-1.0)
        peer.streams.close_idle()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        await peer.until(0)
        writer.close()

    run(test)


def test_too_many_connections() -> None:
    async def test(peer: Peer) -> None:
        _, first = await peer.connect()
        await peer.until(1)
        reader, second = await peer.connect()
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        assert peer.streams.count() == 1
        first.close()
        second.close()
        await peer.until(0)

    run(test, StreamLimits(connections=1))


def test_a_number_tells_the_owner() -> None:
    async def test(peer: Peer) -> None:
        _, writer = await peer.connect()
        writer.write(MESSAGE)
        _, source = await peer.next()
        assert source.connection_id > 0
        assert peer.streams.owner_of(source.connection_id) == 3
        writer.close()

    run(test, rank=3, workers=4)
