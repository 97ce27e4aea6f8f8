"""A dialog as RPC answers show it: whole, shortly, as a line of a file, and matched by a field.

Owns names and order of the fields, which are Kamailio's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from shm import Dialog


def described(dialog: Dialog, now: int) -> dict[str, object]:
    """Return a dialog as dlg.list shows it."""
    return {
        "h_entry": dialog.h_entry,
        "h_id": dialog.h_id,
        "ref": 1,
        "call-id": _shown(dialog.call_id),
        "from_uri": _shown(dialog.from_uri),
        "to_uri": _shown(dialog.to_uri),
        "state": int(dialog.state),
        "start_ts": dialog.start_time,
        "init_ts": dialog.init_time,
        "end_ts": 0,
        "duration": now - dialog.start_time if dialog.start_time else 0,
        "timeout": dialog.expires,
        "lifetime": dialog.timeout,
        "dflags": dialog.flags,
        "sflags": dialog.sflags,
        "iflags": dialog.flags,
        "caller": {
            "tag": _shown(dialog.from_tag),
            "contact": _shown(dialog.from_contact),
            "cseq": _shown(dialog.from_cseq),
            "route_set": _shown(dialog.from_route_set),
            "socket": _shown(dialog.from_socket),
        },
        "callee": {
            "tag": _shown(dialog.to_tag),
            "contact": _shown(dialog.to_contact),
            "cseq": _shown(dialog.to_cseq),
            "route_set": _shown(dialog.to_route_set),
            "socket": _shown(dialog.to_socket),
        },
        "profiles": [
            {_shown(name): _shown(value)} if value else _shown(name)
            for name, value in dialog.profiles
        ],
        "variables": [{_shown(name): _shown(value)} for name, value in dialog.variables.items()],
    }


def file_line(dialog: Dialog, now: int) -> str:
    """Return a dialog as a line of JSON, as dlg.dump_file writes it."""
    fields = described(dialog, now)
    del fields["duration"]
    fields["profiles"] = {_shown(name): _shown(value) for name, value in dialog.profiles}
    fields["variables"] = {_shown(name): _shown(value) for name, value in dialog.variables.items()}
    renamed = {"call_id" if name == "call-id" else name: fields[name] for name in fields}
    return json.dumps(renamed, separators=(",", ":"))


def _shown(value: bytes) -> str:
    return value.decode("utf-8", "replace")


BRIEF: Mapping[str, tuple[str, Callable[[Dialog], object]]] = {
    "f": ("from_uri", lambda dialog: _shown(dialog.from_uri)),
    "t": ("to_uri", lambda dialog: _shown(dialog.to_uri)),
    "c": ("call-id", lambda dialog: _shown(dialog.call_id)),
    "F": ("from_tag", lambda dialog: _shown(dialog.from_tag)),
    "T": ("to_tag", lambda dialog: _shown(dialog.to_tag)),
    "I": ("init_ts", lambda dialog: dialog.init_time),
    "S": ("start_ts", lambda dialog: dialog.start_time),
    "E": ("end_ts", lambda dialog: 0),
    "s": ("state", lambda dialog: int(dialog.state)),
}

MATCHED: Mapping[str, Callable[[Dialog], str]] = {
    "ruri": lambda dialog: _shown(dialog.request_uri),
    "furi": lambda dialog: _shown(dialog.from_uri),
    "turi": lambda dialog: _shown(dialog.to_uri),
    "callid": lambda dialog: _shown(dialog.call_id),
    "sflags": lambda dialog: str(dialog.sflags),
    "start_ts": lambda dialog: str(dialog.start_time),
    "stimestamp": lambda dialog: str(dialog.start_time),
}

OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "eq": lambda held, value: held == value,
    "ne": lambda held, value: held != value,
    "sw": lambda held, value: held.startswith(value),
    "re": lambda held, value: re.search(value, held) is not None,
    "lt": lambda held, value: held.isdigit() and value.isdigit() and int(held) < int(value),
    "gt": lambda held, value: held.isdigit() and value.isdigit() and int(held) > int(value),
}
