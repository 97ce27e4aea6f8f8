"""What a transformation operation is: a function of a value and its parameters.

Owns the declaration only.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.script.context import Value


class Operation:
    """One operation: its function, how many parameters it takes, whether it takes nothing too.

    `whole` says that all of the text behind the first comma is one parameter.
    """

    __slots__ = ("call", "fewest", "most", "takes_nothing", "whole")

    def __init__(
        self,
        call: Callable[..., Value],
        fewest: int = 0,
        most: int | None = None,
        whole: bool = False,
        takes_nothing: bool = False,
    ) -> None:
        self.call = call
        self.fewest = fewest
        self.most = fewest if most is None else most
        self.whole = whole
        self.takes_nothing = takes_nothing
