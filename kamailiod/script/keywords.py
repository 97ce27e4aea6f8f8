"""The bare words of native expressions: `method`, `status`, `src_ip` and their kin.

Owns what each yields of a context; the words themselves are named in cfg/words.py.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.script.context import Context, Value


def keyword_value(name: bytes) -> Callable[[Context], Value]:
    """Return the getter of a keyword; a word without a value here yields None."""
    return _KEYWORDS.get(name, _nothing)


def _nothing(context: Context) -> Value:
    return None


def _method(context: Context) -> Value:
    message = context.message
    return message.method if message.is_request else message.cseq[1]


def _from_uri(context: Context) -> Value:
    address = context.message.from_
    return address.uri_text if address is not None else None


def _to_uri(context: Context) -> Value:
    address = context.message.to
    return address.uri_text if address is not None else None


def _family(context: Context) -> Value:
    return b"inet6" if b":" in context.source.host else b"inet"


_KEYWORDS: dict[bytes, Callable[[Context], Value]] = {
    b"method": _method,
    b"uri": lambda context: context.uri,
    b"uri:host": lambda context: context.parsed_uri.host if context.parsed_uri else None,
    b"uri:port": lambda context: context.parsed_uri.effective_port if context.parsed_uri else None,
    b"from_uri": _from_uri,
    b"to_uri": _to_uri,
    b"status": lambda context: context.message.status,
    b"src_ip": lambda context: context.source.host,
    b"src_port": lambda context: context.source.port,
    b"dst_ip": lambda context: context.source.local.host,
    b"dst_port": lambda context: context.source.local.port,
    b"proto": lambda context: context.source.local.transport,
    b"af": _family,
    b"msg:len": lambda context: len(context.message.data),
    b"max_len": lambda context: 65535,
}
