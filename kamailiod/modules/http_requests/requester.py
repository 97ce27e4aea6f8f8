"""What makes requests in one process: no request raises, and none waits longer than it may.

Owns the pools of the process's loop and the late import of the HTTP library.
"""

from __future__ import annotations

import asyncio
import importlib
from asyncio import AbstractEventLoop
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from kamailiod.modules.http_requests.answer import HttpAnswer, Times
from kamailiod.modules.http_requests.curl_errors import TIMED_OUT
from kamailiod.modules.http_requests.request import LONGEST_WAIT, HttpRequest, Pooling, Profile
from kamailiod.modules.http_requests.target import Target, TargetError, parse_target
from kamailiod.net.resolver import Resolver

if TYPE_CHECKING:
    from kamailiod.modules.http_requests.exchange import Exchange
    from kamailiod.modules.http_requests.sessions import Sessions

_PACKAGE = "kamailiod.modules.http_requests"
_QUIET_SECONDS = 0.5


class Requester:
    """Makes the HTTP requests of a process; `loop` gives its event loop, None before the fork."""

    def __init__(self, resolver: Resolver, loop: Callable[[], AbstractEventLoop | None]) -> None:
        self._resolver = resolver
        self._loop = loop
        self._sessions: Sessions | None = None
        self._ready = False
        self._preparing: asyncio.Future[None] | None = None

    async def ask(self, request: HttpRequest, profile: Profile) -> HttpAnswer:
        """Return the answer to a request, or libcurl's error for what went wrong.

        On another loop than the process's (mod_init, waits that block) connections are not kept.
        """
        try:
            target = parse_target(request.url)
        except TargetError as error:
            return HttpAnswer(error.number)
        if not self._ready:
            await self._prepare()
        running = asyncio.get_running_loop()
        if running is self._loop():
            return await self._ask(self._kept(running), request, profile, target)
        sessions = _sessions(running, self._resolver)
        try:
            return await self._ask(sessions, request, profile, target)
        finally:
            await sessions.close()

    def prepare_soon(self) -> None:
        """Import the HTTP library before it is asked for, when the process is up and serving."""
        loop = self._loop()
        if loop is not None:
            loop.call_later(_QUIET_SECONDS, self._begin_to_prepare)

    def _begin_to_prepare(self) -> None:
        self._preparing = asyncio.ensure_future(self._prepare())

    async def _prepare(self) -> None:
        # In a thread, so that the process goes on meanwhile.
        for name in ("failures", "exchange"):
            await asyncio.to_thread(importlib.import_module, f"{_PACKAGE}.{name}")
        self._ready = True

    def close(self) -> None:
        """End the connections that are kept, when the process's loop does no longer run."""
        if self._preparing is not None:
            self._preparing.cancel()
        sessions, self._sessions = self._sessions, None
        if sessions is None:
            return
        if sessions.loop.is_closed() or sessions.loop.is_running():
            sessions.abandon()
        else:
            sessions.loop.run_until_complete(sessions.close())

    def _kept(self, loop: AbstractEventLoop) -> Sessions:
        if self._sessions is None or self._sessions.loop is not loop:
            self.close()
            self._sessions = _sessions(loop, self._resolver)
        return self._sessions

    async def _ask(
        self, sessions: Sessions, request: HttpRequest, profile: Profile, target: Target
    ) -> HttpAnswer:
        from kamailiod.modules.http_requests.failures import FAILURES, error_number, is_stale

        seconds = profile.timeout if 0 < profile.timeout < LONGEST_WAIT else LONGEST_WAIT
        started = sessions.loop.time()
        times: Times = {}
        try:
            async with asyncio.timeout(seconds):
                try:
                    exchange = _exchange(sessions, request, profile, target)
                    times = exchange.times
                    answer = await exchange.run()
                except FAILURES as error:
                    if not (profile.pooling.keep and is_stale(error)):
                        raise
                    fresh = replace(profile, pooling=Pooling(interface=profile.pooling.interface))
                    answer = await _exchange(sessions, request, fresh, target).run()
        except TimeoutError:
            answer = HttpAnswer(TIMED_OUT)
        except FAILURES as error:
            answer = HttpAnswer(error_number(error, bool(profile.proxy)))
        answer.times = {name: instant - started for name, instant in times.items()}
        answer.times[b"total"] = sessions.loop.time() - started
        return answer


def _sessions(loop: AbstractEventLoop, resolver: Resolver) -> Sessions:
    from kamailiod.modules.http_requests.sessions import Sessions

    return Sessions(loop, resolver)


def _exchange(
    sessions: Sessions, request: HttpRequest, profile: Profile, target: Target
) -> Exchange:
    from kamailiod.modules.http_requests.exchange import Exchange

    return Exchange(sessions, request, profile, target)
