"""Selecting: a destination becomes the request's next hop, those behind it its failover list.

Owns the list in the xavps, which scripts may read and change, and setting the next hop; which
destination is chosen is the algorithms'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum

from kamailiod.modules.dispatching.algorithms import (
    CALL_LOAD,
    NONE,
    PARALLEL,
    Algorithms,
)
from kamailiod.modules.dispatching.call_load import CallLoad
from kamailiod.modules.dispatching.destination import Destination
from kamailiod.modules.dispatching.destination_set import DestinationSet, Sets
from kamailiod.net.address import ListenAddress
from kamailiod.script.context import Branch, Context
from kamailiod.script.log import Log
from kamailiod.script.variables.records import Record, field_at, push_record, remove
from kamailiod.sip.uri import parse_uri

SKIP_ATTRIBUTES, ADD_SOCKET, ADD_SOCKET_NAME = 1, 2, 4
"""Bits of xavp_dst_mode."""

SKIP_COUNT = 1
"""Bit of xavp_ctx_mode."""

DONE, FAILED = 1, -1


class Target(IntEnum):
    """What of a request a destination is put into."""

    DESTINATION = 0
    REQUEST_URI = 1
    NOTHING = 2


_TARGETS = {letter: target for target, letters in (
    (Target.DESTINATION, b"0dD"), (Target.REQUEST_URI, b"1rR"), (Target.NOTHING, b"2xX"),
) for letter in letters}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ListNames:
    """Where the failover list is: names and modes of its xavps."""

    destinations: bytes
    destinations_mode: int
    context: bytes
    context_mode: int


class Selection:
    """Chooses for requests; `force` says whether a next hop that is set is replaced."""

    def __init__(
        self, sets: Callable[[], Sets], algorithms: Algorithms, load: CallLoad | None,
        names: ListNames, sockets: dict[bytes, ListenAddress], force: bool, log: Log,
    ) -> None:  # fmt: skip
        self._sets = sets
        self._algorithms = algorithms
        self._load = load
        self._names = names
        self._sockets = sockets
        self._force = force
        self._log = log

    def select(
        self, context: Context, set_id: int, algorithm: int, limit: int, target: Target
    ) -> int:
        """Choose a destination of a set, at most `limit` (0: all) with those behind it."""
        if not self._may_set(context, target):
            return FAILED
        chosen = self._choose(context, set_id, algorithm)
        if chosen is None:
            return FAILED
        destinations, index = chosen.destinations, chosen.first
        self._put(context, destinations[index], target)
        rest = self._algorithms.after(algorithm, chosen.of, index)
        picked = [destinations[number] for number in (index, *rest)]
        if limit > 0:
            picked = picked[:limit]
        if algorithm == PARALLEL:
            self._append_branches(context, picked[1:], target)
            picked = []
        self._keep(context, [self._record(one, chosen.counted) for one in picked])
        return DONE

    def select_routes(self, context: Context, rules: bytes, mode: bytes, limit: int) -> int:
        """Choose from several sets, "set=algorithm;...": the first one's choice is the next hop."""
        target = _TARGETS.get(mode[0]) if mode else None
        if target is None or not self._may_set(context, target):
            return FAILED
        records: list[Record] = []
        for set_id, algorithm in _rules(rules):
            chosen = self._choose(context, set_id, algorithm)
            if chosen is None:
                continue
            if not records:
                self._put(context, chosen.destinations[chosen.first], target)
            rest = self._algorithms.after(algorithm, chosen.of, chosen.first)
            picked = [chosen.destinations[number] for number in (chosen.first, *rest)]
            if limit > 0:
                # What was chosen of a set is listed in any case.
                picked = picked[: max(1, limit - len(records))]
            records += [self._record(one, chosen.counted) for one in picked]
        if not records:
            return FAILED
        self._keep(context, records)
        return DONE

    def next(self, context: Context, target: Target) -> int:
        """Go to the next destination of the failover list; -1 at its end."""
        stacks, name = context.shared.xavps, self._names.destinations
        while remove(stacks, name):
            found = self.current(context, target, moving=True)
            if found is not None:
                return found
        return FAILED

    def current(self, context: Context, target: Target, moving: bool = False) -> int | None:
        """Make the list's first destination the next hop; -1 without one.

        None when a call that is counted cannot move there, as it has as many as it takes.
        """
        stacks, name = context.shared.xavps, self._names.destinations
        uri = field_at(stacks, name, b"uri")
        if not isinstance(uri, bytes):
            return FAILED
        if moving and not self._move(context, uri):
            return None
        socket = field_at(stacks, name, b"sock")
        found = self._sockets.get(socket) if isinstance(socket, bytes) else None
        self._put_uri(context, uri, found, target)
        return DONE

    def listed(self, context: Context) -> Destination | None:
        """Return the destination that the list's first entry names."""
        stacks, name = context.shared.xavps, self._names.destinations
        uri, set_id = field_at(stacks, name, b"uri"), field_at(stacks, name, b"grp")
        if not isinstance(uri, bytes) or not isinstance(set_id, int):
            return None
        return self._sets().find(set_id, uri)

    def counted(self, context: Context) -> bool:
        """Whether the list was made by counting calls."""
        duid = field_at(context.shared.xavps, self._names.destinations, b"dstid")
        return duid is not None

    def _move(self, context: Context, uri: bytes) -> bool:
        if self._load is None or not self.counted(context):
            return True
        destination = self.listed(context)
        return destination is None or self._load.move(context.request.call_id, destination)

    def _may_set(self, context: Context, target: Target) -> bool:
        if self._force or target is not Target.DESTINATION or not context.destination:
            return True
        self._log.error("dispatcher", f"destination already set [{context.destination!r}]")
        return False

    def _choose(self, context: Context, set_id: int, algorithm: int) -> _Chosen | None:
        found = self._sets().by_id.get(set_id)
        if found is None:
            self._log.error("dispatcher", f"destination set [{set_id}] not found")
            return None
        load, message = self._load, context.message
        if algorithm == CALL_LOAD and load is not None and message.method == b"INVITE":
            # Only an INVITE begins a call; for others the first destination will do.
            index, counted = load.take_least(message.call_id, found)
            return None if index == NONE else _Chosen(found, index, counted)
        algorithms = self._algorithms
        number = algorithms.choose(algorithm, context, found)
        index = number if number == NONE else algorithms.settle(found, number)
        return None if index == NONE else _Chosen(found, index, False)

    def _put(self, context: Context, destination: Destination, target: Target) -> None:
        self._put_uri(context, destination.uri, destination.socket, target)

    def _put_uri(
        self, context: Context, uri: bytes, socket: ListenAddress | None, target: Target
    ) -> None:
        if target is Target.NOTHING:
            return
        if target is Target.DESTINATION:
            context.destination = uri
        else:
            context.set_uri(_with_host_of(context.uri, uri))
        if socket is not None:
            context.socket = socket

    def _append_branches(
        self, context: Context, destinations: Iterable[Destination], target: Target
    ) -> None:
        for one in destinations:
            if target is Target.REQUEST_URI:
                branch = Branch(_with_host_of(context.uri, one.uri), socket=one.socket)
            else:
                branch = Branch(context.uri, one.uri, socket=one.socket)
            context.branches.append(branch)

    def _record(self, destination: Destination, counted: bool) -> Record:
        mode = self._names.destinations_mode
        record: Record = {b"uri": [destination.uri], b"grp": [destination.set_id]}
        if counted and destination.duid:
            record[b"dstid"] = [destination.duid]
        if destination.attributes and not mode & SKIP_ATTRIBUTES:
            record[b"attrs"] = [destination.attributes]
        if destination.socket is not None:
            record[b"sock"] = [destination.socket.text]
        if mode & ADD_SOCKET and destination.socket_text:
            record[b"socket"] = [destination.socket_text]
        if mode & ADD_SOCKET_NAME and destination.socket_name:
            record[b"sockname"] = [destination.socket_name]
        return record

    def _keep(self, context: Context, records: list[Record]) -> None:
        stacks, names = context.shared.xavps, self._names
        if names.destinations:
            stacks[names.destinations] = [*records, *stacks.get(names.destinations, ())]
        if names.context and not names.context_mode & SKIP_COUNT:
            push_record(stacks, names.context, ((b"cnt", len(records)),))


class _Chosen:
    """What was chosen: the index of a destination that is up; whether a call was counted there."""

    __slots__ = ("counted", "destinations", "first", "of")

    def __init__(self, of: DestinationSet, first: int, counted: bool) -> None:
        self.counted = counted
        self.of = of
        self.destinations = of.destinations
        self.first = first


def _rules(text: bytes) -> list[tuple[int, int]]:
    rules = []
    for item in text.split(b";"):
        set_id, _, algorithm = (part.strip() for part in item.partition(b"="))
        if set_id.isdigit():
            rules.append((int(set_id), int(algorithm) if algorithm.isdigit() else 0))
    return rules


def _with_host_of(uri: bytes, destination: bytes) -> bytes:
    """Return a URI with host, port and parameters of a destination, and its own user."""
    parsed = parse_uri(uri)
    if parsed is None:
        return destination
    where = destination.partition(b":")[2].rpartition(b"@")[2]
    credentials = parsed.user + (b":" + parsed.password if parsed.password else b"")
    scheme = parsed.scheme if parsed.is_sip else b"sip"
    return b"%s:%s%s" % (scheme, credentials + b"@" if credentials else b"", where)
