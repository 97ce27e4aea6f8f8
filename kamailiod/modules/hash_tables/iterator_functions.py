"""The script functions sht_iterator_* and their variables.

Owns arguments and return codes; going through a table is the iterator's.
"""

from __future__ import annotations

from kamailiod.modules.hash_tables.iterator import TableIterator, iterators
from kamailiod.modules.hash_tables.table_module import TableModule
from kamailiod.script.context import Context, Value
from kamailiod.script.module import kemi, pseudo_variable


class IteratorFunctions(TableModule):
    """The iterators' part of module htable."""

    @pseudo_variable("$shtitkey")
    def shtitkey(self, context: Context, inner: bytes, index: object) -> bytes | None:
        """$shtitkey(iterator): the current key."""
        iterator = iterators(context).get(inner)
        return None if iterator is None else iterator.name

    @pseudo_variable("$shtitval")
    def shtitval(self, context: Context, inner: bytes, index: object) -> Value:
        """$shtitval(iterator): the current value."""
        iterator = iterators(context).get(inner)
        return None if iterator is None else iterator.value

    @kemi("htable.sht_iterator_start")
    def sht_iterator_start(self, context: Context, iterator: bytes, table: bytes) -> int:
        """Begin to go through a table: 1, or -1 without such a table."""
        found = self.table(table)
        if found is None or not iterator:
            return -1
        iterators(context)[iterator] = TableIterator(found)
        return 1

    @kemi("htable.sht_iterator_next")
    def sht_iterator_next(self, context: Context, iterator: bytes) -> int:
        """Go to the next value: 1, or -1 after the last."""
        found = iterators(context).get(iterator)
        return 1 if found is not None and found.next() else -1

    @kemi("htable.sht_iterator_end")
    def sht_iterator_end(self, context: Context, iterator: bytes) -> int:
        """Forget an iterator: 1, or -1 when there is none."""
        return 1 if iterators(context).pop(iterator, None) is not None else -1

    @kemi("htable.sht_iterator_rm")
    def sht_iterator_rm(self, context: Context, iterator: bytes) -> int:
        """Remove the current value and go to the next: 1, -2 after the last, -1 without one."""
        found = iterators(context).get(iterator)
        if found is None or found.name is None:
            return -1
        found.table.delete(found.name)
        return 1 if found.next() else -2

    @kemi("htable.sht_iterator_sets")
    def sht_iterator_sets(self, context: Context, iterator: bytes, value: bytes) -> int:
        """Set the current value to a text: 1, or -1 without one."""
        found = iterators(context).get(iterator)
        return 1 if found is not None and found.set(value) else -1

    @kemi("htable.sht_iterator_seti")
    def sht_iterator_seti(self, context: Context, iterator: bytes, value: int) -> int:
        """Set the current value to a number: 1, or -1 without one."""
        found = iterators(context).get(iterator)
        return 1 if found is not None and found.set(value) else -1

    @kemi("htable.sht_iterator_setex")
    def sht_iterator_setex(self, context: Context, iterator: bytes, seconds: int) -> int:
        """Let the current value live so many seconds from now: 1, or -1 without one."""
        found = iterators(context).get(iterator)
        if found is None or found.name is None:
            return -1
        return 1 if found.table.set_lifetime(found.name, seconds) else -1
