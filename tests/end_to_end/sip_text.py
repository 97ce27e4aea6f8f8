"""SIP messages as a test writes and reads them; shares no code with what is tested."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

_LONG = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length"}


@dataclass(frozen=True)
class Received:
    """A message that a peer got."""

    data: bytes
    address: tuple[str, int] = ("", 0)
    lines: list[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        head = self.data.partition(b"\r\n\r\n")[0].decode("latin-1")
        object.__setattr__(self, "lines", re.sub(r"\r\n[ \t]+", " ", head).split("\r\n"))

    @property
    def start(self) -> str:
        return self.lines[0]

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]

    @cached_property
    def status(self) -> int:
        return int(self.start.split(" ")[1]) if self.start.startswith("SIP/2.0 ") else 0

    @cached_property
    def method(self) -> str:
        """The method of a request, that of CSeq of a reply."""
        return self.header("CSeq").split()[-1] if self.status else self.start.split(" ")[0]

    @property
    def uri(self) -> str:
        return self.start.split(" ")[1]

    def headers(self, name: str) -> list[str]:
        wanted = name.lower()
        pairs = (line.partition(":") for line in self.lines[1:])
        return [
            value.strip() for key, _, value in pairs
            if _LONG.get(key.strip().lower(), key.strip().lower()) == wanted
        ]  # fmt: skip

    def header(self, name: str) -> str:
        found = self.headers(name)
        assert found, f"no {name} in {self.data!r}"
        return found[0]

    def values(self, name: str) -> list[str]:
        """Return the values of a header that may be joined by commas."""
        return [part.strip() for value in self.headers(name) for part in value.split(",")]

    @property
    def call_id(self) -> str:
        return self.header("Call-ID")


def tag(address: str) -> str:
    """Return the tag of a From or To."""
    match = re.search(r";\s*tag=([^;\s]+)", address)
    return match[1] if match else ""


def uri_of(address: str) -> str:
    """Return the URI of a name-addr."""
    match = re.search(r"<([^>]*)>", address)
    return match[1] if match else address.split(";")[0].strip()


def compose(start: str, headers: Sequence[tuple[str, str]], body: str = "") -> bytes:
    """Return a message with its Content-Length."""
    lines = [start, *(f"{name}: {value}" for name, value in headers)]
    lines += [f"Content-Length: {len(body.encode())}", "", ""]
    return "\r\n".join(lines).encode() + body.encode()
