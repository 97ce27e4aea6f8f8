"""What is accounted of one request or transaction, wherever it is then written.

Owns the facts; it knows neither log nor database.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kamailiod.script.context import Context
from kamailiod.sip.message import SipMessage

if TYPE_CHECKING:
    from kamailiod.modules.accounting.params import AccParams


class Entry:
    """The facts of one accounting record; `time` is a unix time."""

    __slots__ = (
        "call_id", "code", "context", "from_tag", "method", "reason", "time", "to_tag", "what",
    )  # fmt: skip

    def __init__(
        self, what: bytes, context: Context, request: SipMessage, tags: tuple[bytes, bytes],
        code: bytes, reason: bytes, now: float,
    ) -> None:  # fmt: skip
        self.what = what
        self.context = context
        self.method = request.method
        self.from_tag, self.to_tag = tags
        self.call_id = request.call_id
        self.code = code
        self.reason = reason
        self.time = now


class TimeAttributes:
    """The more exact times of a record that modparam time_mode asks for."""

    __slots__ = ("_mode", "_pattern", "names")

    def __init__(self, params: AccParams) -> None:
        self._mode = params.time_mode
        self._pattern = params.time_format
        self.names: tuple[str, ...] = ()
        if self._mode == 1:
            self.names = (params.time_attr, params.time_exten)
        elif self._mode in (2, 3, 4):
            self.names = (params.time_attr,)

    def values(self, now: float) -> tuple[int | float | str, ...]:
        """Return a value a name: seconds and microseconds, seconds with decimals, or a text.

        Mode 3 is local time and mode 4 UTC, as Kamailio 5.6.3 does; its documentation has it the
        other way round.
        """
        if self._mode == 1:
            seconds = int(now)
            return (seconds, int((now - seconds) * 1_000_000))
        if self._mode == 2:
            return (round(now, 6),)
        broken_down = time.gmtime(now) if self._mode == 4 else time.localtime(now)
        return (time.strftime(self._pattern, broken_down),)

    def text(self, now: float) -> bytes:
        """Return what stands behind the timestamp in a log line."""
        if not self.names:
            return b""
        value = self.values(now)[-1]
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        return f";{self.names[-1]}={shown}".encode("utf-8", "backslashreplace")
