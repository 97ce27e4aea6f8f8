"""The reference page of all modules, made from their declarations: python -m kamailiod.reference.

Owns the page's form only; every fact in it is read off a declaration or a docstring.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields

from kamailiod.loading import module_classes
from kamailiod.script.functions import script_functions
from kamailiod.script.module import Module, declared


def reference() -> str:
    """Return the whole page as Markdown."""
    kinds = module_classes()
    lines = [
        "# Reference",
        "",
        "Made by `python -m kamailiod.reference` from what the modules declare; do not edit.",
    ]
    for name in sorted(kinds):
        lines += _module(kinds[name])
    return "\n".join(lines) + "\n"


def _module(kind: type[Module]) -> Iterator[str]:
    yield from ("", f"## {kind.name}", "", _first_line(kind))
    yield from _functions(kind)
    variables = declared(kind, "variable")
    if variables:
        yield from ("", "| pseudo-variable | |", "|---|---|")
        for method, declaration in variables:
            names = " ".join(f"`${name}`" for name in declaration.names)
            yield f"| {names} | {_first_line(getattr(kind, method))} |"
    parameters = fields(kind.Params)
    if parameters:
        without = getattr(kind, "without_effect", ())
        yield from ("", "| modparam | default | |", "|---|---|---|")
        for field in parameters:
            default = field.default if isinstance(field.default, (int, str)) else ""
            effect = "no effect here" if field.name in without else ""
            yield f"| `{field.name}` | `{default!r}` | {effect} |".replace("`''`", "")
    commands = declared(kind, "rpc")
    if commands:
        yield from ("", "| RPC | |", "|---|---|")
        for method, declaration in commands:
            yield f"| `{declaration.name}` | {_first_line(getattr(kind, method))} |"
    if kind.statistics:
        yield from ("", "Statistics: " + ", ".join(f"`{name}`" for name in kind.statistics))


def _functions(kind: type[Module]) -> Iterator[str]:
    functions = script_functions(kind)
    if not functions:
        return
    yield from ("", "| Lua | native | |", "|---|---|---|")
    for method, declaration, found in functions:
        parameters = list(found.parameters)
        for position in range(len(parameters) - found.optional, len(parameters)):
            parameters[position] = f"[{parameters[position]}]"
        arguments = ", ".join(parameters)
        lua = " ".join(f"`KSR.{name}({arguments})`" for name in declaration.names)
        native = " ".join(f"`{name}`" for name in declaration.native)
        yield f"| {lua} | {native} | {_first_line(getattr(kind, method))} |"


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


if __name__ == "__main__":
    print(reference(), end="")
