"""A server without processes and sockets for tests of modules: what Services promises, recorded."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from kamailiod.net.address import ListenAddress, Source, Target
from kamailiod.net.network import Network
from kamailiod.net.resolver import Resolver
from kamailiod.script.context import Context, Route
from kamailiod.script.databases import Databases
from kamailiod.script.log import DEBUG, Log
from kamailiod.script.module import Module
from kamailiod.script.redis_servers import RedisServers
from kamailiod.sip.message import parse
from shm import HashMap, Segment
from shm.layout import PAYLOAD, WORD
from workers import TimerWheel

LISTEN = ListenAddress(0, b"udp", b"127.0.0.1", 5060)
_numbers = itertools.count()


class FakeNetwork(Network):
    """Keeps what is sent; replies go back to where the request came from."""

    def __init__(self) -> None:
        super().__init__([LISTEN], [], Resolver())
        self.sent: list[tuple[Target, bytes]] = []
        self.names = {b"127.0.0.1", b"example.com"}
        self.own_checks: list[Callable[[bytes], bool]] = []

    def send(self, target: Target, data: bytes) -> bool:
        self.sent.append((target, data))
        return True

    def reply_target(self, source: Source, message: object) -> Target:
        return Target(source.local.transport, source.host, source.port, source.local)

    def socket_for(
        self, transport: bytes, host: bytes, received_on: ListenAddress
    ) -> ListenAddress | None:
        return next((s for s in self.sockets if s.transport == transport), None)

    def is_myself(self, host: bytes, port: int = 0, transport: bytes = b"") -> bool:
        return host in self.names or any(check(host) for check in self.own_checks)

    def own_also(self, check: Callable[[bytes], bool]) -> None:
        self.own_checks.append(check)

    def resolve(self, uri: bytes) -> None:
        return None


class FakeStatistics:
    """Counts by name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def counter(self, name: str) -> Callable[..., None]:
        def increment(by: int = 1) -> None:
            self.counts[name] += by

        return increment

    def adder(self, name: str) -> Callable[[int], None]:
        return self.counter(name)

    def find(self, name: str) -> str | None:
        return next((n for n in self.counts if name in (n, n.partition(":")[2])), None)

    def total(self, name: str) -> int:
        return self.counts[name]


class FakeScript:
    """Keeps which routes and events were run."""

    def __init__(self) -> None:
        self.routes: list[bytes] = []
        self.events: list[str] = []
        self.named: dict[bytes, object] = {}

    def run_route(
        self, context: Context, name: bytes, done: Callable[[bool], None] | None = None
    ) -> bool:
        self.routes.append(name)
        if done is not None:
            done(True)
        return True

    def run_named(
        self,
        context: Context,
        name: bytes,
        event: bytes = b"",
        done: Callable[[bool], None] | None = None,
    ) -> bool:
        return self.run_route(context, name, done)

    def run_event(self, module: str, event: str, context: Context | None = None) -> None:
        self.events.append(f"{module}:{event}")

    def hears(self, module: str, event: str) -> bool:
        return True

    def defines(self, name: bytes) -> bool:
        return False

    def named_route(self, name: bytes) -> object | None:
        return self.named.get(name)

    def run_function(self, name: bytes, context: Context) -> bool:
        return self.defines(name) and self.run_route(context, name)


class FakeServices:
    """Services over real shared memory; `close` unlinks its segments."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.log = Log(DEBUG, write=lambda level, text: self.lines.append(text))
        self.settings = SimpleNamespace(signature_lines=lambda name: (), max_branches=12)
        self.reply_signature: tuple[bytes, ...] = ()
        self.request_signature: tuple[bytes, ...] = ()
        self.network = FakeNetwork()
        self.statistics = FakeStatistics()
        self.script = FakeScript()
        self.timers = TimerWheel(None)
        self.defines: Mapping[str, str] = {}
        self.config_file = "/nowhere/kamailio.cfg"
        self.rank = 1
        self.worker_count = 1
        self.instance = f"test-{os.getpid()}-{next(_numbers)}"
        self.functions: dict[str, Callable[..., object]] = {}
        self.modules: dict[type[Module], Module] = {}
        self.segments: list[Segment] = []
        self.maps: dict[str, HashMap] = {}
        self.loop: Any = None
        self.databases = Databases(lambda: self.loop, self.log)
        self.redis = RedisServers(lambda: self.loop, self.log)
        self._variables: Any = None

    @property
    def variables(self) -> Any:
        if self._variables is None:
            from kamailiod.script.pseudovariables import PseudoVariables

            self._variables = PseudoVariables(self.log)
        return self._variables

    def module(self, kind: type[Module]) -> Any:
        if kind not in self.modules:
            self.load(kind)
        return self.modules[kind]

    def load(self, kind: type[Module], **params: object) -> Any:
        """Make a module with modparams, those it asks for before it."""
        module = kind(kind.Params(**params), self)
        self.modules[kind] = module
        return module

    def start(self, rank: int = 1) -> None:
        """Run mod_init and child_init of all modules in the order of loading."""
        for module in list(self.modules.values()):
            module.mod_init()
        for module in list(self.modules.values()):
            module.child_init(rank)

    def loaded(self, name: str) -> bool:
        return any(kind.name == name for kind in self.modules)

    def hash_map(self, store: str, buckets: int, share: float, **options: Any) -> HashMap:
        size = HashMap.segment_size(buckets, 4 << 20)
        segment = Segment.create(self.instance, store, size)
        self.segments.append(segment)
        self.maps[store] = HashMap(segment, buckets, **options)
        return self.maps[store]

    def words(self, store: str, count: int) -> memoryview:
        segment = Segment.create(self.instance, store, PAYLOAD + count * WORD)
        self.segments.append(segment)
        return segment.words[PAYLOAD // WORD :][:count]

    def on_worker(self, name: str, function: Callable[..., object]) -> None:
        self.functions[name] = function

    def tell_worker(self, rank: int, name: str, *arguments: object) -> bool:
        self.functions[name](*arguments)
        return True

    def faked_context(self) -> Context:
        return context_of(
            b"OPTIONS sip:you@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKf\r\n"
            b"From: <sip:me@127.0.0.1>;tag=1\r\nTo: <sip:you@127.0.0.1>\r\nCall-ID: fake\r\n"
            b"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )

    def close(self) -> None:
        """Unlink the segments."""
        for segment in self.segments:
            segment.unlink()
            segment.close()


def context_of(
    data: bytes,
    route: Route = Route.REQUEST,
    source: tuple[bytes, int] = (b"127.0.0.1", 5080),
    listen: ListenAddress = LISTEN,
) -> Context:
    """Return the context of a message as if it had just been received."""
    return Context(parse(data), Source(listen, source[0], source[1], 0, 0.0), route)
