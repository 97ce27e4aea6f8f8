"""Whether an address is that of a destination: who sends a request, or what a URI names.

Owns the comparison; names of hosts are looked up by the resolver, which may have to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kamailiod.modules.dispatching.destination import Destination
from kamailiod.modules.dispatching.destination_set import Sets
from kamailiod.modules.dispatching.states import SKIPPED, States
from kamailiod.net.resolver import Choice, Resolution, is_literal
from kamailiod.sip.uri import Uri, parse_uri
from lua import Wait

NO_PORT, NO_PROTOCOL, ACTIVE = 1, 2, 4
"""Bits of the mode: do not compare the port, the transport; only what is up."""

ANY_SET = -1

Resolve = Callable[[bytes], Resolution]


@dataclass(frozen=True, slots=True)
class Address:
    """What is looked for; an empty transport is one that the URI leaves open."""

    hosts: frozenset[bytes]
    port: int
    transport: bytes


class SourceMatching:
    """Finds the destination of an address."""

    def __init__(self, sets: Callable[[], Sets], states: States, resolve: Resolve) -> None:
        self._sets = sets
        self._states = states
        self._resolve = resolve

    def find(
        self, set_id: int, mode: int, uri: bytes, source: Address,
        found: Callable[[Destination | None], int],
    ) -> int | Wait:  # fmt: skip
        """Return found(the first destination of this address); `uri` replaces the source.

        A Wait when names have to be looked up first.
        """
        wanted = parse_uri(uri) if uri else None
        if uri and (wanted is None or not wanted.is_sip):
            return found(None)
        candidates = list(self._candidates(set_id, mode))
        unknown = [one.parsed for one in candidates] + ([wanted] if wanted else [])
        texts = [one.text for one in unknown if self._must_wait(one)]
        if not texts:
            return found(self._match(candidates, wanted, source, mode))

        async def later() -> int:
            for text in texts:
                resolution = self._resolve(text)
                if resolution is not None and not isinstance(resolution, (list, tuple)):
                    await resolution
            return found(self._match(candidates, wanted, source, mode))

        return Wait(later)

    def _candidates(self, set_id: int, mode: int) -> Iterator[Destination]:
        sets, words = self._sets(), self._states.words
        if set_id == ANY_SET:
            chosen: Iterable[Destination] = sets.by_slot.values()
        else:
            known = sets.by_id.get(set_id)
            chosen = known.destinations if known is not None else ()
        for one in chosen:
            if not (mode & ACTIVE and words[one.slot] & SKIPPED):
                yield one

    def _must_wait(self, uri: Uri) -> bool:
        if is_literal(uri.bare_host):
            return False
        resolution = self._resolve(uri.text)
        if resolution is None or isinstance(resolution, (list, tuple)):
            return False
        close = getattr(resolution, "close", None)
        if close is not None:
            close()
        return True

    def _match(
        self, candidates: list[Destination], wanted: Uri | None, source: Address, mode: int
    ) -> Destination | None:
        address = source if wanted is None else self._address(wanted)
        for one in candidates:
            own = self._address(one.parsed)
            if not own.hosts & address.hosts:
                continue
            if not mode & NO_PORT and own.port != address.port:
                continue
            if mode & NO_PROTOCOL or own.transport == address.transport:
                return one
        return None

    def _address(self, uri: Uri) -> Address:
        transport = uri.transport
        if is_literal(uri.bare_host):
            return Address(frozenset((uri.bare_host,)), uri.effective_port, transport)
        choices = self._resolve(uri.text)
        hosts: list[Choice] = list(choices) if isinstance(choices, (list, tuple)) else []
        return Address(frozenset(host for _, host, _ in hosts), uri.effective_port, transport)
