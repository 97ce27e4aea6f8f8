"""The exceptions of this package: everything a script file can be guilty of, in one tree.

Errors while a request runs are logged and returned as an outcome; these are for loading.
"""

from __future__ import annotations


class LuaError(Exception):
    """Base of everything this package raises."""


class LuaFileError(LuaError):
    """A script file cannot be read."""


class LuaSyntaxError(LuaError):
    """A script does not compile; `file`, `line` (from 1) and `message` say where and why."""

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file = file
        self.line = line
        self.message = message


class LuaScriptError(LuaError):
    """A script failed while its top level ran; `traceback` holds the message and Lua's frames."""

    def __init__(self, traceback: str) -> None:
        super().__init__(traceback)
        self.traceback = traceback


class LuaStateError(LuaError):
    """The caller resumed or cancelled a wait that has already ended."""
