"""The Path of a REGISTER (RFC 3327): what is kept of it and what is answered.

Owns path_mode and path_use_received; it must not know tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from kamailiod.sip.message import SipMessage
from kamailiod.sip.name_addr import parse_addresses
from kamailiod.sip.uri import parameter_value, unescape

NEVER_ANSWERED, ANSWERED_IF_SUPPORTED, SUPPORT_NEEDED = range(3)
"""path_mode: whether Path is in the 200, and whether it may come from who does not know it."""


@dataclass(frozen=True, slots=True)
class Path:
    """An accepted Path: the vector to keep, the lines for the 200, where it was received from."""

    vector: bytes = b""
    received: bytes = b""
    answer: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a Path cannot be accepted, with what to answer."""

    code: int
    reason: bytes
    text: bytes
    headers: tuple[bytes, ...] = ()


NO_PATH = Path()


class PathPolicy:
    """Reads the Path of REGISTERs as the registrar's use_path, path_mode, path_use_received say."""

    __slots__ = ("_mode", "_use", "_use_received")

    def __init__(self, use: bool, mode: int, use_received: bool) -> None:
        self._use = use
        self._mode = mode
        self._use_received = use_received

    def read(self, message: SipMessage) -> Path | Refusal:
        """Return a request's Path, or why it is refused."""
        if not self._use or b"path" not in message.index:
            return NO_PATH
        addresses = message.addresses(b"path")
        if not addresses or any(address.uri is None for address in addresses):
            return Refusal(400, b"Bad Request", b"Path parse error")
        vector = b",".join(message.headers(b"path"))
        line = b"Path: " + vector
        supported = _supports_path(message)
        if self._mode == SUPPORT_NEEDED and not supported:
            text = b"No support for found Path indicated"
            return Refusal(420, b"Bad Extension", text, (b"Unsupported: path", line))
        received = b""
        if self._use_received:
            first = addresses[0].uri
            parameters = first.parameters if first is not None else b""
            received = unescape(parameter_value(parameters, b"received") or b"")
        answered = self._mode != NEVER_ANSWERED and supported
        return Path(vector, received, (line,) if answered else ())


@lru_cache(maxsize=1024)
def first_hop(vector: bytes) -> bytes:
    """Return the URI of the first hop of a kept Path, b"" when there is none."""
    addresses = parse_addresses(vector)
    return addresses[0].uri_text if addresses else b""


def _supports_path(message: SipMessage) -> bool:
    return any(
        token.strip().lower() == b"path"
        for body in message.headers(b"supported")
        for token in body.split(b",")
    )
