"""What the server gives to its modules: configuration, counters, stores, sending, other modules.

Owns no behaviour of its own; server.py fills it in.  Members marked "after the fork" must not be
used before child_init.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from kamailiod.cfg import Settings
    from kamailiod.net.address import ListenAddress, Source, Target
    from kamailiod.script.context import Context
    from kamailiod.script.log import Log
    from kamailiod.script.module import Module
    from kamailiod.script.pseudovariables import PseudoVariables
    from shm import HashMap
    from workers import TimerWheel

M = TypeVar("M", bound="Module")


class Network(Protocol):
    """Sending, and what counts as this server (after the fork for sending)."""

    sockets: Sequence[ListenAddress]

    def send(self, target: Target, data: bytes) -> bool:
        """Send at once, opening a connection when needed; False when that failed."""

    def reply_target(self, source: Source, message: object) -> Target:
        """Return where a reply to a request from this source goes (RFC 3261 18.2.2, RFC 3581)."""

    def socket_for(
        self, transport: bytes, host: bytes, received_on: ListenAddress
    ) -> ListenAddress | None:
        """Return the local socket to send from; None when no socket of that transport exists."""

    def is_myself(self, host: bytes, port: int = 0, transport: bytes = b"") -> bool:
        """Whether a host (and port unless 0) is one of this server's addresses or aliases."""

    def resolve(
        self, uri: bytes
    ) -> (
        Sequence[tuple[bytes, bytes, int]]
        | Awaitable[Sequence[tuple[bytes, bytes, int]] | None]
        | None
    ):
        """Return (transport, literal host, port) choices for a URI, best first (RFC 3263).

        At once for literals and what is cached, else an awaitable; None when it cannot be resolved.
        """


class Statistics(Protocol):
    """Shared counters: each process writes its own row."""

    def counter(self, name: str) -> Callable[..., None]:
        """Return increment(by=1) for this process's cell of a statistic (after the fork)."""

    def total(self, name: str) -> int:
        """Return the sum over all processes."""


class Script(Protocol):
    """The script engine of this process (after the fork)."""

    def run_route(
        self, context: Context, name: bytes, done: Callable[[bool], None] | None = None
    ) -> bool:
        """Run a failure, branch or onreply route: the native one, else the Lua function.

        Calls done(ok) when it has ended, at once or after a wait; returns whether it ended at once.
        """

    def run_event(self, module: str, event: str, context: Context | None = None) -> None:
        """Run event_route[module:event] and the module's event_callback, when there is one."""

    def defines(self, name: bytes) -> bool:
        """Whether the Lua script has a global function of this name."""


class Services(Protocol):
    """Everything a module may depend on."""

    settings: Settings
    log: Log
    network: Network
    statistics: Statistics
    variables: PseudoVariables
    defines: Mapping[str, str]
    rank: int
    worker_count: int
    instance: str

    timers: TimerWheel
    loop: AbstractEventLoop
    script: Script

    def module(self, kind: type[M]) -> M:
        """Return another loaded module; it is loaded when it was not (a NOTICE names it)."""

    def loaded(self, name: str) -> bool:
        """Whether a module of this name is loaded."""

    def hash_map(self, store: str, buckets: int, share: float, hash_length: int = 0) -> HashMap:
        """Create (in mod_init) a hash map in a segment of its own.

        `store` names the segment, `share` is its part of the shared memory that -m gives;
        `hash_length` is for stores that ask for one, as shm.HashMap has it.
        """

    def on_worker(self, name: str, function: Callable[..., object]) -> None:
        """Register (in __init__) a function that other processes may call by `tell_worker`."""

    def tell_worker(self, rank: int, name: str, *arguments: object) -> bool:
        """Have a registered function run in another process; arguments are what msgpack holds."""

    def faked_context(self) -> Context:
        """Return a context with a faked message, for runs that have none."""
