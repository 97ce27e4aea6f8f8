"""Script files as bytes, and what LuaJIT's compiler says about them.

It must not know how a compiled script is run.
"""

from __future__ import annotations

import re

from lua.errors import LuaFileError, LuaSyntaxError

_COMPILER_MESSAGE = re.compile(r":(\d+): (.*)", re.DOTALL)


def read_source(path: str) -> bytes:
    """The bytes of a script file, a leading `#!` line made a comment; raises LuaFileError."""
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        raise LuaFileError(f"{path}: {error.strerror}") from error
    return b"--" + source if source.startswith(b"#") else source


def syntax_error(file: str, message: bytes) -> LuaSyntaxError:
    """The compiler's `chunk:line: message` as an exception that names the whole path.

    Lua shortens long paths in its messages, which is why the file is not taken from there.
    """
    text = message.decode("utf-8", "replace")
    found = _COMPILER_MESSAGE.search(text)
    if found is None:
        return LuaSyntaxError(file, 1, text)
    return LuaSyntaxError(file, int(found[1]), found[2])
