"""A DNS server of a test's own: answers from a zone text, on a free port of 127.0.0.1."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class _Answering(asyncio.DatagramProtocol):
    def __init__(self, zone: list[dns.rrset.RRset]) -> None:
        self._zone = zone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        reply = dns.message.make_response(query)
        found = [r for r in self._zone if (r.name, r.rdtype) == (question.name, question.rdtype)]
        reply.answer.extend(found)
        if not found:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        reply.flags |= dns.flags.RA
        self._transport.sendto(reply.to_wire(), peer)


@contextmanager
def name_server(records: list[tuple[str, str, list[str]]]) -> Iterator[tuple[str, int]]:
    """Serve (name, type, texts) records while the context lasts; gives address and port."""
    zone = [dns.rrset.from_text(name, 60, "IN", kind, *texts) for name, kind, texts in records]
    loop = asyncio.new_event_loop()
    started = Event()
    ports: list[int] = []

    async def serve() -> None:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Answering(zone), local_addr=("127.0.0.1", 0)
        )
        ports.append(transport.get_extra_info("sockname")[1])
        started.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()
        loop.close()

    thread = Thread(target=run, daemon=True)
    thread.start()
    started.wait(10)
    try:
        yield "127.0.0.1", ports[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
