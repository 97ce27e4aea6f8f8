"""This process's view of the dialog store: read once, written late where that loses nothing.

All messages of a call come to one worker, so its copy of a dialog is the newest.  What must
survive the worker at once (a dialog's beginning, answer and end) is written at once; the rest
(early state, ACK, CSeq, a moved deadline) within a second, and then in one go.
"""

from __future__ import annotations

from typing import Protocol

from shm import Dialog, DialogStore, RecordError


class Saving(Protocol):
    """What keeps dialogs in a database beside the store."""

    def written(self, dialog: Dialog) -> None:
        """A dialog was written."""

    def removed(self, dialog: Dialog) -> None:
        """A dialog was removed."""


class Records:
    """The dialogs that this process has at hand, above the store that all processes share.

    `rank` is this process's: only dialogs it owns are kept at hand, as others change elsewhere.
    """

    __slots__ = ("_changed", "_known", "rank", "saving", "store")

    def __init__(self, store: DialogStore) -> None:
        self.store = store
        self.rank = 0
        self.saving: Saving | None = None
        self._known: dict[tuple[int, int], Dialog] = {}
        self._changed: dict[tuple[int, int], Dialog] = {}

    def create(self, dialog: Dialog) -> Dialog | None:
        """Store a new dialog and return it with its numbers; None when there is no room."""
        try:
            created = self.store.create(dialog)
        except RecordError:
            return None
        if created is not None:
            self._known[created.h_entry, created.h_id] = created
        return created

    def keep(self, dialog: Dialog) -> None:
        """Have a dialog at hand that takes the place of the record with its numbers."""
        self._known[dialog.h_entry, dialog.h_id] = dialog
        self.write(dialog)

    def get(self, h_entry: int, h_id: int) -> Dialog | None:
        """Return the dialog of these numbers, None when there is none."""
        known = self._known.get((h_entry, h_id))
        if known is not None:
            return known
        read = self.store.get(h_entry, h_id)
        if read is not None and read.owner == self.rank:
            self._known[h_entry, h_id] = read
        return read

    def known(self) -> list[Dialog]:
        """Return the dialogs at hand: all that this process has heard of since it started."""
        return list(self._known.values())

    def find(self, call_id: bytes, from_tag: bytes, to_tag: bytes) -> Dialog | None:
        """Return the dialog that a message with these tags belongs to, either direction."""
        found = self.store.find(call_id, from_tag, to_tag)
        if found is None:
            return None
        read = found[0]
        if read.owner != self.rank:
            return read
        return self._known.setdefault((read.h_entry, read.h_id), read)

    def write(self, dialog: Dialog) -> bool:
        """Write a dialog now; False when it has ended here or there is no room."""
        numbers = (dialog.h_entry, dialog.h_id)
        self._changed.pop(numbers, None)
        if self._known.get(numbers) is not dialog:
            return False
        try:
            stored = self.store.put(dialog)
        except RecordError:
            return False
        if self.saving is not None:
            self.saving.written(dialog)
        return stored

    def write_later(self, dialog: Dialog) -> None:
        """Write a dialog at the next flush, unless it ends before."""
        self._changed[dialog.h_entry, dialog.h_id] = dialog

    def flush(self) -> None:
        """Write what changed since the last flush."""
        if self._changed:
            changed, self._changed = self._changed, {}
            for dialog in changed.values():
                self.write(dialog)

    def remove(self, dialog: Dialog) -> bool:
        """Remove a dialog; False when it was gone already."""
        numbers = (dialog.h_entry, dialog.h_id)
        self._changed.pop(numbers, None)
        self._known.pop(numbers, None)
        if self.saving is not None:
            self.saving.removed(dialog)
        return self.store.delete(*numbers)
