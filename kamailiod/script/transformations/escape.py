r"""{s.escape.*}, {s.unescape.*}, {s.urlencode.param}: making text safe for a place, and back.

Owns which characters stay: those of RFC 3261 25.1 for user parts and parameters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from kamailiod.script.context import Value
from kamailiod.script.transformations.operation import Operation
from kamailiod.script.variables.value import plain_text
from kamailiod.sip.uri import unescape

# unreserved = alphanum / mark, then user-unreserved and param-unreserved  (RFC 3261 25.1)
_UNRESERVED = rb"A-Za-z0-9\-_.!~*'()"
_NOT_IN_USER = re.compile(rb"[^" + _UNRESERVED + rb"&=+$,;?]")
_NOT_IN_PARAMETER = re.compile(rb"[^" + _UNRESERVED + rb"\[\]/:&+$]")
_NOT_IN_QUERY = re.compile(rb"[^A-Za-z0-9\-_.~]")
_UNPRINTABLE = re.compile(rb"[^\x20-\x7e]")
_COMMON = re.compile(rb"['\"\\\0]")
_ESCAPED = re.compile(rb"\\(['\"\\0])")


def _escape_common(value: Value) -> Value:
    return _COMMON.sub(_with_backslash, plain_text(value))


def _with_backslash(match: re.Match[bytes]) -> bytes:
    character = match.group()
    return b"\\0" if character == b"\0" else b"\\" + character


def _unescape_common(value: Value) -> Value:
    return _ESCAPED.sub(_without_backslash, plain_text(value))


def _without_backslash(match: re.Match[bytes]) -> bytes:
    character: bytes = match.group(1)
    return b"\0" if character == b"0" else character


def _percent(pattern: re.Pattern[bytes]) -> Callable[[Value], Value]:
    def escape(value: Value) -> Value:
        text = plain_text(value)
        if _UNPRINTABLE.search(text):
            return None
        return pattern.sub(lambda match: b"%%%02x" % ord(match.group()), text)

    return escape


def _unescape_percent(value: Value) -> Value:
    text = plain_text(value)
    return None if re.search(rb"%(?![0-9A-Fa-f]{2})", text) else unescape(text)


def _escape_line_ends(value: Value) -> Value:
    return plain_text(value).replace(b"\r", b"\\r").replace(b"\n", b"\\n")


def _unescape_line_ends(value: Value) -> Value:
    return plain_text(value).replace(b"\\r", b"\r").replace(b"\\n", b"\n")


def _escape_csv(value: Value) -> Value:
    # RFC 4180 2.7: a quote inside a quoted field is doubled.
    return b'"%s"' % plain_text(value).replace(b'"', b'""')


def _encode_parameter(value: Value) -> Value:
    text = plain_text(value)
    return _NOT_IN_QUERY.sub(lambda match: b"%%%02x" % ord(match.group()), text)


def _decode_parameter(value: Value) -> Value:
    return unquote_to_bytes(plain_text(value).replace(b"+", b" "))


OPERATIONS = {
    b"s.escape.common": Operation(_escape_common),
    b"s.unescape.common": Operation(_unescape_common),
    b"s.escape.user": Operation(_percent(_NOT_IN_USER)),
    b"s.unescape.user": Operation(_unescape_percent),
    b"s.escape.param": Operation(_percent(_NOT_IN_PARAMETER)),
    b"s.unescape.param": Operation(_unescape_percent),
    b"s.escape.crlf": Operation(_escape_line_ends),
    b"s.unescape.crlf": Operation(_unescape_line_ends),
    b"s.escape.csv": Operation(_escape_csv),
    b"s.urlencode.param": Operation(_encode_parameter),
    b"s.urldecode.param": Operation(_decode_parameter),
}
