"""Accounting records as lines of the log.

Owns their shape, level and facility; what is written, and when, is decided elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kamailiod.modules.accounting.entry import Entry, TimeAttributes
from kamailiod.modules.accounting.extra import ExtraAttributes, LegAttributes
from kamailiod.script.context import Context
from kamailiod.script.log import FACILITIES, Log

if TYPE_CHECKING:
    from kamailiod.modules.accounting.params import AccParams
    from kamailiod.script.pseudovariables import PseudoVariables

_LINE = b"ACC: %s: timestamp=%d%s;method=%s;from_tag=%s;to_tag=%s;call_id=%s;code=%s;reason=%s"


class LogLines:
    """Writes records of transactions, and of calls, to the log."""

    __slots__ = ("_cdr_extra", "_cdr_facility", "_extra", "_facility", "_legs", "_level", "_log",
                 "_times")  # fmt: skip

    def __init__(self, params: AccParams, variables: PseudoVariables, log: Log) -> None:
        self._log = log
        self._level = params.log_level
        self._facility = FACILITIES.get(params.log_facility.upper())
        self._cdr_facility = FACILITIES.get(params.cdr_facility.upper())
        self._times = TimeAttributes(params)
        self._extra = ExtraAttributes(params.log_extra, variables)
        self._legs = LegAttributes(params.multi_leg_info, variables)
        self._cdr_extra = ExtraAttributes(params.cdr_extra, variables)

    def write(self, entry: Entry) -> None:
        """Write the line of a transaction or request."""
        if not self._log.enabled(self._level):
            return
        line = _LINE % (
            entry.what, int(entry.time), self._times.text(entry.time), entry.method,
            entry.from_tag, entry.to_tag, entry.call_id, entry.code, entry.reason,
        )  # fmt: skip
        extra = self._extra.read(entry.context) + self._legs.read(entry.context)
        line += b"".join([b";%s=%s" % attribute for attribute in extra])
        self._put(line, self._facility)

    def write_call(self, context: Context, times: list[tuple[bytes, bytes]]) -> None:
        """Write the line of a whole call."""
        if not self._log.enabled(self._level):
            return
        attributes = times + self._cdr_extra.read(context)
        line = b"; ".join([b"%s=%s" % attribute for attribute in attributes])
        self._put(line, self._cdr_facility)

    def _put(self, line: bytes, facility: int | None) -> None:
        text = line.decode("utf-8", "backslashreplace")
        self._log.line(self._level, "acc", text, facility)
