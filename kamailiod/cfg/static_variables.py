"""`$def(NAME)` and `$env(NAME)` in loadmodulex and modparamx: owns their values at start."""

import os
import re
from collections.abc import Callable

from .defines import Defines
from .faults import Findings
from .token import Token

_STATEMENTS = ("loadmodulex", "modparamx")
_VARIABLE = re.compile(r"\$(def|defn|defs|env)\((\w+)\)|\$", re.ASCII)


def expand_static_variables(
    tokens: list[Token],
    defines: Defines,
    findings: Findings,
    environment: Callable[[str], str | None] = os.environ.get,
) -> None:
    """Replace the variables in the strings of these statements; any other one is a fault."""
    expanding = False
    for token in tokens:
        if token.type == "ID" and token.value in _STATEMENTS:
            expanding = True
        elif token.type not in ("_LPAR", "_COMMA", "STRING"):
            expanding = False
        elif expanding and "$" in token.value:
            _expand(token, defines, findings, environment)


def _expand(
    token: Token, defines: Defines, findings: Findings, environment: Callable[[str], str | None]
) -> None:
    def value(found: re.Match[str]) -> str:
        kind, name = found[1], found[2] or ""
        text = environment(name) if kind == "env" else defines.get(name)
        if kind is None or text is None:
            findings.fault(token.position, f"{found[0]} has no value when the config is read")
            return ""
        return text

    token.value = _VARIABLE.sub(value, token.value)
