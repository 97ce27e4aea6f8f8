"""Module textopsx: more text operations: single header values, iterators, the message anew.

Joins the themes in textopsx_functions/; owns nothing else.
"""

from __future__ import annotations

from typing import ClassVar

from kamailiod.modules.textopsx_functions.body_iterators import BodyIterators
from kamailiod.modules.textopsx_functions.header_iterators import HeaderIterators
from kamailiod.modules.textopsx_functions.header_values import HeaderValueFunctions
from kamailiod.modules.textopsx_functions.whole_messages import WholeMessages
from kamailiod.script.module import Module


class Textopsx(HeaderValueFunctions, HeaderIterators, BodyIterators, WholeMessages, Module):
    """Values, iterators and whole messages."""

    name: ClassVar[str] = "textopsx"
