"""The timer wheel under a virtual clock, and on a real loop."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from workers import TimerWheel

DELAYS = st.floats(min_value=0, max_value=20_000) | st.floats(min_value=0, max_value=2)


class Clock:
    """A clock and a loop's `call_later` that stand still until told otherwise."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.alarms: dict[int, tuple[float, Any]] = {}
        self.wakes = 0

    def now(self) -> float:
        return self.time

    def call_later(self, delay: float, callback: Any) -> Any:
        number = len(self.alarms) + self.wakes
        while number in self.alarms:
            number += 1
        self.alarms[number] = (self.time + delay, callback)
        return Alarm(self, number)

    def run_until(self, end: float) -> None:
        while self.alarms:
            number, (due, callback) = min(self.alarms.items(), key=lambda item: item[1][0])
            if due > end:
                break
            del self.alarms[number]
            self.time = max(self.time, due)
            self.wakes += 1
            callback()
        self.time = end


class Alarm:
    def __init__(self, clock: Clock, number: int) -> None:
        self._clock, self._number = clock, number

    def cancel(self) -> None:
        self._clock.alarms.pop(self._number, None)


def make_wheel(granularity: float = 0.05) -> tuple[Clock, TimerWheel]:
    clock = Clock()
    return clock, TimerWheel(clock.call_later, clock=clock.now, granularity=granularity)


@settings(deadline=None)
@given(st.lists(st.tuples(DELAYS, st.booleans()), max_size=60),
       st.sampled_from([0.05, 0.01, 0.03, 0.7]))
def test_each_timer_fires_once_never_early_and_in_order(
    plans: list[tuple[float, bool]], granularity: float
) -> None:
    clock, wheel = make_wheel(granularity)
    fired: list[tuple[int, float]] = []
    timers = [wheel.schedule(delay, lambda n=number: fired.append((n, clock.time)))
              for number, (delay, _) in enumerate(plans)]
    for timer, (_, cancelled) in zip(timers, plans, strict=True):
        if cancelled:
            timer.cancel()
    start = clock.time
    kept = [number for number, (_, cancelled) in enumerate(plans) if not cancelled]
    assert len(wheel) == len(kept)
    clock.run_until(start + 30_000)
    assert sorted(number for number, _ in fired) == kept
    assert len(wheel) == 0 and clock.alarms == {}
    for number, time in fired:
        delay = plans[number][0]
        slack = granularity + (1 + granularity if delay >= 300 else 0) + 0.002
        assert start + delay <= time <= start + delay + slack
    last: dict[float, int] = {}
    for number, time in fired:
        assert last.get(time, -1) < number or plans[number][0] > plans[last[time]][0]
        last[time] = number


@settings(deadline=None)
@given(st.lists(st.floats(min_value=0, max_value=3), min_size=1, max_size=30))
def test_advancing_by_hand_in_any_steps_is_never_early(steps: list[float]) -> None:
    clock = Clock()
    wheel = TimerWheel(clock=clock.now)
    fired: list[float] = []
    due: list[float] = []
    for step in steps:
        due.append(clock.time + step)
        wheel.schedule(step, lambda when=clock.time + step: fired.append(clock.time - when))
        clock.time += step / 2
        wheel.advance(clock.time)
        # Whatever is a whole tick overdue must have fired by now.
        assert len(fired) >= sum(when + 0.051 <= clock.time for when in due)
    clock.time += 10
    wheel.advance(clock.time)
    assert len(fired) == len(steps)
    assert min(fired) >= 0


def test_nothing_scheduled_means_no_wake_up() -> None:
    clock, wheel = make_wheel()
    assert clock.alarms == {}
    timer = wheel.schedule(1, lambda: None)
    assert len(clock.alarms) == 1
    timer.cancel()
    clock.run_until(clock.time + 5)
    assert clock.alarms == {}
    wheel.schedule(10, lambda: None)
    clock.run_until(clock.time + 20)
    assert clock.wakes == 2


def test_an_earlier_timer_moves_the_alarm_forward() -> None:
    clock, wheel = make_wheel()
    fired: list[str] = []
    wheel.schedule(60, fired.append, "late")
    wheel.schedule(1, fired.append, "soon")
    clock.run_until(clock.time + 2)
    assert fired == ["soon"]
    assert len(clock.alarms) == 1


def test_a_callback_may_cancel_its_neighbour_and_schedule_itself() -> None:
    clock, wheel = make_wheel()
    fired: list[str] = []
    wheel.schedule(0.5, lambda: neighbour.cancel())
    neighbour = wheel.schedule(0.5, fired.append, "never")
    wheel.schedule(0.5, lambda: wheel.schedule(0, fired.append, "next"))
    clock.run_until(clock.time + 0.56)
    assert fired == []
    clock.run_until(clock.time + 0.1)
    assert fired == ["next"]


def test_a_failing_callback_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    clock, wheel = make_wheel()
    fired: list[str] = []
    wheel.schedule(0.1, lambda: 1 / 0)
    wheel.schedule(0.1, fired.append, "after")
    with caplog.at_level(logging.ERROR):
        clock.run_until(clock.time + 1)
    assert fired == ["after"]
    assert "ZeroDivisionError" in caplog.text


def test_cancel_lets_go_and_may_come_late_or_twice() -> None:
    clock, wheel = make_wheel()
    timer = wheel.schedule(1, print, "held")
    timer.cancel()
    timer.cancel()
    assert timer.callback is None and timer.args == ()
    fired = wheel.schedule(1, lambda: None)
    clock.run_until(clock.time + 2)
    fired.cancel()
    assert len(wheel) == 0


def test_every_keeps_its_beat_and_ends_when_cancelled() -> None:
    clock, wheel = make_wheel()
    start = clock.time
    beats: list[float] = []
    repeating = wheel.every(1.03, lambda: beats.append(clock.time - start))
    clock.run_until(start + 103.2)
    assert len(beats) == 100
    for number, beat in enumerate(beats, 1):
        assert number * 1.03 - 1e-6 <= beat <= number * 1.03 + 0.06
    repeating.cancel()
    repeating.cancel()
    clock.run_until(start + 200)
    assert len(beats) == 100 and clock.alarms == {}


def test_every_leaves_out_what_was_missed_and_may_cancel_itself() -> None:
    clock = Clock()
    wheel = TimerWheel(clock=clock.now)
    beats: list[float] = []

    def beat() -> None:
        beats.append(clock.time)
        if len(beats) == 2:
            repeating.cancel()

    repeating = wheel.every(1, beat)
    clock.time += 10.5
    wheel.advance(clock.time)
    wheel.advance(clock.time)
    assert beats == [1010.5]
    clock.time += 0.6
    wheel.advance(clock.time)
    clock.time += 10
    wheel.advance(clock.time)
    assert beats == [1010.5, 1011.1]
    with pytest.raises(ValueError, match="positive"):
        wheel.every(0, lambda: None)


def test_on_a_real_loop() -> None:
    loop = uvloop.new_event_loop()
    wheel = TimerWheel(loop.call_later, granularity=0.005)
    begin = wheel.now()
    late: list[float] = []
    for delay in (0.03, 0.0, 0.01):
        wheel.schedule(delay, lambda due=begin + delay: late.append(wheel.now() - due))
    wheel.schedule(0.05, loop.stop)
    loop.run_forever()
    loop.close()
    assert len(late) == 3
    assert min(late) >= 0
