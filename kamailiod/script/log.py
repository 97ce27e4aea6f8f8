"""Log lines in Kamailio's shape: ` 3(1234) INFO: <script>: text`.

Owns levels, format and destination (stderr or syslog, text or JSON); knows nothing of SIP.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import syslog
import time
from collections.abc import Callable

ALERT, BUG, CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG = -5, -4, -3, -1, 0, 1, 2, 3
NAMES = {
    ALERT: "ALERT",
    BUG: "BUG",
    CRITICAL: "CRITICAL",
    -2: "CRITICAL",
    ERROR: "ERROR",
    WARNING: "WARNING",
    NOTICE: "NOTICE",
    INFO: "INFO",
    DEBUG: "DEBUG",
}
LEVELS = {
    "alert": ALERT,
    "bug": BUG,
    "crit": CRITICAL,
    "err": ERROR,
    "error": ERROR,
    "warn": WARNING,
    "warning": WARNING,
    "notice": NOTICE,
    "info": INFO,
    "dbg": DEBUG,
    "debug": DEBUG,
}
_PRIORITIES = {
    ALERT: syslog.LOG_ALERT,
    BUG: syslog.LOG_CRIT,
    CRITICAL: syslog.LOG_CRIT,
    -2: syslog.LOG_CRIT,
    ERROR: syslog.LOG_ERR,
    WARNING: syslog.LOG_WARNING,
    NOTICE: syslog.LOG_NOTICE,
    INFO: syslog.LOG_INFO,
    DEBUG: syslog.LOG_DEBUG,
}
FACILITIES = {f"LOG_LOCAL{number}": (16 + number) << 3 for number in range(8)} | {
    "LOG_DAEMON": syslog.LOG_DAEMON, "LOG_USER": syslog.LOG_USER, "LOG_AUTH": syslog.LOG_AUTH,
    "LOG_MAIL": syslog.LOG_MAIL, "LOG_CRON": syslog.LOG_CRON, "LOG_SYSLOG": syslog.LOG_SYSLOG,
}  # fmt: skip
"""Syslog's facilities by the names a config has for them."""

_COLOURS = {
    ALERT: "37;41", BUG: "37;41", CRITICAL: "37;41", -2: "37;41", ERROR: "31", WARNING: "33",
    NOTICE: "36", INFO: "32", DEBUG: "90",
}  # fmt: skip


class Log:
    """A process's log; `level` is the debug parameter: what lies above it is not formatted.

    `write` takes (level, text); it defaults to stderr, a Syslog is the other.
    """

    def __init__(
        self,
        level: int = WARNING,
        as_json: bool = False,
        write: Callable[[int, str], None] | None = None,
    ) -> None:
        self.level = level
        self.as_json = as_json
        self.index = 0
        self._write = write or to_stderr

    def enabled(self, level: int) -> bool:
        """Whether a line of this level would be shown."""
        return level <= self.level

    def line(self, level: int, origin: str, text: str, facility: int | None = None) -> None:
        """Log one line; `origin` is a module name or `script`.

        A facility other than the log's own matters only where the log goes to syslog.
        """
        if level > self.level:
            return
        write = self._write
        if facility is not None and isinstance(write, Syslog):
            write = write.under(facility)
        name = NAMES.get(level, "DEBUG")
        if self.as_json:
            record = {
                "time": time.time(),
                "idx": self.index,
                "pid": os.getpid(),
                "level": name,
                "module": origin,
                "message": text.rstrip("\n"),
            }
            write(level, json.dumps(record))
            return
        write(
            level, f"{self.index:2d}({os.getpid()}) {name}: <{origin}>: {text.rstrip(chr(10))}"
        )

    def error(self, origin: str, text: str) -> None:
        """Log at ERROR."""
        self.line(ERROR, origin, text)

    def warning(self, origin: str, text: str) -> None:
        """Log at WARNING."""
        self.line(WARNING, origin, text)

    def notice(self, origin: str, text: str) -> None:
        """Log at NOTICE."""
        self.line(NOTICE, origin, text)

    def info(self, origin: str, text: str) -> None:
        """Log at INFO."""
        self.line(INFO, origin, text)

    def debug(self, origin: str, text: str) -> None:
        """Log at DEBUG."""
        self.line(DEBUG, origin, text)


class _Forward(logging.Handler):
    def __init__(self, log: Log, origin: str) -> None:
        super().__init__()
        self._log = log
        self._origin = origin

    def emit(self, record: logging.LogRecord) -> None:
        level = ERROR if record.levelno >= logging.ERROR else WARNING
        level = level if record.levelno >= logging.WARNING else INFO
        self._log.line(level, self._origin, self.format(record))


def as_logger(log: Log, origin: str) -> logging.Logger:
    """Return a standard logger whose lines come out in this log, for packages that use one."""
    logger = logging.Logger(origin)
    logger.addHandler(_Forward(log, origin))
    return logger


def to_stderr(level: int, text: str) -> None:
    """Write a line to stderr in one piece, so that lines of several processes do not mix."""
    del level
    try:
        os.write(sys.stderr.fileno(), (text + "\n").encode("utf-8", "replace"))
    except (OSError, ValueError):
        return


def to_stderr_in_colours(level: int, text: str) -> None:
    """Write a line to stderr in the terminal colour of its level."""
    to_stderr(level, f"\033[{_COLOURS.get(level, '90')}m{text}\033[0m")


class Syslog:
    """Writes lines to syslog under a name, and a facility unless a line has its own."""

    __slots__ = ("_facility",)

    def __init__(self, facility: int, identity: str) -> None:
        self._facility = 0
        syslog.openlog(identity, syslog.LOG_PID, facility)

    def __call__(self, level: int, text: str) -> None:
        syslog.syslog(_PRIORITIES.get(level, syslog.LOG_DEBUG) | self._facility, text)

    def under(self, facility: int) -> Syslog:
        """Return what writes under another facility."""
        other = Syslog.__new__(Syslog)
        other._facility = facility
        return other
