"""What a function given to HashMap.update may answer: a new record, none, or to leave all as is."""

import enum
from typing import Final, Literal


class Keep(enum.Enum):
    """The one answer of an `update` function that is no record: leave all as it is."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP
Change = tuple[bytes | None, int] | Literal[Keep.KEEP]
"""A value and its expiry, (None, 0) for no record, or KEEP."""
