"""Kamailio's configuration language: read a config file, check it, compile its routes to Lua."""

from .catalogue import Catalogue, ModuleEntry, NativeFunction, ParameterKind
from .compiler import Chunk, compile_routes
from .config import Config
from .faults import ConfigError, Fault
from .listen import Address, Listen
from .loader import Options, load, resolved_text
from .settings import CustomVariable, Kemi, Settings
from .source import Position
from .tree import ConfigEngine, LoadModule, ModuleParameter, Route

__all__ = [
    "Address",
    "Catalogue",
    "Chunk",
    "Config",
    "ConfigEngine",
    "ConfigError",
    "CustomVariable",
    "Fault",
    "Kemi",
    "Listen",
    "LoadModule",
    "ModuleEntry",
    "ModuleParameter",
    "NativeFunction",
    "Options",
    "ParameterKind",
    "Position",
    "Route",
    "Settings",
    "compile_routes",
    "load",
    "resolved_text",
]
