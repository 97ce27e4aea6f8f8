"""Coarse timers by the thousand for one process; knows nothing of what they are for.

Every timer falls into the bucket of the tick in which it is due. Buckets are made when their
first timer comes and stand in a heap, so the loop wakes up only for ticks that hold timers, and a
delay of hours costs as little as one of a second.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Protocol

GRANULARITY = 0.05
_COARSE_FROM = 300.0
_COARSE_SECONDS = 1.0
_NEVER = 1 << 62
_ALARM_SLACK = 0.001

Bucket = dict["Timer", None]


class Alarm(Protocol):
    """What `call_later` returns."""

    def cancel(self) -> None:
        """Make the call not happen."""


CallLater = Callable[[float, Callable[[], None]], Alarm]


class TimerWheel:
    """Schedules callbacks in ticks of `granularity` seconds; a timer never fires early.

    A timer fires up to one tick late; one of five minutes or more, up to a second. Timers of the
    same tick fire in the order in which they were scheduled. `now` is the clock: monotonic
    seconds. `call_later` is the loop's; without it only `advance` fires timers.
    """

    __slots__ = ("_alarm", "_alarm_tick", "_buckets", "_call_later", "_coarse", "_log", "_rate",
                 "_ticks", "now")

    def __init__(
        self,
        call_later: CallLater | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        granularity: float = GRANULARITY,
        log: logging.Logger | None = None,
    ) -> None:
        self.now = clock
        self._call_later = call_later
        self._log = log or logging.getLogger("workers")
        self._rate = 1.0 / granularity
        self._coarse = max(1, round(_COARSE_SECONDS * self._rate))
        self._buckets: dict[int, Bucket] = {}
        self._ticks: list[int] = []
        self._alarm: Alarm | None = None
        self._alarm_tick = _NEVER

    def __len__(self) -> int:
        """Return how many timers are pending."""
        return sum(map(len, self._buckets.values()))

    def schedule(self, delay: float, callback: Callable[..., Any], *args: Any) -> Timer:
        """Have `callback(*args)` called once, `delay` seconds from now or a little later."""
        tick = int((self.now() + delay) * self._rate) + 1
        if delay >= _COARSE_FROM:
            tick += -tick % self._coarse
        try:
            bucket = self._buckets[tick]
        except KeyError:
            bucket = self._open_bucket(tick)
        # Filled here, not by an __init__: that call would cost a third of the whole.
        timer = Timer()
        timer.callback = callback
        timer.args = args
        timer.bucket = bucket
        bucket[timer] = None
        return timer

    def every(self, interval: float, callback: Callable[..., Any], *args: Any) -> Repeating:
        """Have `callback(*args)` called every `interval` seconds, without drift, until cancelled.

        A call that would come a whole interval late is left out.
        """
        return Repeating(self, interval, callback, args)

    def advance(self, now: float) -> None:
        """Fire all timers that are due at `now`, those of an earlier tick first."""
        current = int(now * self._rate)
        ticks = self._ticks
        self._alarm_tick = -1
        while ticks and ticks[0] <= current:
            bucket = self._buckets.pop(heappop(ticks))
            for timer in list(bucket):
                callback, args = timer.callback, timer.args
                if callback is None:
                    continue
                timer.cancel()
                try:
                    callback(*args)
                except Exception:
                    self._log.exception("a timer's callback failed")
        self._arm_first()

    def _open_bucket(self, tick: int) -> Bucket:
        bucket: Bucket = {}
        self._buckets[tick] = bucket
        heappush(self._ticks, tick)
        if tick < self._alarm_tick:
            self._arm(tick)
        return bucket

    def _arm_first(self) -> None:
        """Arm for the first tick that still holds a timer; drop the emptied ones before it."""
        ticks = self._ticks
        while ticks and not self._buckets[ticks[0]]:
            del self._buckets[heappop(ticks)]
        self._alarm_tick = _NEVER
        if ticks:
            self._arm(ticks[0])
        elif self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _arm(self, tick: int) -> None:
        self._alarm_tick = tick
        if self._call_later is None:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        # The loop counts whole milliseconds: without the slack it would often wake just too soon.
        delay = max(0.0, tick / self._rate - self.now()) + _ALARM_SLACK
        self._alarm = self._call_later(delay, self._wake)

    def _wake(self) -> None:
        self._alarm = None
        self.advance(self.now())


class Timer:
    """One pending call; `callback` is None once it has fired or was cancelled."""

    __slots__ = ("args", "bucket", "callback")

    callback: Callable[..., Any] | None
    args: tuple[Any, ...]
    bucket: Bucket

    def cancel(self) -> None:
        """Make the timer not fire, and let go of all it refers to; harmless at any time."""
        if self.callback is not None:
            self.callback = None
            self.args = ()
            del self.bucket[self]


class Repeating:
    """A call that comes again every interval until `cancel()`."""

    __slots__ = ("_args", "_callback", "_due", "_interval", "_timer", "_wheel")

    def __init__(
        self,
        wheel: TimerWheel,
        interval: float,
        callback: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> None:
        if interval <= 0:
            raise ValueError("the interval of a repeating timer must be positive")
        self._wheel = wheel
        self._interval = interval
        self._callback = callback
        self._args = args
        self._due = wheel.now() + interval
        self._timer: Timer | None = wheel.schedule(interval, self._fire)

    def cancel(self) -> None:
        """End the repetition; harmless at any time, also from within the callback."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        now = self._wheel.now()
        missed = max(0.0, (now - self._due) // self._interval)
        self._due += (missed + 1) * self._interval
        self._timer = self._wheel.schedule(self._due - now, self._fire)
        self._callback(*self._args)
