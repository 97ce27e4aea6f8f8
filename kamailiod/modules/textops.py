"""Module textops: text operations on the message.

Joins the themes in textops_functions/; owns nothing else.
"""

from __future__ import annotations

from typing import ClassVar

from kamailiod.modules.textops_functions.bodies import Bodies
from kamailiod.modules.textops_functions.headers import Headers
from kamailiod.modules.textops_functions.rewriting import Rewriting
from kamailiod.modules.textops_functions.strings import Strings
from kamailiod.script.module import Module


class Textops(Headers, Strings, Rewriting, Bodies, Module):
    """Searching, replacing, comparing, headers and bodies."""

    name: ClassVar[str] = "textops"
