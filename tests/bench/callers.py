"""Callers and a callee in one process: calls at a steady rate, and how long each took to set up.

For scripts that wait, where sipp's figures are too coarse; it asserts nothing.
"""

from __future__ import annotations

import asyncio
import statistics
from dataclasses import dataclass, field
from typing import cast

_FIRST_REPEAT, _LONGEST_REPEAT = 0.5, 4.0


@dataclass(slots=True)
class Report:
    """What came of the calls: seconds of those that got 200, codes of the others, 0 for none.

    `slowest_failure` is how many seconds the latest of the other answers took.
    """

    seconds: list[float] = field(default_factory=list)
    failures: dict[int, int] = field(default_factory=dict)
    slowest_failure: float = 0.0

    def __str__(self) -> str:
        good = len(self.seconds)
        failed = sum(self.failures.values())
        text = f"{good} good, {failed} failed {self.failures or ''}"
        if good < 2:
            return text
        percentiles = statistics.quantiles(self.seconds, n=100)
        return (f"{text}; set-up median {percentiles[49] * 1000:.0f} ms, "
                f"99th percentile {percentiles[98] * 1000:.0f} ms")  # fmt: skip


class Callee(asyncio.DatagramProtocol):
    """Answers each INVITE and BYE with 200 at once, an INVITE again until its ACK is there."""

    transport: asyncio.DatagramTransport

    def __init__(self) -> None:
        self._repeats: dict[bytes, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    @property
    def port(self) -> int:
        return int(self.transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if data.startswith((b"ACK", b"SIP/2.0")):
            self._stop(_call_id(data))
            return
        lines = [
            line for line in data.partition(b"\r\n\r\n")[0].split(b"\r\n")
            if line.partition(b":")[0].lower() in
            (b"via", b"from", b"to", b"call-id", b"cseq", b"record-route")
        ]  # fmt: skip
        tagged = [line + b";tag=callee" if _is_bare_to(line) else line for line in lines]
        contact = b"Contact: <sip:bob@127.0.0.1:%d>" % self.port
        reply = (b"SIP/2.0 200 OK", *tagged, contact, b"Content-Length: 0", b"", b"")
        answer = b"\r\n".join(reply)
        if data.startswith(b"INVITE"):
            self._stop(_call_id(data))
            self._repeat(_call_id(data), answer, address, _FIRST_REPEAT)
        self.transport.sendto(answer, address)

    def _repeat(self, name: bytes, answer: bytes, address: tuple[str, int], pause: float) -> None:
        # RFC 3261 13.3.1.4: nobody else repeats a 200 that was lost.
        def again() -> None:
            self.transport.sendto(answer, address)
            self._repeat(name, answer, address, pause * 2)

        if pause > 32 * _FIRST_REPEAT:
            self._repeats.pop(name, None)
            return
        self._repeats[name] = asyncio.get_running_loop().call_later(
            min(pause, _LONGEST_REPEAT), again
        )

    def _stop(self, name: bytes) -> None:
        timer = self._repeats.pop(name, None)
        if timer is not None:
            timer.cancel()


class Callers(asyncio.DatagramProtocol):
    """Makes calls to a server; one that is not answered within `patience` seconds has failed."""

    transport: asyncio.DatagramTransport

    def __init__(self, server: tuple[str, int], callee_port: int, patience: float) -> None:
        self._server = server
        self._callee_port = callee_port
        self._patience = patience
        self._waiting: dict[bytes, asyncio.Future[int]] = {}
        self._seen: set[bytes] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if not data.startswith(b"SIP/2.0"):
            return
        code = int(data[8:11])
        name = _call_id(data)
        if code < 200:
            self._seen.add(name)
            return
        self._acknowledge(data, name, code)
        waiting = self._waiting.get(name)
        if waiting is not None and not waiting.done():
            waiting.set_result(code)

    async def run(self, rate: int, seconds: float) -> Report:
        """Start calls at a rate for some seconds, wait for the last, and return the report."""
        report = Report()
        loop = asyncio.get_running_loop()
        start = loop.time()
        calls = []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + number / rate - loop.time()))
            calls.append(loop.create_task(self._call(number, report)))
        await asyncio.gather(*calls)
        return report

    async def _call(self, number: int, report: Report) -> None:
        loop = asyncio.get_running_loop()
        name = b"%d-%d@bench" % (number, id(report))
        answered = self._waiting[name] = loop.create_future()
        start = loop.time()
        repeating = loop.create_task(self._invite(name))
        try:
            async with asyncio.timeout(self._patience):
                code = await answered
        except TimeoutError:
            code = 0
        repeating.cancel()
        del self._waiting[name]
        self._seen.discard(name)
        if code == 200:
            report.seconds.append(loop.time() - start)
        else:
            report.failures[code] = report.failures.get(code, 0) + 1
            report.slowest_failure = max(report.slowest_failure, loop.time() - start)

    async def _invite(self, name: bytes) -> None:
        pause = _FIRST_REPEAT
        while name not in self._seen:
            self._send(b"INVITE", name, b"")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_REPEAT)

    def _acknowledge(self, data: bytes, name: bytes, code: int) -> None:
        to_tag = data.partition(b"\r\nTo: ")[2].partition(b"\r\n")[0].partition(b";tag=")[2]
        self._send(b"ACK", name, b";tag=" + to_tag, to_callee=code < 300)

    def _send(self, method: bytes, name: bytes, to_tag: bytes, to_callee: bool = False) -> None:
        host, port = self._server
        own = self.transport.get_extra_info("sockname")[1]
        branch = b"z9hG4bK" + name.replace(b"@", b"-") + (b"a" if to_callee else b"")
        uri = b"sip:bob@%b:%d" % (host.encode(), port)
        data = b"\r\n".join((
            b"%b %b SIP/2.0" % (method, uri),
            b"Via: SIP/2.0/UDP 127.0.0.1:%d;rport;branch=%b" % (own, branch),
            b"Max-Forwards: 70",
            b"From: <sip:alice@127.0.0.1>;tag=caller",
            b"To: <" + uri + b">" + to_tag,
            b"Call-ID: " + name,
            b"CSeq: 1 " + method,
            b"Contact: <sip:alice@127.0.0.1:%d>" % own,
            b"Content-Length: 0", b"", b"",
        ))  # fmt: skip
        self.transport.sendto(data, (host, self._callee_port if to_callee else port))


async def measure(
    server: tuple[str, int], callee: Callee, rate: int, seconds: float, patience: float = 10.0
) -> Report:
    """Make calls to a server and report them."""
    loop = asyncio.get_running_loop()
    transport, callers = await loop.create_datagram_endpoint(
        lambda: Callers(server, callee.port, patience), local_addr=("127.0.0.1", 0)
    )
    try:
        return await callers.run(rate, seconds)
    finally:
        transport.close()


def _call_id(data: bytes) -> bytes:
    return data.partition(b"\r\nCall-ID: ")[2].partition(b"\r\n")[0]


def _is_bare_to(line: bytes) -> bool:
    return line[:3].lower() == b"to:" and b";tag=" not in line
