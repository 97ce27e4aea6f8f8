"""What dispatcher.list shows, in Kamailio's shape.

Owns names and order of the fields only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kamailiod.modules.dispatching.call_load import CallLoad
from kamailiod.modules.dispatching.destination import Destination
from kamailiod.modules.dispatching.destination_set import DestinationSet, Sets
from kamailiod.modules.dispatching.states import States, state_letters
from kamailiod.net.address import PROTOCOL_IDS


@dataclass(frozen=True, slots=True)
class Listing:
    """Shows sets; `load` and `latency` are there when they are kept."""

    sets: Callable[[], Sets]
    states: States
    load: CallLoad | None
    latency: bool

    def show(self, full: bool) -> dict[str, object]:
        """Return all sets; `full` with the parts of each URI."""
        sets = self.sets()
        return {
            "NRSETS": len(sets.by_id),
            "RECORDS": [{"SET": self._set(one, full)} for one in sets.by_id.values()],
        }

    def _set(self, one: DestinationSet, full: bool) -> dict[str, object]:
        targets = [{"DEST": self._destination(each, full)} for each in one.destinations]
        return {"ID": one.set_id, "TARGETS": targets}

    def _destination(self, one: Destination, full: bool) -> dict[str, object]:
        shown: dict[str, object] = {
            "URI": _text(one.uri),
            "FLAGS": state_letters(self.states.words[one.slot]),
            "PRIORITY": one.priority,
        }
        if full:
            shown |= {
                "HOST": _text(one.parsed.host), "PORT": one.parsed.port,
                "PROTOID": PROTOCOL_IDS.get(one.parsed.transport or b"none", 0),
            }  # fmt: skip
        if one.attributes:
            shown["ATTRS"] = self._attributes(one)
        if self.latency:
            shown["LATENCY"] = self._latency(one)
        if self.load is not None:
            shown["RUNTIME"] = {"DLGLOAD": self.load.load(one)}
        return shown

    def _attributes(self, one: Destination) -> dict[str, object]:
        return {
            "BODY": _text(one.attributes), "DUID": _text(one.duid) or None,
            "MAXLOAD": one.maxload, "WEIGHT": one.weight,
            "RWEIGHT": self.states.rweight(one), "SOCKET": _text(one.socket_text) or None,
            "SOCKNAME": _text(one.socket_name) or None,
            "OBPROXY": _text(one.outbound_proxy) or None,
        }  # fmt: skip

    def _latency(self, one: Destination) -> dict[str, object]:
        latency = self.states.latency(one)
        return {
            "AVG": round(latency.average, 3), "STD": round(latency.deviation, 3),
            "EST": round(latency.estimate, 3), "MAX": latency.maximum,
            "TIMEOUT": latency.timeouts,
        }  # fmt: skip


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
