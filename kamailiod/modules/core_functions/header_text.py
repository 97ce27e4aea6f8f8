"""Header text as scripts write it, cut into the lines that edits hold.

Owns that form only; knows no message.
"""

from __future__ import annotations

import re
from functools import lru_cache

_HEADER = re.compile(rb"[A-Za-z0-9\-.!%*_+`'~]+[ \t]*:")


def header_lines(text: bytes) -> list[bytes]:
    """Cut a script's header text into lines without CRLF; empty when it is no header text.

    Several headers and folded ones may stand in one text.  Text whose first line is no header is
    refused, where Kamailio would send a broken message.
    """
    return list(_lines(text))


@lru_cache(maxsize=1024)
def _lines(text: bytes) -> tuple[bytes, ...]:
    if not _HEADER.match(text):
        return ()
    return tuple(line.rstrip(b"\r") for line in text.split(b"\n") if line.strip())
