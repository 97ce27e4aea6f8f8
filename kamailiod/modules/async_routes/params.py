"""The modparams of module async.

One of them is called `return`, which Python lets no class statement name.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from kamailiod.script.module import Params

_RETURN = "return"


@dataclass(frozen=True, init=False, repr=False, eq=False)
class AsyncParams(Params):
    """Kamailio's modparams of async: workers, ms_timer and return."""

    workers: int = 1
    ms_timer: int = 0
    __annotations__[_RETURN] = int
    locals()[_RETURN] = 0

    def __init__(self, **given: int) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, given.get(field.name, field.default))
