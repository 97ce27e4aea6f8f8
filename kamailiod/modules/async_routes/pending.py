"""The requests and pieces of data of one process that wait for their route to run.

Owns how many there may be and when they go on; suspending transactions is tm's.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.script.context import Context, Route
from kamailiod.script.services import Services
from kamailiod.script.suspension import Suspension

MOST = 65536
"""Routes of one worker that may be pending; a further one fails at once."""

NOTE = "async"


class Pending:
    """What waits; a route runs in the process in which it was asked for."""

    def __init__(self, services: Services, suspension: Callable[[], Suspension]) -> None:
        self._services = services
        self._suspension = suspension
        self._count = 0

    def pause(self, context: Context) -> bool:
        """Suspend a context's transaction until `resume`; False when that cannot be."""
        paused = self._suspend(context) is not None
        self._count += paused
        return paused

    def resume(self, context: Context) -> bool:
        """Undo `pause`; False when the transaction has got its answer meanwhile."""
        self._count -= 1
        server = context.transaction
        if server is None or self._suspension().take(*server.identity) is None:
            return False
        return not server.final_code

    def later(
        self, context: Context, route: bytes, seconds: float, group: bytes | None = None
    ) -> bool:
        """Suspend a transaction and run a route over it after a time, or as soon as may be.

        False when it cannot be suspended. What is cancelled or times out meanwhile has its answer,
        and the route does not run.
        """
        identity = self._suspend(context)
        if identity is None:
            return False
        self._after(seconds, lambda: self._go_on(identity, route, group))
        return True

    def data(self, route: bytes, event: bytes, group: bytes, data: bytes) -> bool:
        """Run a route over a faked message with data; False when too many are pending."""
        if self._count >= MOST:
            return False

        def run() -> None:
            context = self._services.faked_context()
            context.route = Route.REQUEST
            context.shared.notes[NOTE] = (group, data)
            self._services.script.run_named(context, route, event)

        self._after(0.0, run)
        return True

    def _suspend(self, context: Context) -> tuple[int, int] | None:
        message = context.message
        # What was not received, as in the routes of timers, comes from no port.
        if not message.is_request or message.method == b"ACK" or not context.source.port:
            return None
        if self._count >= MOST or not self._suspension().suspend(context):
            return None
        return None if context.transaction is None else context.transaction.identity

    def _after(self, seconds: float, work: Callable[[], None]) -> None:
        self._count += 1

        def due() -> None:
            self._count -= 1
            work()

        # The loop's own timers are finer than those of the wheel: a delay of 10 ms is one.
        if seconds > 0:
            self._services.loop.call_later(seconds, due)
        else:
            self._services.loop.call_soon(due)

    def _go_on(self, identity: tuple[int, int], route: bytes, group: bytes | None) -> None:
        suspension = self._suspension()

        def run(context: Context) -> None:
            notes = context.shared.notes
            if group is not None:
                notes[NOTE] = (group, None)

            def ended(ok: bool) -> None:
                notes.pop(NOTE, None)
                suspension.settle(context)

            self._services.script.run_named(context, route, b"", ended)

        suspension.resume(*identity, run)

    def __len__(self) -> int:
        return self._count
