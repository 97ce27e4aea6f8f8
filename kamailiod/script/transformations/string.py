"""{s.*}: cutting, searching and changing text.

Digests, encodings and escapes are in hashing.py, encoding.py and escape.py.
"""

from __future__ import annotations

import re
import time

from kamailiod.script.context import Value
from kamailiod.script.transformations.operation import Operation
from kamailiod.script.variables.value import integer, plain_text, strict_integer

_BLANKS = b" \t\r\n"
_FOLD = re.compile(rb"[ \t]*\r?\n[ \t]+")


def _length(value: Value) -> Value:
    return len(plain_text(value))


def _integer(value: Value) -> Value:
    return 0 if value == b"" else strict_integer(value)


def _lower(value: Value) -> Value:
    return plain_text(value).lower()


def _upper(value: Value) -> Value:
    return plain_text(value).upper()


def _trim(value: Value) -> Value:
    return plain_text(value).strip(_BLANKS)


def _trim_left(value: Value) -> Value:
    return plain_text(value).lstrip(_BLANKS)


def _trim_right(value: Value) -> Value:
    return plain_text(value).rstrip(_BLANKS)


def _remove(value: Value, what: Value) -> Value:
    return plain_text(value).replace(plain_text(what), b"") if what else value


def _remove_blanks(value: Value) -> Value:
    return plain_text(value).translate(None, _BLANKS)


def _unfold(value: Value) -> Value:
    return _FOLD.sub(b"", plain_text(value))


def _unfold_to_one_blank(value: Value) -> Value:
    return _FOLD.sub(b" ", plain_text(value))


def _digits(value: Value) -> Value:
    return b"".join(re.findall(rb"[0-9]+", plain_text(value)))


def _substring(value: Value, start: Value, length: Value) -> Value:
    text = plain_text(value)
    first, count = integer(start), integer(length)
    if first < 0:
        first += len(text)
    if not 0 <= first < len(text) or count < 0:
        return None
    return text[first : first + count] if count else text[first:]


def _select(value: Value, index: Value, separator: Value) -> Value:
    text, mark = plain_text(value), plain_text(separator)[:1]
    fields = text.split(mark) if mark else [text]
    place = integer(index)
    return fields[place] if -len(fields) <= place < len(fields) else b""


def _strip(value: Value, count: Value) -> Value:
    text, number = plain_text(value), integer(count)
    return text[number:] if number > 0 else text


def _strip_tail(value: Value, count: Value) -> Value:
    text, number = plain_text(value), integer(count)
    return text[: max(0, len(text) - number)] if number > 0 else text


def _strip_to(value: Value, mark: Value) -> Value:
    text = plain_text(value)
    place = text.find(plain_text(mark)[:1])
    return text[place:] if place >= 0 else b""


def _prefixes(value: Value, most: Value = None) -> Value:
    return b",".join(_all_prefixes(plain_text(value), integer(most)))


def _quoted_prefixes(value: Value, most: Value = None) -> Value:
    return b",".join([b"'%s'" % part for part in _all_prefixes(plain_text(value), integer(most))])


def _all_prefixes(text: bytes, most: int) -> list[bytes]:
    count = min(len(text), most) if most > 0 else len(text)
    return [text[:length] for length in range(1, count + 1)]


def _replace(value: Value, match: Value, replacement: Value) -> Value:
    text, wanted = plain_text(value), plain_text(match)
    return text.replace(wanted, plain_text(replacement)) if wanted else text


def _before(value: Value, mark: Value) -> Value:
    return plain_text(value).partition(_mark(mark))[0]


def _after(value: Value, mark: Value) -> Value:
    return plain_text(value).partition(_mark(mark))[2]


def _before_last(value: Value, mark: Value) -> Value:
    text = plain_text(value)
    place = text.rfind(_mark(mark))
    return text[:place] if place >= 0 else text


def _after_last(value: Value, mark: Value) -> Value:
    text = plain_text(value)
    place = text.rfind(_mark(mark))
    return text[place + 1 :] if place >= 0 else b""


def _mark(mark: Value) -> bytes:
    return plain_text(mark)[:1] or b"\0"


def _count(value: Value, mark: Value) -> Value:
    return plain_text(value).count(plain_text(mark)[:1]) if mark else 0


def _character(value: Value, index: Value) -> Value:
    text, place = plain_text(value), integer(index)
    return text[place : place + 1] if 0 <= place < len(text) else None


def _byte(value: Value, index: Value) -> Value:
    text, place = plain_text(value), integer(index)
    return text[place] if 0 <= place < len(text) else None


_BRACKETS = (b"[]", b"<>", b"()", b"{}")


def _unquote(value: Value) -> Value:
    text = plain_text(value)
    quoted = len(text) > 1 and text[:1] in (b'"', b"'") and text[:1] == text[-1:]
    return text[1:-1] if quoted else text


def _unbracket(value: Value) -> Value:
    text = plain_text(value)
    return text[1:-1] if len(text) > 1 and text[:1] + text[-1:] in _BRACKETS else text


def _format_time(value: Value, layout: Value) -> Value:
    moment = strict_integer(value or 0)
    if moment is None or moment < 0:
        return None
    try:
        broken_down = time.localtime(moment)
    except (OverflowError, ValueError, OSError):
        return None
    text = plain_text(layout).decode("utf-8", "surrogateescape")
    return time.strftime(text, broken_down).encode("utf-8", "surrogateescape")


def _lines(text: bytes, width: int, indent: bytes) -> Value:
    if width <= 0:
        return None
    parts = [text[start : start + width] for start in range(0, len(text), width)]
    return (b"\r\n" + indent).join(parts)


def _format_lines(value: Value, width: Value, blanks: Value) -> Value:
    return _lines(plain_text(value), integer(width), b" " * min(integer(blanks), 80))


def _format_lines_by_tabs(value: Value, width: Value, tabs: Value) -> Value:
    return _lines(plain_text(value), integer(width), b"\t" * min(integer(tabs), 80))


OPERATIONS = {
    b"s.len": Operation(_length),
    b"s.int": Operation(_integer),
    b"s.intv": Operation(lambda value: integer(value)),
    b"s.tolower": Operation(_lower),
    b"s.toupper": Operation(_upper),
    b"s.trim": Operation(_trim),
    b"s.ltrim": Operation(_trim_left),
    b"s.rtrim": Operation(_trim_right),
    b"s.rm": Operation(_remove, 1),
    b"s.rmws": Operation(_remove_blanks),
    b"s.rmhdws": Operation(_unfold),
    b"s.rmhlws": Operation(_unfold_to_one_blank),
    b"s.numeric": Operation(_digits),
    b"s.substr": Operation(_substring, 2),
    b"s.select": Operation(_select, 2),
    b"s.strip": Operation(_strip, 1),
    b"s.striptail": Operation(_strip_tail, 1),
    b"s.stripto": Operation(_strip_to, 1),
    b"s.prefixes": Operation(_prefixes, 0, 1),
    b"s.prefixes.quoted": Operation(_quoted_prefixes, 0, 1),
    b"s.replace": Operation(_replace, 2),
    b"s.before": Operation(_before, 1),
    b"s.after": Operation(_after, 1),
    b"s.rbefore": Operation(_before_last, 1),
    b"s.rafter": Operation(_after_last, 1),
    b"s.count": Operation(_count, 1),
    b"s.charat": Operation(_character, 1),
    b"s.byteat": Operation(_byte, 1),
    b"s.unquote": Operation(_unquote),
    b"s.unbracket": Operation(_unbracket),
    b"s.ftime": Operation(_format_time, 1, whole=True),
    b"s.fmtlines": Operation(_format_lines, 2),
    b"s.fmtlinet": Operation(_format_lines_by_tabs, 2),
}
