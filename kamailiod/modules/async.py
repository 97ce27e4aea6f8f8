"""Module async: requests that a route handles later, and routes that run beside them.

Owns the script functions, $async and the modparams; what is pending is in async_routes/.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from kamailiod.modules.async_routes.params import AsyncParams
from kamailiod.modules.async_routes.pending import MOST, NOTE, Pending
from kamailiod.modules.tm import Tm
from kamailiod.script.context import Context, Route, Value
from kamailiod.script.module import Module, kemi, variable_factory
from kamailiod.script.services import Services
from kamailiod.script.variables.accessor import Accessor, Specification
from lua import Wait

_ROUTES = Route.REQUEST | Route.FAILURE
_MOST_SECONDS, _MOST_MILLISECONDS = 100, 30000
_DEFAULT_GROUP = b"default"
_DATA_EVENT = b"async:task-data"


class Async(Module):
    """Requests that go on later, in the worker they came to; `workers` are not needed for it."""

    name: ClassVar[str] = "async"
    Params: ClassVar[type[AsyncParams]] = AsyncParams
    params: AsyncParams
    without_effect: ClassVar[tuple[str, ...]] = ("workers",)

    def __init__(self, params: AsyncParams, services: Services) -> None:
        super().__init__(params, services)
        tm = services.module(Tm)
        self._pending = Pending(services, lambda: tm.suspension)

    @kemi("async.route", native="async_route", routes=_ROUTES)
    def route(self, context: Context, name: bytes, seconds: int) -> int:
        """Suspend the transaction and run a route over it after 1 to 100 seconds.

        What modparam return says (0, which ends a native route), or -1.
        """
        if not self._is_time(seconds, _MOST_SECONDS):
            return -1
        return self._later(context, name, seconds)

    @kemi("async.ms_route", native="async_ms_route", routes=_ROUTES)
    def ms_route(self, context: Context, name: bytes, milliseconds: int) -> int:
        """Suspend the transaction and run a route over it after 1 to 30,000 milliseconds.

        As async_route; -1 also when modparam ms_timer is 0, as it is by default.
        """
        if not self._has_ms_timer() or not self._is_time(milliseconds, _MOST_MILLISECONDS):
            return -1
        return self._later(context, name, milliseconds / 1000)

    @kemi(native="async_sleep", routes=_ROUTES, waits=True)
    def sleep(self, context: Context, seconds: int) -> int | Wait:
        """Suspend the transaction for 1 to 100 seconds, then go on: 1, or -1 when it cannot be.

        0, which ends the script, when the transaction got its answer meanwhile, by a CANCEL or so.
        """
        if not self._is_time(seconds, _MOST_SECONDS):
            return -1
        return self._pause(context, seconds)

    @kemi(native="async_ms_sleep", routes=_ROUTES, waits=True)
    def ms_sleep(self, context: Context, milliseconds: int) -> int | Wait:
        """Do as async_sleep with 1 to 30,000 milliseconds; -1 when modparam ms_timer is 0."""
        if not self._has_ms_timer() or not self._is_time(milliseconds, _MOST_MILLISECONDS):
            return -1
        return self._pause(context, milliseconds / 1000)

    @kemi("async.task_route", native="async_task_route", routes=_ROUTES)
    def task_route(self, context: Context, name: bytes) -> int:
        """Suspend the transaction and run a route over it as soon as this worker is free."""
        return self._later(context, name, 0.0, _DEFAULT_GROUP)

    @kemi("async.task_group_route", native="async_task_group_route", routes=_ROUTES)
    def task_group_route(self, context: Context, name: bytes, group: bytes) -> int:
        """Do as async_task_route; the group's name is then in $async(gname), and no more than that.

        There are no processes that do nothing but tasks.
        """
        return self._later(context, name, 0.0, group)

    @kemi("async.task_data", native="async_task_data")
    def task_data(self, context: Context, name: bytes, data: bytes) -> int:
        """Run a route over a faked message soon, with data in $async(data): 1 or -1."""
        return self.task_group_data(context, name, _DEFAULT_GROUP, data)

    @kemi("async.task_group_data", native="async_task_group_data")
    def task_group_data(self, context: Context, name: bytes, group: bytes, data: bytes) -> int:
        """Do as async_task_data, with a group's name in $async(gname)."""
        if not self._can_run(name):
            return -1
        if not self._pending.data(name, _DATA_EVENT, group, data):
            self.services.log.error(self.name, f"{MOST} routes are pending")
            return -1
        return 1

    @kemi("async.get_gname", native=())
    def get_gname(self, context: Context) -> bytes:
        """Return the group's name in the route of a task, else the empty string."""
        return _noted(context)[0] or b""

    @kemi("async.get_data", native=())
    def get_data(self, context: Context) -> bytes:
        """Return the data in the route of async_task_data, else the empty string."""
        return _noted(context)[1] or b""

    @variable_factory("async")
    def variable(self, specification: Specification) -> Accessor | None:
        """$async(gname), $async(data): the group's name and the data of a task; null without."""
        place = {b"gname": 0, b"data": 1}.get(specification.inner)
        if place is None:
            return None

        def get(context: Context) -> Value:
            return _noted(context)[place]

        return Accessor(get)

    def _later(
        self, context: Context, route: bytes, seconds: float, group: bytes | None = None
    ) -> int:
        if not self._can_run(route):
            return -1
        if not self._pending.later(context, route, seconds, group):
            self.services.log.error(self.name, "this transaction cannot be suspended")
            return -1
        # `params.return` would be no expression.
        return int(getattr(self.params, "return"))

    def _pause(self, context: Context, seconds: float) -> int | Wait:
        if not self._pending.pause(context):
            self.services.log.error(self.name, "this transaction cannot be suspended")
            return -1

        async def later() -> int:
            await asyncio.sleep(seconds)
            return 1 if self._pending.resume(context) else 0

        return Wait(later)

    def _can_run(self, route: bytes) -> bool:
        script = self.services.script
        if script.named_route(route) is not None or script.defines(route):
            return True
        self.services.log.error(self.name, f"async route not found: {route[:64]!r}")
        return False

    def _is_time(self, number: int, most: int) -> bool:
        if 0 < number <= most:
            return True
        self.services.log.error(self.name, f"a time is 1 to {most}, not {number}")
        return False

    def _has_ms_timer(self) -> bool:
        if self.params.ms_timer > 0:
            return True
        self.services.log.error(self.name, "milliseconds need modparam ms_timer")
        return False


def _noted(context: Context) -> tuple[bytes | None, bytes | None]:
    found = context.shared.notes.get(NOTE)
    return found if isinstance(found, tuple) else (None, None)
