"""Variables of the message as a whole: method, status, ids, sizes, body, buffer.

Owns reading them off a context; single header fields are in headers.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from kamailiod.script.context import Context, Value
from kamailiod.script.variables.accessor import Getter, Registry, chosen, register_all
from kamailiod.sip.methods import METHOD_BITS, OTHER_METHOD_BIT


def register(registry: Registry) -> None:
    """Register the variables of the message."""
    register_all(registry, GETTERS)
    register_all(registry, {b"mi": _numbered()})
    registry.register(b"msg", chosen(PARTS))


def method(context: Context) -> bytes:
    """Return the method, in replies that of the CSeq header."""
    message = context.message
    return message.method if message.is_request else message.cseq[1]


def _method(context: Context) -> Value:
    message = context.message
    return (message.method if message.is_request else message.cseq[1]) or None


def _status(context: Context) -> Value:
    message = context.message
    return None if message.is_request else message.status


def _status_number(context: Context) -> Value:
    return context.message.status


def _reason(context: Context) -> Value:
    message = context.message
    return None if message.is_request else message.reason


def _header(name: bytes) -> Getter:
    def get(context: Context) -> Value:
        return context.message.header(name)

    return get


def _call_id(context: Context) -> Value:
    return context.message.call_id or None


def _cseq_number(context: Context) -> Value:
    number = context.message.cseq[0]
    return b"%d" % number if number >= 0 else None


def _contacts(context: Context) -> Value:
    bodies = context.message.headers(b"contact")
    return bodies[0] if bodies else None


def _contact_star(context: Context) -> Value:
    bodies = context.message.headers(b"contact")
    return 1 if bodies and bodies[0] == b"*" else 0


def _contact_uri(context: Context) -> Value:
    contacts = context.message.contacts
    return contacts[0].uri_text if contacts and contacts[0].uri_text != b"*" else None


def _content_length(context: Context) -> Value:
    return context.message.number(b"content-length")


def _body(context: Context) -> Value:
    return context.message.body


def _length(context: Context) -> Value:
    return len(context.message.data)


def _changed(context: Context) -> Value:
    message = context.message
    data = context.edits.apply(message)
    if message.is_request and context.uri != message.uri_text:
        end = data.find(b"\r\n")
        data = b"%s %s SIP/2.0%s" % (message.method, context.uri, data[end:])
    return data


def _numbered() -> Getter:
    numbers = itertools.count(1)

    def get(context: Context) -> Value:
        notes = context.shared.notes
        noted = notes.get("message id")
        if not isinstance(noted, tuple) or noted[0] is not context.message:
            noted = notes["message id"] = (context.message, next(numbers))
        number: int = noted[1]
        return number

    return get


def _head(context: Context) -> bytes:
    message = context.message
    return b"\r\n".join(message.lines)


def _head_fields(context: Context) -> bytes:
    return b"\r\n".join(context.message.lines[1:])


def _size(part: Callable[[Context], bytes]) -> Getter:
    return lambda context: len(part(context))


def _behind_first_line(context: Context) -> Value:
    data = context.message.data
    return data[data.find(b"\n") + 1 :]


GETTERS: dict[bytes, Getter] = {
    b"rm": _method,
    b"rmid": lambda context: METHOD_BITS.get(method(context), OTHER_METHOD_BIT),
    b"rs": _status,
    b"rsi": _status_number,
    b"rr": _reason,
    b"mt": lambda context: 1 if context.message.is_request else 2,
    b"mts": lambda context: b"rq" if context.message.is_request else b"rp",
    b"ci": _call_id,
    b"cs": _cseq_number,
    b"csb": _header(b"cseq"),
    b"ua": _header(b"user-agent"),
    b"ct": _contacts,
    b"cts": _contact_star,
    b"ctu": _contact_uri,
    b"cT": _header(b"content-type"),
    b"cl": _content_length,
    b"bs": lambda context: len(context.message.body),
    b"rb": _body,
    b"rv": lambda context: b"SIP/2.0",
    b"ml": _length,
    b"mb": lambda context: context.message.data,
    b"mbu": _changed,
    b"ruid": lambda context: context.ruid or None,
    b"location_ua": lambda context: context.location_ua or None,
}

PARTS: dict[bytes, Getter] = {
    b"len": _length,
    b"buf": lambda context: context.message.data,
    b"body": _body,
    b"body_len": lambda context: len(context.message.body),
    b"hdrs": _head_fields,
    b"hdrs_len": _size(_head_fields),
    b"hdrc": lambda context: len(context.message.lines) - 1,
    b"fline": lambda context: context.message.lines[0],
    b"fpart": _head,
    b"lpart": _behind_first_line,
}
