"""Where the list of destinations comes from: a file, or a table when there is a database.

Owns the choice between them and what is done about faults in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kamailiod.modules.dispatching.destination import Entry
from kamailiod.modules.dispatching.destination_table import DestinationTable
from kamailiod.modules.dispatching.list_file import ListError, read_list
from kamailiod.modules.dispatching.params import DispatcherParams
from kamailiod.script.databases import Databases
from kamailiod.script.log import Log

Read = tuple[list[Entry], list[str]] | None


class ListSource:
    """Reads the list; None of its answers means that there is none, which the log explains.

    Raises DatabaseError when made with an unusable URL or name.
    """

    def __init__(self, params: DispatcherParams, databases: Databases, log: Log) -> None:
        self._params = params
        self._log = log
        self._table = (
            DestinationTable(databases.database(params.db_url), params) if params.db_url else None
        )

    def read_blocking(self) -> Sequence[Entry] | None:
        """Read the list where nothing may wait."""
        return self._sound(self._file() if self._table is None else self._table.read_blocking())

    async def read(self) -> Sequence[Entry] | None:
        """Read the list."""
        return self._sound(self._file() if self._table is None else await self._table.read())

    def _file(self) -> Read:
        try:
            return read_list(self._params.list_file, self._params.ds_load_mode == 1)
        except ListError as error:
            self._log.error("dispatcher", str(error))
            return None

    def _sound(self, read: Read) -> Sequence[Entry] | None:
        if read is None:
            return None
        entries, faults = read
        for fault in faults:
            self._log.warning("dispatcher", fault)
        if faults and self._params.ds_load_mode == 1:
            return None
        if self._params.ds_attrs_none:
            entries = [one if one.attributes else replace(one, attributes=b"none")
                       for one in entries]  # fmt: skip
        return entries
