"""Module mqueue: queues of keys and values that all processes share, for scripts and commands.

Owns the script functions, variables, commands and modparams; the queues are in shared memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from kamailiod.modules.message_queues.definition import (
    QueueDefinition,
    defined,
    parse_definition,
)
from kamailiod.modules.message_queues.queue_table import QueueTable
from kamailiod.script.context import Context, Value
from kamailiod.script.database import DatabaseError
from kamailiod.script.module import Module, Params, RpcFault, kemi, pseudo_variable, rpc
from kamailiod.script.services import Services
from shm.stores.queue import QueueStore

_ENDS_BUCKETS, _ENDS_SHARE = 1024, 0.005
_ITEMS_BUCKETS, _ITEMS_SHARE = 65536, 0.1
_NOTE = "mqueue"


@dataclass(frozen=True, slots=True)
class MqueueParams(Params):
    """Kamailio's modparams of mqueue."""

    db_url: str = ""
    mqueue: list[str] = field(default_factory=list)
    mqueue_name: list[str] = field(default_factory=list)
    mqueue_size: int = 0
    mqueue_addmode: int = 0


class Mqueue(Module):
    """Queues of scripts."""

    name: ClassVar[str] = "mqueue"
    Params: ClassVar[type[MqueueParams]] = MqueueParams
    params: MqueueParams

    def __init__(self, params: MqueueParams, services: Services) -> None:
        super().__init__(params, services)
        self._definitions: dict[bytes, QueueDefinition] = {}
        self._queues: dict[bytes, QueueStore] = {}

    def mod_init(self) -> None:
        """Make the queues, and fill those that have rows in the database."""
        self._define()
        if not self._definitions:
            self.services.log.error(self.name, "no mqueue defined")
            return
        ends = self.services.hash_map("mqueue", _ENDS_BUCKETS, _ENDS_SHARE)
        items = self.services.hash_map("mqueue_items", _ITEMS_BUCKETS, _ITEMS_SHARE)
        for name, definition in self._definitions.items():
            self._queues[name] = QueueStore(
                ends, items, name, definition.size, definition.uniqueness
            )
            if definition.is_read and self.params.db_url:
                self._load(name)

    def _define(self) -> None:
        params = self.params
        definitions = [parse_definition(text) for text in params.mqueue]
        definitions += [
            defined(name, params.mqueue_size, 0, params.mqueue_addmode)
            for name in params.mqueue_name
        ]
        for definition in definitions:
            name = definition.name.encode()
            if name in self._definitions:
                raise ValueError(f"mqueue: queue {definition.name} is defined twice")
            self._definitions[name] = definition

    def child_exit(self, rank: int) -> None:
        """Write what queues still hold to the database, when the server ends."""
        if rank != 0 or not self.params.db_url:
            return
        for name, definition in self._definitions.items():
            if not definition.is_written:
                continue
            if not self._table(name).add_all(self._queues[name].items()):
                self.services.log.error(self.name, f"queue {definition.name} cannot be saved")

    def _load(self, name: bytes) -> None:
        rows = self._table(name).take_all()
        if rows is None:
            self.services.log.error(self.name, f"queue {name.decode()} cannot be loaded")
        for key, value in rows or ():
            self._queues[name].add(key, value)

    def _table(self, name: bytes) -> QueueTable:
        url = self.params.db_url
        try:
            return QueueTable(self.services.databases.database(url), url, name.decode())
        except DatabaseError as error:
            raise ValueError(f"mqueue: {error}") from error

    @kemi("mqueue.mq_add")
    def mq_add(self, context: Context, queue: bytes, key: bytes, value: bytes) -> int:
        """Put a key and a value at the end of a queue: 1, or -1 without such a queue or room.

        A full queue loses its oldest item; with addmode 1 or 2 a key is in it but once.
        """
        found = self._queue(queue)
        if found is None:
            return -1
        if not found.add(key, value):
            self.services.log.error(self.name, f"no room for an item of {queue!r}")
            return -1
        return 1

    @kemi("mqueue.mq_fetch")
    def mq_fetch(self, context: Context, queue: bytes) -> int:
        """Take the oldest item for $mqk and $mqv: 1, -1 without such a queue, -2 when empty."""
        found = self._queue(queue)
        if found is None:
            return -1
        item = found.take()
        fetched = _fetched(context)
        if item is None:
            fetched.pop(queue, None)
            return -2
        fetched[queue] = item
        return 1

    @kemi("mqueue.mq_pv_free")
    def mq_pv_free(self, context: Context, queue: bytes) -> int:
        """Forget what was fetched last from a queue."""
        _fetched(context).pop(queue, None)
        return 1

    @kemi("mqueue.mq_size", native=())
    def mq_size(self, context: Context, queue: bytes) -> int:
        """Return how many items a queue has; -1 without such a queue."""
        found = self._queue(queue)
        return -1 if found is None else len(found)

    @kemi(native="mq_size")
    def native_size(self, context: Context, queue: bytes) -> int:
        """Return how many items a queue has; -1 when it is empty, -2 without such a queue."""
        size = self.mq_size(context, queue)
        return size if size > 0 else size - 1

    @kemi("mqueue.mqk_get", "mqueue.mqk_gete", "mqueue.mqk_getw", native=())
    def mqk_get(self, context: Context, queue: bytes) -> Value:
        """Return the key that was fetched last from a queue; nil without, as Kamailio has it."""
        return self.mqk(context, queue, None)

    @kemi("mqueue.mqv_get", "mqueue.mqv_gete", "mqueue.mqv_getw", native=())
    def mqv_get(self, context: Context, queue: bytes) -> Value:
        """Return the value that was fetched last from a queue; nil without, as Kamailio has it."""
        return self.mqv(context, queue, None)

    @pseudo_variable("mqk")
    def mqk(self, context: Context, inner: bytes, index: object) -> Value:
        """$mqk(queue): the key that was fetched last from a queue."""
        item = _fetched(context).get(inner)
        return None if item is None else item[0]

    @pseudo_variable("mqv")
    def mqv(self, context: Context, inner: bytes, index: object) -> Value:
        """$mqv(queue): the value that was fetched last from a queue."""
        item = _fetched(context).get(inner)
        return None if item is None else item[1]

    @pseudo_variable("mq_size")
    def size(self, context: Context, inner: bytes, index: object) -> Value:
        """$mq_size(queue): how many items a queue has; null without such a queue."""
        found = self._queue(inner)
        return None if found is None else len(found)

    @rpc("mqueue.get_size")
    def rpc_get_size(self, name: str = "") -> object:
        """Show how many items a queue has."""
        if not name:
            raise RpcFault(400, "No queue name")
        found = self._queues.get(name.encode())
        if found is None:
            raise RpcFault(404, "No such queue")
        return {"name": name, "size": len(found)}

    @rpc("mqueue.get_sizes")
    def rpc_get_sizes(self) -> object:
        """Show how many items each queue has."""
        return [
            {"name": _text(name), "size": len(queue)}
            for name, queue in reversed(self._queues.items())
        ]

    @rpc("mqueue.fetch")
    def rpc_fetch(self, name: str = "") -> object:
        """Take the oldest item of a queue."""
        if not name:
            raise RpcFault(400, "No queue name")
        found = self._queues.get(name.encode())
        if found is None:
            raise RpcFault(500, "No such queue")
        item = found.take()
        if item is None:
            raise RpcFault(404, "Empty queue")
        return {"key": _text(item[0]), "val": _text(item[1])}

    def _queue(self, name: bytes) -> QueueStore | None:
        found = self._queues.get(name)
        if found is None:
            self.services.log.error(self.name, f"mqueue {name[:64]!r} not found")
        return found


def _fetched(context: Context) -> dict[bytes, tuple[bytes, bytes]]:
    # Kept with the run, not the process: other runs fetch while this one waits.
    notes = context.shared.notes
    found = notes.get(_NOTE)
    if not isinstance(found, dict):
        found = notes[_NOTE] = {}
    return found


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
