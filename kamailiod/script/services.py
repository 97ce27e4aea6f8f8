"""What the server gives to its modules: configuration, counters, stores, sending, other modules.

Owns no behaviour of its own; server.py fills it in.  Members marked "after the fork" must not be
used before child_init.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from kamailiod.cfg import Settings
    from kamailiod.net.network import Network
    from kamailiod.script.context import Context
    from kamailiod.script.databases import Databases
    from kamailiod.script.log import Log
    from kamailiod.script.module import Module
    from kamailiod.script.pseudovariables import PseudoVariables
    from kamailiod.script.redis_servers import RedisServers
    from shm import HashMap
    from workers import TimerWheel

M = TypeVar("M", bound="Module")


class Statistics(Protocol):
    """Shared counters: each process writes its own row."""

    names: Sequence[str]

    def counter(self, name: str) -> Callable[..., None]:
        """Return increment(by=1) for this process's cell of a statistic (after the fork)."""

    def adder(self, name: str) -> Callable[[int], None]:
        """Return add(number), also below zero, for this process's cell (after the fork)."""

    def find(self, name: str) -> str | None:
        """Return the full name of a statistic given as "group:name" or "name"; None without."""

    def total(self, name: str) -> int:
        """Return the sum over all processes."""

    def reset(self, name: str) -> None:
        """Let the total of a statistic start at 0 again."""


class Script(Protocol):
    """The script engine of this process (after the fork)."""

    def run_route(
        self, context: Context, name: bytes, done: Callable[[bool], None] | None = None
    ) -> bool:
        """Run a failure, branch or onreply route: the native one, else the Lua function.

        Calls done(ok) when it has ended, at once or after a wait; returns whether it ended at once.
        """

    def run_named(
        self, context: Context, name: bytes, event: bytes = b"",
        done: Callable[[bool], None] | None = None,
    ) -> bool:  # fmt: skip
        """Run native route[name], else the Lua function of that name, with the event's name.

        Calls done(ok) when it has ended, not ok without such a one; returns whether at once.
        """

    def run_event(self, module: str, event: str, context: Context | None = None) -> None:
        """Run event_route[module:event] and the module's event_callback, when there is one."""

    def hears(self, module: str, event: str) -> bool:
        """Whether run_event would run anything: for those who have much to tell."""

    def defines(self, name: bytes) -> bool:
        """Whether the Lua script has a global function of this name."""

    def run_function(self, name: bytes, context: Context) -> bool:
        """Run a Lua global function over a context when it is defined; whether it is."""

    def named_route(self, name: bytes) -> object | None:
        """Return native route[name] as a function that only the script can call; None without."""

    def call(self, context: Context, name: bytes, *arguments: bytes) -> int:
        """Run a Lua global function to its end; 1, or -1 when it failed or there is none."""

    def run_text(self, context: Context, text: bytes) -> int:
        """Run Lua text in the script's state; 1, or -1 when it failed."""

    def run_file(self, context: Context, path: str) -> int:
        """Run a Lua file in the script's state; 1, or -1 when it failed."""

    def reload(self) -> None:
        """Run the script files again; raises LuaError and changes nothing when one is bad."""


class Services(Protocol):
    """Everything a module may depend on."""

    settings: Settings
    log: Log
    network: Network
    variables: PseudoVariables
    databases: Databases
    redis: RedisServers
    defines: Mapping[str, str]
    rank: int
    worker_count: int
    instance: str
    config_file: str
    reply_signature: tuple[bytes, ...]
    request_signature: tuple[bytes, ...]

    timers: TimerWheel
    loop: AbstractEventLoop

    @property
    def maps(self) -> Mapping[str, HashMap]:
        """The maps in shared memory, by the names of their stores."""

    @property
    def statistics(self) -> Statistics:
        """The shared counters."""

    @property
    def script(self) -> Script:
        """The script engine (after mod_init)."""

    def module(self, kind: type[M]) -> M:
        """Return another loaded module; it is loaded when it was not (a NOTICE names it)."""

    def loaded(self, name: str) -> bool:
        """Whether a module of this name is loaded."""

    def hash_map(
        self,
        store: str,
        buckets: int,
        share: float,
        hash_length: int = 0,
        code: Callable[[bytes], int] | None = None,
        weigh: Callable[[bytes], int] | None = None,
    ) -> HashMap:
        """Create (in mod_init) a hash map in a segment of its own.

        `store` names the segment, `share` is its part of the shared memory that -m gives; the
        others are for stores that ask for them, as shm.HashMap has them.
        """

    def words(self, store: str, count: int) -> memoryview:
        """Create (in mod_init) an array of 64-bit numbers, all 0, in a segment of its own.

        Storing one is one aligned store, which other processes see whole or not at all.
        """

    def on_worker(self, name: str, function: Callable[..., object]) -> None:
        """Register (in __init__) a function that other processes may call by `tell_worker`."""

    def tell_worker(self, rank: int, name: str, *arguments: object) -> bool:
        """Have a registered function run in another process; arguments are what msgpack holds."""

    def faked_context(self) -> Context:
        """Return a context with a faked message, for runs that have none."""
