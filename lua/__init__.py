"""Lua for servers: one LuaJIT state a process, plain Python callables as its functions.

Script functions run as coroutines that can wait. Nothing here knows SIP.
"""

from lua.checker import Fault, StringArgument, check, defined_functions, string_arguments
from lua.errors import LuaError, LuaFileError, LuaScriptError, LuaStateError, LuaSyntaxError
from lua.function import Function
from lua.outcome import DONE, FAILED, Outcome, Suspended
from lua.runtime import LuaFunction, LuaTable, Runtime
from lua.wait import Wait

__all__ = [
    "DONE",
    "FAILED",
    "Fault",
    "Function",
    "LuaError",
    "LuaFileError",
    "LuaFunction",
    "LuaScriptError",
    "LuaStateError",
    "LuaSyntaxError",
    "LuaTable",
    "Outcome",
    "Runtime",
    "StringArgument",
    "Suspended",
    "Wait",
    "check",
    "defined_functions",
    "string_arguments",
]
