"""JSON values as the arguments of a command: str, int and float by its annotations.

Owns the coercion only; what a command does with its arguments is its own.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kamailiod.script.module import RpcFault

Number = int | float


def coerce(command: Callable[..., object], values: Sequence[object]) -> list[object]:
    """Return arguments for a command; raises RpcFault 400 when one is missing or wrong.

    As in Kamailio the first value that is neither text nor number ends the list, and values beyond
    the command's parameters are not looked at.
    """
    given = _scalars(values)
    parameters = _parameters(command)
    arguments: list[object] = []
    for index, parameter in enumerate(parameters):
        if parameter.variadic:
            arguments += [_KINDS[parameter.kind](value, parameter) for value in given[index:]]
        elif index < len(given):
            arguments.append(_KINDS[parameter.kind](given[index], parameter))
        elif parameter.required:
            raise RpcFault(400, f"Parameter missing: {parameter.name}")
        else:
            break
    return arguments


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    kind: type
    required: bool
    variadic: bool


@functools.lru_cache(maxsize=512)
def _parameters(command: Callable[..., object]) -> tuple[_Parameter, ...]:
    hints = typing.get_type_hints(command)
    found = []
    for parameter in inspect.signature(command).parameters.values():
        variadic = parameter.kind is parameter.VAR_POSITIONAL
        required = parameter.default is parameter.empty and not variadic
        kind = hints.get(parameter.name, object)
        known = kind if isinstance(kind, type) and kind in _KINDS else object
        found.append(_Parameter(parameter.name, known, required, variadic))
    return tuple(found)


def _scalars(values: Sequence[object]) -> list[str | Number]:
    scalars: list[str | Number] = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            break
        scalars.append(value)
    return scalars


def _text(value: str | Number, parameter: _Parameter) -> str:
    del parameter
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _integer(value: str | Number, parameter: _Parameter) -> int:
    try:
        return int(value)
    except (ValueError, OverflowError):
        raise RpcFault(400, f"Parameter {parameter.name}: an integer is expected") from None


def _float(value: str | Number, parameter: _Parameter) -> float:
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise RpcFault(400, f"Parameter {parameter.name}: a number is expected") from None


def _as_it_is(value: str | Number, parameter: _Parameter) -> str | Number:
    del parameter
    return value


_KINDS: dict[type, Callable[[str | Number, _Parameter], object]] = {
    str: _text,
    int: _integer,
    float: _float,
    object: _as_it_is,
}
