"""Module xlog: log lines with pseudo-variables in them.

Owns levels by name and the prefix; nothing is expanded for a line that would not be shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kamailiod.script.context import Context
from kamailiod.script.log import ALERT, BUG, CRITICAL, DEBUG, ERROR, INFO, NOTICE, WARNING
from kamailiod.script.module import Module, Params, Template, kemi
from kamailiod.script.services import Services
from kamailiod.sip.methods import METHOD_BITS, OTHER_METHOD_BIT

_NOTHING = Template(b"")
_LETTERS = {
    b"A": ALERT,
    b"B": BUG,
    b"C": CRITICAL,
    b"E": ERROR,
    b"W": WARNING,
    b"N": NOTICE,
    b"I": INFO,
    b"D": DEBUG,
}


@dataclass(frozen=True, slots=True)
class XlogParams(Params):
    """Modparams of xlog."""

    buf_size: int = 4096
    force_color: int = 0
    long_format: int = 0
    prefix: str = "<script>: "
    log_facility: str = ""
    log_colors: list[str] = ()  # type: ignore[assignment]  # an immutable default for a repeatable one
    methods_filter: int = -1
    prefix_mode: int = 0
    auto_newline: int = 0


class Xlog(Module):
    """The xlog functions; all return 1."""

    name: ClassVar[str] = "xlog"
    Params: ClassVar[type[Params]] = XlogParams
    without_effect: ClassVar[tuple[str, ...]] = (
        "force_color",
        "long_format",
        "log_facility",
        "log_colors",
        "prefix_mode",
        "auto_newline",
    )

    def __init__(self, params: XlogParams, services: Services) -> None:
        super().__init__(params, services)
        prefix = params.prefix
        enclosed = prefix.startswith("<") and prefix.endswith(">: ")
        self._origin = prefix[1:-3] if enclosed else "script"
        self._prefix = "" if enclosed else prefix
        self._longest = params.buf_size
        self._methods = params.methods_filter

    @kemi("xlog.xlog", native=())
    def xlog(self, context: Context, level: bytes, text: Template) -> int:
        """Log a text with its variables expanded; level is a name (L_INFO, info) or a number."""
        return self._show(context, _level(level), text)

    @kemi(native=("xlog", "xlogl"))
    def native_xlog(
        self,
        context: Context,
        level: Template,
        text: Template = _NOTHING,
        facility_text: Template = _NOTHING,
    ) -> int:
        """Log a text: alone at ERROR, behind a level, or behind facility and level."""
        if not text:
            return self._show(context, ERROR, level)
        expand = self.services.variables.format
        if facility_text:
            return self._show(context, _level(expand(text).expand(context)), facility_text)
        return self._show(context, _level(expand(level).expand(context)), text)

    @kemi("xlog.xlog_facility", native=())
    def xlog_facility(
        self, context: Context, facility: bytes, level: bytes, text: Template
    ) -> int:
        """Log a text; the facility is that of the whole log."""
        return self._show(context, _level(level), text)

    @kemi(native="xlogm")
    def xlogm(self, context: Context, level: bytes, text: Template) -> int:
        """Log a text for the methods that modparam methods_filter selects."""
        message = context.message
        method = METHOD_BITS.get(message.method or message.cseq[1], OTHER_METHOD_BIT)
        return self._show(context, _level(level), text) if method & self._methods else 1

    @kemi("xlog.xdbg", native=("xdbg", "xdbgl"))
    def xdbg(self, context: Context, text: Template) -> int:
        """Log a text with its variables expanded at DEBUG."""
        return self._show(context, DEBUG, text)

    @kemi("xlog.xinfo")
    def xinfo(self, context: Context, text: Template) -> int:
        """Log a text with its variables expanded at INFO."""
        return self._show(context, INFO, text)

    @kemi("xlog.xnotice")
    def xnotice(self, context: Context, text: Template) -> int:
        """Log a text with its variables expanded at NOTICE."""
        return self._show(context, NOTICE, text)

    @kemi("xlog.xwarn")
    def xwarn(self, context: Context, text: Template) -> int:
        """Log a text with its variables expanded at WARNING."""
        return self._show(context, WARNING, text)

    @kemi("xlog.xerr")
    def xerr(self, context: Context, text: Template) -> int:
        """Log a text with its variables expanded at ERROR."""
        return self._show(context, ERROR, text)

    @kemi(native="xbug")
    def xbug(self, context: Context, text: Template) -> int:
        """Log a text with its variables expanded at BUG."""
        return self._show(context, BUG, text)

    @kemi("xlog.xcrit")
    def xcrit(self, context: Context, text: Template) -> int:
        """Log a text with its variables expanded at CRITICAL."""
        return self._show(context, CRITICAL, text)

    @kemi("xlog.xalert")
    def xalert(self, context: Context, text: Template) -> int:
        """Log a text with its variables expanded at ALERT."""
        return self._show(context, ALERT, text)

    def _show(self, context: Context, level: int, text: bytes) -> int:
        log = self.services.log
        if level <= log.level:
            line = self.services.variables.format(text).expand(context)[: self._longest]
            log.line(level, self._origin, self._prefix + line.decode("utf-8", "backslashreplace"))
        return 1


def _level(text: bytes) -> int:
    letter = text[2:3] if text[:2].upper() == b"L_" else text[:1]
    known = _LETTERS.get(letter.upper())
    if known is not None:
        return known
    return int(text) if text.lstrip(b"-").isdigit() else ERROR
