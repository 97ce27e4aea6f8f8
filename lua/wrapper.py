"""The Lua source of the wrappers: one chunk a signature, giving a factory of wrapper functions.

A wrapper counts and coerces the arguments as Kamailio's app_lua does and calls the Python callable
with the current context, the upvalue CTX, which `lua/bridge.lua` joins to its own. It must not
know what is being called.
"""

from __future__ import annotations

from lua.function import Function

_FRAME = """\
local CTX
local type, select, str, int, too_few, refused, settle = ...
return function(f, name)
  return function(...)
{body}
  end
end
"""
_COERCIONS = {
    "str": 'if type({0}) ~= "string" then {0} = str({0}) end',
    "int": 'if type({0}) ~= "number" or {0} % 1 ~= 0 or {0} >= 2^53 or {0} <= -2^53 then'
    " {0} = int({0}) end",
}


def wrapper_source(function: Function) -> str:
    """The factory chunk for functions of this signature; equal signatures give equal source."""
    if function.variadic and not function.parameters:
        lines = [_call(function, "...")]
    elif not function.parameters:
        lines = ['if select("#", ...) > 0 then return refused(name) end', _call(function, "")]
    else:
        lines = _body(function)
    return _FRAME.format(body="\n".join("    " + line for line in lines))


def _body(function: Function) -> list[str]:
    """Count, coerce, call: with an early call for each number of optional arguments given."""
    names = [f"a{index}" for index in range(len(function.parameters))]
    required = function.required
    lines = [f"local {', '.join(names)} = ..."]
    if function.optional:
        lines.append('local given = select("#", ...)')
        if required:
            lines.append(f"if given < {required} then return too_few(name, given) end")
    else:
        # Only a missing last argument needs the count: a nil given explicitly is an argument.
        lines.append(
            f'if {names[-1]} == nil and select("#", ...) < {required} then'
            ' return too_few(name, select("#", ...)) end'
        )
    for index, (name, kind) in enumerate(zip(names, function.parameters, strict=True)):
        if index >= required:
            given = _call(function, ", ".join(names[:index]))
            lines.append(f"if given == {index} then {given} end")
        if kind in _COERCIONS:
            lines.append(_COERCIONS[kind].format(name))
    rest = [f"select({len(names) + 1}, ...)"] if function.variadic else []
    lines.append(_call(function, ", ".join(names + rest)))
    return lines


def _call(function: Function, arguments: str) -> str:
    call = f"f(CTX, {arguments})" if arguments else "f(CTX)"
    return f"return settle({call})" if function.waits else f"return {call}"
