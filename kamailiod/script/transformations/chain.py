"""Compiling a chain of transformations, `{class.operation,parameters}{...}`.

Owns their syntax and composition; what an operation does is in the file of its class.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.script.context import Context, Value
from kamailiod.script.transformations import (
    address,
    alias,
    document,
    escape,
    hashing,
    line,
    number,
    parameters,
    socket,
    sql,
    string,
    substitution,
    uri,
    url,
    value,
)
from kamailiod.script.transformations.encoding import ENCODINGS
from kamailiod.script.transformations.operation import Operation
from kamailiod.script.variables.specification import closing, parse

Transformation = Callable[[Value, Context], Value]
Parameter = Callable[[bytes], Callable[[Context], Value] | None]
"""Compiles a pseudo-variable given as parameter."""

OPERATIONS: dict[bytes, Operation] = {
    **string.OPERATIONS,
    **hashing.OPERATIONS,
    **ENCODINGS,
    **escape.OPERATIONS,
    **uri.OPERATIONS,
    **address.OPERATIONS,
    **parameters.OPERATIONS,
    **line.OPERATIONS,
    **alias.OPERATIONS,
    **value.OPERATIONS,
    **number.OPERATIONS,
    **url.OPERATIONS,
    **document.OPERATIONS,
    **socket.OPERATIONS,
    **sql.OPERATIONS,
}
"""All operations by full name, `s.len`."""


def compile(source: bytes, parameter: Parameter) -> Transformation | None:
    """Compile a chain `{s.len}{...}`; None when an operation is unknown or its parameters bad."""
    chain: list[Transformation] = []
    position = 0
    while position < len(source):
        end = closing(source, position) if source[position : position + 1] == b"{" else -1
        if end < 0:
            return None
        step = _compile_one(source[position + 1 : end].strip(b" \t\r\n"), parameter)
        if step is None:
            return None
        chain.append(step)
        position = end + 1
    return chain[0] if len(chain) == 1 else _chained(chain) if chain else None


def _chained(chain: list[Transformation]) -> Transformation:
    def run(value: Value, context: Context) -> Value:
        for step in chain:
            value = step(value, context)
        return value

    return run


def _compile_one(text: bytes, parameter: Parameter) -> Transformation | None:
    if text.startswith(b"re.subst,"):
        replace = substitution.compile(text[len(b"re.subst,") :].strip())
        return None if replace is None else lambda value, context: replace(value)
    name, comma, rest = text.partition(b",")
    operation = OPERATIONS.get(name.strip())
    if operation is None:
        return None
    arguments = split(rest, operation.whole) if comma else []
    if not operation.fewest <= len(arguments) <= operation.most:
        return None
    return _applied(operation, arguments, parameter)


def _applied(
    operation: Operation, arguments: list[bytes], parameter: Parameter
) -> Transformation | None:
    call, takes_nothing = operation.call, operation.takes_nothing
    readers: list[Callable[[Context], Value] | None] = []
    for argument in arguments:
        dynamic = argument.strip()[:1] == b"$" and parse(argument.strip()) is not None
        reader = parameter(argument.strip()) if dynamic else None
        if dynamic and reader is None:
            return None
        readers.append(reader)

    def run_fixed(value: Value, context: Context) -> Value:
        return None if value is None and not takes_nothing else call(value, *arguments)

    def run(value: Value, context: Context) -> Value:
        if value is None and not takes_nothing:
            return None
        given = [
            fixed if read is None else read(context)
            for fixed, read in zip(arguments, readers, strict=True)
        ]
        return call(value, *given)

    return run if any(readers) else run_fixed


def split(text: bytes, whole: bool = False) -> list[bytes]:
    """Split parameters at commas outside parentheses; a last one that is a comma stays one."""
    if whole:
        return [text]
    arguments = []
    depth = start = 0
    for place, character in enumerate(text):
        if character in b"([":
            depth += 1
        elif character in b")]":
            depth = max(0, depth - 1)
        elif character == 44 and depth == 0:
            if place == start and place == len(text) - 1:
                break
            arguments.append(text[start:place])
            start = place + 1
    arguments.append(text[start:])
    return arguments
