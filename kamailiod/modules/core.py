"""The core's script functions: KSR.* without a module name, and the native core functions.

Owns logging, routes and dropping; the other themes are in core_functions/.
"""

from __future__ import annotations

from typing import ClassVar

from kamailiod.modules.core_functions.checks import Checks
from kamailiod.modules.core_functions.destination import Destination
from kamailiod.modules.core_functions.flags import Flags
from kamailiod.modules.core_functions.forwarding import Forwarding
from kamailiod.modules.core_functions.identity import Identity
from kamailiod.modules.core_functions.sending import Sending
from kamailiod.script.context import Context
from kamailiod.script.log import CRITICAL, DEBUG, ERROR, INFO, NOTICE, WARNING
from kamailiod.script.module import Module, kemi

ORIGIN = "script"
"""What log lines of scripts are marked with."""

_LEVELS = {
    b"dbg": DEBUG,
    b"debug": DEBUG,
    b"info": INFO,
    b"notice": NOTICE,
    b"warn": WARNING,
    b"warning": WARNING,
    b"crit": CRITICAL,
}


class Core(Checks, Identity, Flags, Destination, Sending, Forwarding, Module):
    """The functions every script has, whatever is loaded."""

    name: ClassVar[str] = "core"

    @kemi("dbg", native=())
    def dbg(self, context: Context, text: bytes) -> None:
        """Log a text at DEBUG."""
        log = self.services.log
        if log.level >= DEBUG:
            log.line(DEBUG, ORIGIN, shown(text))

    @kemi("info", native=())
    def info(self, context: Context, text: bytes) -> None:
        """Log a text at INFO."""
        log = self.services.log
        if log.level >= INFO:
            log.line(INFO, ORIGIN, shown(text))

    @kemi("notice", native=())
    def notice(self, context: Context, text: bytes) -> None:
        """Log a text at NOTICE."""
        log = self.services.log
        if log.level >= NOTICE:
            log.line(NOTICE, ORIGIN, shown(text))

    @kemi("warn", native=())
    def warn(self, context: Context, text: bytes) -> None:
        """Log a text at WARNING."""
        log = self.services.log
        if log.level >= WARNING:
            log.line(WARNING, ORIGIN, shown(text))

    @kemi("err", native=())
    def err(self, context: Context, text: bytes) -> None:
        """Log a text at ERROR."""
        log = self.services.log
        if log.level >= ERROR:
            log.line(ERROR, ORIGIN, shown(text))

    @kemi("crit", native=())
    def crit(self, context: Context, text: bytes) -> None:
        """Log a text at CRITICAL."""
        log = self.services.log
        if log.level >= CRITICAL:
            log.line(CRITICAL, ORIGIN, shown(text))

    @kemi("log", native=())
    def log(self, context: Context, level: bytes, text: bytes) -> None:
        """Log a text at dbg, info, notice, warn, crit; any other level is ERROR."""
        log = self.services.log
        number = _LEVELS.get(level.lower(), ERROR)
        if log.level >= number:
            log.line(number, ORIGIN, shown(text))

    @kemi(native="log")
    def native_log(self, context: Context, level: object, text: object = None) -> int:
        """Log a text at a numeric level; with one argument at ERROR."""
        number, shown_text = (ERROR, level) if text is None else (level, text)
        if isinstance(number, int) and self.services.log.level >= number:
            line = shown(shown_text) if isinstance(shown_text, bytes) else str(shown_text)
            self.services.log.line(number, ORIGIN, line)
        return 1

    @kemi("get_debug", native=())
    def get_debug(self, context: Context) -> int:
        """Return the log level in force (core parameter debug)."""
        return self.services.log.level

    @kemi("set_drop", "drop", native=())
    def set_drop(self, context: Context) -> None:
        """Mark the message as dropped; the script goes on."""
        context.dropped = True

    @kemi("route", native=(), waits=True)
    def route(self, context: Context, name: bytes) -> object:
        """Run a native route; returns its code, 0 when it exited, -1 when there is none."""
        found = self.services.script.named_route(name)
        return -1 if found is None else found

    @kemi(native="error")
    def error(self, context: Context, code: bytes, reason: bytes) -> int:
        """Log an error code and reason, as Kamailio's core function of that name does."""
        self.services.log.notice(ORIGIN, f"error({shown(code)}, {shown(reason)})")
        return 1


def shown(text: bytes) -> str:
    """Return a script's text as log lines show it."""
    return text.decode("utf-8", "backslashreplace")
