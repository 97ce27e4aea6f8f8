"""A whole worker without sockets and clock: receiver, tm, sl, rr and a script in Python.

The phones are lists of datagrams: what the proxy sends stays in `sent`.
"""

from __future__ import annotations

from asyncio import new_event_loop
from collections.abc import Callable, Sequence
from typing import Any

from kamailiod.modules.rr import Rr
from kamailiod.modules.sl import Sl
from kamailiod.modules.tm import Tm
from kamailiod.net.address import ListenAddress, Source, Target
from kamailiod.net.network import Network
from kamailiod.net.resolver import Resolution, Resolver
from kamailiod.receive import Receiver
from kamailiod.script.context import Branch, Context
from kamailiod.sip.message import SipMessage, parse
from lua import Wait
from tests.kamailiod.fakes import LISTEN, FakeScript, FakeServices
from workers import TimerWheel

Step = Callable[[Context], Any]
CALLER = (b"127.0.0.1", 5080)


class Wire:
    """Stands for the UDP sockets; ports in `broken` cannot be reached."""

    def __init__(self) -> None:
        self.sent: list[tuple[Target, bytes]] = []
        self.broken: set[int] = set()

    def send(self, target: Target, data: bytes) -> bool:
        if target.port in self.broken:
            return False
        self.sent.append((target, data))
        return True


class LookedUpNetwork(Network):
    """The real network; names are looked up by `look_up(uri)` when there is one."""

    look_up: Callable[[bytes], Resolution] | None = None

    def resolve(self, uri: bytes) -> Resolution:
        return super().resolve(uri) if self.look_up is None else self.look_up(uri)


class PythonScript(FakeScript):
    """Routes that are Python functions; one that returns a Wait goes on with its result."""

    def __init__(self) -> None:
        super().__init__()
        self.named: dict[bytes, Step] = {}
        self.request_route: Any = None
        self.reply_route: Any = None
        self.waiting = 0
        self.held: list[Callable[[], object]] = []

    def run(self, context: Context, function: Step, done: Callable[[bool], object]) -> bool:
        """Run a route; a result of `...` holds it until `go_on`."""
        try:
            result = function(context)
        except ZeroDivisionError:
            done(False)
            return True
        if callable(result):
            self.waiting += 1

            def resume() -> None:
                self.waiting -= 1
                result()
                done(True)

            self.held.append(resume)
            return False
        done(True)
        return True

    def run_route(
        self, context: Context, name: bytes, done: Callable[[bool], None] | None = None
    ) -> bool:
        self.routes.append(name)
        return self.run(
            context, self.named.get(name, lambda context: None), done or (lambda ok: None)
        )

    def go_on(self) -> None:
        """Let all that waits have its result."""
        held, self.held = self.held, []
        for resume in held:
            resume()


class ProxyWorld:
    """One worker; `script.request_route` is by default: relay everything."""

    def __init__(
        self, services: FakeServices, listen: Sequence[ListenAddress] = (LISTEN,),
        static: dict[bytes, Sequence[bytes]] | None = None, **params: object,
    ) -> None:  # fmt: skip
        self.now = 1000.0
        self.services = services
        self.wire = Wire()
        self.script = PythonScript()
        self.script.request_route = lambda context: self.relay(context)
        services.script = self.script
        services.timers = TimerWheel(None, clock=lambda: self.now)
        resolver = Resolver()
        resolver.add_static(static or {})
        network = LookedUpNetwork(listen, [(b"proxy.example", 0, b"")], resolver)
        network.open(self.wire, None, lambda *a: False, lambda: None, lambda: None)  # type: ignore[arg-type]  # a fake of the sockets
        services.network = network  # type: ignore[assignment]  # the real one
        self.network = network
        self.sl: Sl = services.module(Sl)
        self.tm: Tm = services.load(Tm, **params)
        self.rr: Rr = services.module(Rr)
        services.start()
        self.handed: list[int] = []
        self.receiver = Receiver(
            1, services.worker_count, 0, network, self.script, self.tm, self.sl, services.log,  # type: ignore[arg-type]  # a script in Python
            services.statistics.counter, lambda seconds: None,
            lambda rank, data, source: bool(self.handed.append(rank)) or True, 100, False,
        )  # fmt: skip

    def relay(self, context: Context, to: Sequence[int] = ()) -> int:
        """Relay to ports of 127.0.0.1, or where the request URI says."""
        for number, port in enumerate(to):
            uri = b"sip:b@127.0.0.1:%d" % port
            if number == 0:
                context.set_uri(uri)
            else:
                context.branches.append(Branch(uri))
        result = self.tm.t_relay(context)
        if isinstance(result, Wait):
            loop = new_event_loop()
            try:
                result = loop.run_until_complete(result.awaitable_factory())  # type: ignore[arg-type]  # a coroutine
            finally:
                loop.close()
        assert isinstance(result, int)
        return result

    def receive(
        self, data: bytes, source: tuple[bytes, int] = CALLER, listen: ListenAddress = LISTEN,
        connection: int = 0,
    ) -> None:  # fmt: skip
        self.receiver.receive(data, Source(listen, *source, connection, self.now))

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 0.1, end)
            self.services.timers.advance(self.now)

    def invite(self, branch: bytes = b"up", **changes: bytes) -> None:
        self.request(b"INVITE", branch, **changes)

    def request(
        self, method: bytes, branch: bytes = b"up", uri: bytes = b"sip:b@127.0.0.1:6001",
        more: bytes = b"", to: bytes = b"<sip:b@b.example>", cseq: int = 1,
        max_forwards: bytes = b"70", body: bytes = b"", call_id: bytes = b"call",
        via: bytes = b"SIP/2.0/UDP 127.0.0.1:5080",
    ) -> None:  # fmt: skip
        self.receive(
            b"%s %s SIP/2.0\r\nVia: %s;branch=z9hG4bK%s\r\n"
            b"From: <sip:a@a.example>;tag=caller\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n"
            b"Max-Forwards: %s\r\n%sContent-Length: %d\r\n\r\n%s"
            % (method, uri, via, branch, to, call_id, cseq, method, max_forwards, more, len(body),
               body)
        )  # fmt: skip

    def answer(
        self, code: int, port: int = 6001, method: bytes = b"INVITE", more: bytes = b"",
        tag: bytes = b"", number: int = -1,
    ) -> bytes:  # fmt: skip
        """Answer the last request of a method that went to a port; returns the reply's bytes."""
        sent = self.to(port, method)[number]
        to = sent.header(b"to") or b""
        data = b"\r\n".join([
            b"SIP/2.0 %d Reason %d" % (code, code),
            *[b"Via: " + via for via in sent.headers(b"via")],
            *[b"Record-Route: " + route for route in sent.headers(b"record-route")],
            b"From: " + (sent.header(b"from") or b""),
            b"To: " + (to if b"tag=" in to else to + b";tag=" + (tag or b"callee%d" % port)),
            b"Call-ID: " + sent.call_id,
            b"CSeq: " + (sent.header(b"cseq") or b""),
        ]) + b"\r\n" + more + b"Content-Length: 0\r\n\r\n"  # fmt: skip
        self.receive(data, (b"127.0.0.1", port))
        return data

    def to(self, port: int, method: bytes = b"") -> list[SipMessage]:
        """The requests that went to a port."""
        found = [parse(data) for target, data in self.wire.sent if target.port == port]
        for message in found:
            assert message.fault is None
        return [m for m in found if m.is_request and (not method or m.method == method)]

    def methods(self, port: int) -> list[bytes]:
        return [message.method for message in self.to(port)]

    @property
    def replies(self) -> list[SipMessage]:
        """The replies that went to the caller."""
        return [
            found for target, data in self.wire.sent
            if (target.host, target.port) == CALLER and not (found := parse(data)).is_request
        ]  # fmt: skip

    @property
    def codes(self) -> list[int]:
        return [reply.status for reply in self.replies]

    @property
    def finals(self) -> list[int]:
        return [code for code in self.codes if code >= 200]

    def assert_empty(self) -> None:
        """After all has ended nothing is kept."""
        self.pass_time(400)
        tables = self.tm.transactions
        assert not tables.servers
        assert not tables.clients
        assert not tables.pending
        assert len(self.services.timers) == 0
