"""What a Redis answers: owns the kinds of replies and failures, knows no connection."""

from __future__ import annotations

Argument = bytes | str | int | float
"""One word of a command; text is sent as UTF-8."""


class Status(bytes):
    """A status reply ("OK", "PONG", "QUEUED"), told apart from a string."""

    __slots__ = ()


class ErrorReply(bytes):
    """What the server answered to a command it did not run: "ERR ...", "WRONGTYPE ..."."""

    __slots__ = ()


Reply = Status | ErrorReply | bytes | int | list["Reply"] | None
"""None is the nil reply; a list may hold all of these, further lists too."""


class RedisFailure(Exception):
    """No answer: no connection, a wrong password, a time-out; the text holds no credentials."""


class RedisTimeout(RedisFailure):
    """No answer in time; the server may have run the command."""
