"""Whole calls: one record a dialog, with its times kept in the dialog's variables.

Owns which calls have a record and their times; the variables lie in shared memory with the dialog,
so that any worker can end what another began.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kamailiod.modules.accounting.log_lines import LogLines
from kamailiod.modules.accounting.rows import Rows
from kamailiod.script.context import Context
from kamailiod.sip.dialog import Event
from shm import Dialog

if TYPE_CHECKING:
    from kamailiod.modules.accounting.params import AccParams


class CallAccounting:
    """Writes one record a call when it ends."""

    def __init__(
        self, params: AccParams, lines: LogLines, rows: Rows | None, clock: Callable[[], float]
    ) -> None:
        self.clock = clock
        self.count: Callable[[], object] = lambda: None
        self._params = params
        self._lines = lines if params.cdr_log_enable else None
        self._rows = rows if params.cdrs_table else None
        self._start = params.cdr_start_id.encode()
        self._end = params.cdr_end_id.encode()
        self._duration = params.cdr_duration_id.encode()
        self._skip = params.cdr_skip.encode()

    def on_dialog(self, context: Context, dialog: Dialog, event: Event | None) -> None:
        """Take note of a dialog that begins, is answered or has ended."""
        variables, now = dialog.variables, self.clock()
        if event is None:
            variables[self._start] = variables[self._end] = b"%.3f" % now
            variables[self._duration] = b"0"
            return
        if event is Event.ANSWERED:
            if self._params.cdr_start_on_confirmed:
                variables[self._start] = b"%.3f" % now
            return
        if event is not Event.FAILED:
            variables[self._end] = b"%.3f" % now
            variables[self._duration] = b"%.3f" % (now - _seconds(variables, self._start, now))
        if self._is_wanted(variables, event):
            self.count()
            self._write(context, variables, now)

    def _is_wanted(self, variables: dict[bytes, bytes], event: Event) -> bool:
        params = self._params
        if self._skip and self._skip in variables:
            return False
        if event is Event.FAILED:
            return bool(params.cdr_on_failed)
        return event is not Event.TIMEOUT or bool(params.cdr_expired_dlg_enable)

    def _write(self, context: Context, variables: dict[bytes, bytes], now: float) -> None:
        if self._lines is not None:
            names = (self._start, self._end, self._duration)
            times = [(name, variables.get(name, b"")) for name in names]
            self._lines.write_call(context, times)
        if self._rows is not None:
            start = _seconds(variables, self._start, now)
            end = _seconds(variables, self._end, now)
            self._rows.write_call(context, start, end, _seconds(variables, self._duration, 0.0))


def _seconds(variables: dict[bytes, bytes], name: bytes, otherwise: float) -> float:
    # A script may have set a dialog variable of this name to anything.
    try:
        return float(variables[name])
    except (KeyError, ValueError):
        return otherwise
