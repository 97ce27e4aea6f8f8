"""The script functions sht_lock and sht_unlock.

Owns their arguments and return codes; who holds what is in key_locks.py.
"""

from __future__ import annotations

from kamailiod.modules.hash_tables.key_locks import KeyLocks
from kamailiod.modules.hash_tables.table_module import TableModule
from kamailiod.modules.hash_tables.variables import split_key
from kamailiod.script.context import Context
from kamailiod.script.module import kemi
from kamailiod.script.services import Services
from lua import Wait


class LockFunctions(TableModule):
    """The locks' part of module htable; `locks` is None while there are no tables."""

    def __init__(self, params: object, services: Services) -> None:
        super().__init__(params, services)
        self.locks: KeyLocks | None = None

    @kemi("htable.sht_lock", native=(), waits=True)
    def sht_lock(self, context: Context, table: bytes, key: bytes) -> int | Wait:
        """Lock a key for this request, waiting for another's to end: 1, or -1 after 10 seconds.

        It is unlocked by sht_unlock, by the death of its process, and after 30 seconds.
        """
        if self.table(table) is None or self.locks is None:
            return -1
        full_key = b"%s\0%s" % (table, key)
        taken = self.locks.take(context, full_key)
        if taken is False:
            wait = self.locks.wait(context, full_key)

            async def waited() -> int:
                return self._locked(table, key, await wait())

            return Wait(waited)
        return self._locked(table, key, taken)

    def _locked(self, table: bytes, key: bytes, taken: bool | None) -> int:
        if not taken:
            why = "no shared memory left" if taken is None else "held by another for too long"
            self.services.log.error("htable", f"cannot lock {table!r}=>{key!r}: {why}")
        return 1 if taken else -1

    @kemi("htable.sht_unlock", native=())
    def sht_unlock(self, context: Context, table: bytes, key: bytes) -> int:
        """Unlock a key that this request has locked: 1, or -1 without such a table."""
        if self.table(table) is None or self.locks is None:
            return -1
        self.locks.give_back(context, b"%s\0%s" % (table, key))
        return 1

    @kemi(native="sht_lock", waits=True)
    def native_lock(self, context: Context, key: bytes) -> int | Wait:
        """Lock `table=>key`."""
        table, own = split_key(key) or (b"", b"")
        return self.sht_lock(context, table, own)

    @kemi(native="sht_unlock")
    def native_unlock(self, context: Context, key: bytes) -> int:
        """Unlock `table=>key`."""
        table, own = split_key(key) or (b"", b"")
        return self.sht_unlock(context, table, own)
