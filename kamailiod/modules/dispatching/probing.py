"""Pinging destinations: which, when, and what their answers or silence mean.

Owns the plan of the timer process and the pings a SIP worker sends for it; the rules of states are
in states.py.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from kamailiod.modules.dispatching.destination import Destination
from kamailiod.modules.dispatching.destination_set import Sets
from kamailiod.modules.dispatching.states import (
    DISABLED,
    INACTIVE,
    PROBING,
    SKIPPED,
    TRYING,
    States,
)
from kamailiod.modules.tm_functions.local_request import LocalRequest
from kamailiod.sip.message import SipMessage

SendRequest = Callable[[LocalRequest, Callable[[int, SipMessage | None], object]], bool]


class Mode(IntEnum):
    """Which destinations are pinged (ds_probing_mode)."""

    PROBING = 0
    ALL = 1
    INACTIVE = 2
    ONLY_FLAGGED = 3


@dataclass(frozen=True, slots=True)
class PingSettings:
    """What a ping looks like and which answers are good ones beside 2xx."""

    method: bytes
    from_uri: bytes
    outbound_proxy: bytes
    mode: int
    latency: bool
    good: frozenset[int]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an event runs; flag 1 says that there was a reply."""

    flags: int = 0
    code: int | None = None
    reason: bytes | None = None


@dataclass(frozen=True, slots=True)
class Happened:
    """What $dsv(...) shows in an event route: the destination and the cause."""

    destination: Destination
    cause: Cause

    def field(self, name: bytes) -> bytes | int | None:
        """Return a field by the name in the parentheses, None for none."""
        fields: dict[bytes, bytes | int | None] = {
            b"code": self.cause.code, b"reason": self.cause.reason, b"flags": self.cause.flags,
            b"uri": self.destination.uri, b"setid": self.destination.set_id,
            b"group": self.destination.set_id,
        }  # fmt: skip
        return fields.get(name)


Event = Callable[[str, Destination, Cause], object]
"""Called with "dst-up" or "dst-down"."""


class Probing:
    """Pings destinations and moves their states; `event` hears of those that go down or up."""

    def __init__(
        self, sets: Callable[[], Sets], states: States, settings: PingSettings, event: Event
    ) -> None:
        self._sets = sets
        self._states = states
        self._settings = settings
        self._event = event

    def due(self) -> Iterator[Destination]:
        """Return the destinations that are to be pinged now."""
        words = self._states.words
        for destination in self._sets().by_slot.values():
            if self._is_due(words[destination.slot]):
                yield destination

    def _is_due(self, flags: int) -> bool:
        mode = self._settings.mode
        if flags & DISABLED:
            return False
        if mode == Mode.ALL:
            return True
        if mode == Mode.INACTIVE:
            return bool(flags & INACTIVE)
        return bool(flags & PROBING)

    def send(self, slot: int, call_id: bytes, send: SendRequest) -> None:
        """Ping the destination of a slot, from the worker that owns this Call-ID."""
        destination = self._sets().by_slot.get(slot)
        if destination is None:
            return
        settings = self._settings
        request = LocalRequest(
            settings.method, destination.uri,
            b"<%s>;tag=%s" % (destination.ping_from or settings.from_uri, _tag()),
            b"<%s>" % destination.uri, call_id, 10,
            next_hop=destination.outbound_proxy or settings.outbound_proxy,
            socket=destination.socket,
        )  # fmt: skip
        started = time.monotonic()

        def answered(status: int, reply: SipMessage | None) -> None:
            took = int((time.monotonic() - started) * 1000)
            # The list may be another one by now, and the slot another destination's.
            still = self._sets().find(destination.set_id, destination.uri)
            if still is not None:
                self.take_answer(still, status, reply, took)

        send(request, answered)

    def take_answer(
        self, destination: Destination, status: int, reply: SipMessage | None, milliseconds: int
    ) -> None:
        """Let a ping's final answer, or a status made here, decide on the destination's state."""
        states, settings = self._states, self._settings
        flags = states.words[destination.slot]
        if settings.latency:
            if status == 408:
                states.timed_out(destination)
            else:
                states.answered(destination, milliseconds)
        if flags & DISABLED:
            return
        if 200 <= status < 300 or status in settings.good:
            state = 0
            if settings.mode == Mode.ALL or (
                settings.mode == Mode.ONLY_FLAGGED and flags & PROBING
            ):
                state = PROBING
        else:
            state = TRYING | (PROBING if settings.mode != Mode.PROBING else 0)
        reason = None if reply is None else reply.reason
        self.change(destination, state, Cause(int(reply is not None), status, reason))

    def change(self, destination: Destination, state: int, cause: Cause) -> None:
        """Change a state by the thresholds, and say so when the destination went down or up."""
        old, new = self._states.change(destination, state)
        if new & SKIPPED and not old & SKIPPED:
            self._event("dst-down", destination, cause)
        elif old & SKIPPED and not new & SKIPPED:
            self._event("dst-up", destination, cause)


def good_codes(text: str) -> frozenset[int]:
    """Read ds_ping_reply_codes, "class=2;code=403"; raises ValueError for what is none."""
    codes: set[int] = set()
    for item in filter(None, (part.strip() for part in text.split(";"))):
        kind, _, value = (part.strip() for part in item.partition("="))
        if kind == "code":
            codes.add(int(value))
        elif kind == "class":
            first = int(value) * (100 if len(value) == 1 else 1)
            codes.update(range(first, first + 100))
        else:
            raise ValueError(f"ds_ping_reply_codes: {item}")
    return frozenset(codes)


def new_call_id(host: bytes) -> bytes:
    """Return a Call-ID of a ping; its hash decides which worker sends it."""
    return b"%s@%s" % (os.urandom(12).hex().encode(), host)


def _tag() -> bytes:
    return os.urandom(8).hex().encode()
