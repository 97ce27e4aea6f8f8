"""The RPC commands htable.*.

Owns their answers' shapes and faults (Kamailio's); the tables belong to the module.
"""

from __future__ import annotations

import time

from kamailiod.modules.hash_tables.table import HashTable
from kamailiod.modules.hash_tables.table_database import TableDatabase
from kamailiod.modules.hash_tables.table_module import TableModule
from kamailiod.script.module import RpcFault, rpc
from kamailiod.script.services import Services
from shm.stores.htable import Value

_TEXT_FLAG = 2
_SET = "Ok. Key set to new value."


class TableCommands(TableModule):
    """The commands' part of module htable; `loaded` names the tables read from the database."""

    def __init__(self, params: object, services: Services) -> None:
        super().__init__(params, services)
        self.database: TableDatabase | None = None
        self.loaded: set[bytes] = set()

    @rpc("htable.dump")
    def rpc_dump(self, table: str) -> object:
        """Show all values of a table, slot by slot."""
        found = self._known(table)
        slots: dict[int, list[object]] = {}
        for name, value in found.items():
            kind = "int" if isinstance(value, int) else "str"
            item = {"name": _text(name), "value": _shown(value), "type": kind}
            slots.setdefault(found.slot(name), []).append(item)
        return [
            {"entry": slot, "size": len(items), "slot": items}
            for slot, items in sorted(slots.items())
        ]

    @rpc("htable.get")
    def rpc_get(self, table: str, key: str) -> object:
        """Show a value, and until when it lives."""
        found = self._known(table)
        value = found.stored(key.encode())
        if value is None:
            raise RpcFault(500, "Key name doesn't exist in htable.")
        last = found.expiry(key.encode())
        flags = 0 if isinstance(value, int) else _TEXT_FLAG
        until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(last)) if last else "NEVER"
        item = {"name": key, "value": _shown(value), "flags": flags, "expire": until}
        return {"item": item}

    @rpc("htable.delete")
    def rpc_delete(self, table: str, key: str) -> object:
        """Remove a value."""
        if not self._known(table).delete(key.encode()):
            raise RpcFault(404, "Key not found in htable.")
        return "Ok. Key deleted."

    @rpc("htable.sets")
    def rpc_sets(self, table: str, key: str, value: str) -> object:
        """Set a text."""
        return self._set_by_command(table, key, value.encode())

    @rpc("htable.seti")
    def rpc_seti(self, table: str, key: str, value: int) -> object:
        """Set a number."""
        return self._set_by_command(table, key, value)

    @rpc("htable.setex")
    def rpc_setex(self, table: str, key: str, seconds: int) -> object:
        """Let a value live so many seconds from now."""
        if not self._known(table).set_lifetime(key.encode(), seconds):
            raise RpcFault(500, "Failed to set the item.")
        return "Ok"

    @rpc("htable.setxs")
    def rpc_setxs(self, table: str, key: str, value: str, seconds: int) -> object:
        """Set a text to live so many seconds."""
        return self._set_by_command(table, key, value.encode(), seconds)

    @rpc("htable.setxi")
    def rpc_setxi(self, table: str, key: str, value: int, seconds: int) -> object:
        """Set a number to live so many seconds."""
        return self._set_by_command(table, key, value, seconds)

    @rpc("htable.flush")
    def rpc_flush(self, table: str) -> object:
        """Remove all values of a table."""
        self._known(table).clear()
        return "Ok. Htable flushed."

    @rpc("htable.listTables")
    def rpc_list_tables(self) -> object:
        """List the tables with their definitions."""
        return [
            {
                "name": _text(table.name),
                "dbtable": table.definition.database_table,
                "dbmode": table.definition.database_mode,
                "expire": table.definition.lifetime,
                "updateexpire": int(table.definition.renews),
                "size": table.definition.slots,
                "dmqreplicate": table.definition.replicated,
            }
            for table in self.tables
        ]

    @rpc("htable.stats")
    def rpc_stats(self) -> object:
        """Show how full the tables are."""
        shown: list[object] = []
        for table in self.tables:
            total, least, most = table.fill()
            slots = table.definition.slots
            name = _text(table.name)
            shown.append({"name": name, "slots": slots, "all": total, "min": least, "max": most})
        return shown

    @rpc("htable.reload")
    async def rpc_reload(self, table: str) -> object:
        """Read a table from the database anew."""
        database, found = self._with_rows(table)
        if not await database.reload(found):
            raise RpcFault(500, "Failed to reload htable")
        return "Ok. Htable reloaded."

    @rpc("htable.store")
    async def rpc_store(self, table: str) -> object:
        """Add a table's values to the rows of its database table."""
        database, found = self._with_rows(table)
        if not database.can_be_saved(found):
            raise RpcFault(500, "Saving is not available for a table with columns of its own")
        if not await database.store(found):
            raise RpcFault(500, "Failed to store htable")
        return "Ok. Htable successfully stored to DB."

    def _with_rows(self, table: str) -> tuple[TableDatabase, HashTable]:
        if self.database is None:
            raise RpcFault(500, "No htable db_url")
        found = self._known(table)
        if not found.definition.database_table:
            raise RpcFault(500, "No database htable")
        return self.database, found

    def _set_by_command(
        self, table: str, key: str, value: bytes | int, seconds: int = 0
    ) -> object:
        if not self._known(table).set(key.encode(), value, seconds):
            raise RpcFault(500, "Failed to set the item.")
        return _SET

    def _known(self, table: str) -> HashTable:
        found = self.tables.get(table.encode())
        if found is None:
            raise RpcFault(500, "No such htable")
        return found


def _shown(value: Value) -> str | int:
    return value if isinstance(value, int) else _text(value)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
