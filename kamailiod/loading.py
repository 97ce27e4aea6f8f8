"""Which modules there are, which a config and its scripts use, and making them.

Owns module discovery and modparam values; what a module does is its own.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from kamailiod import modules as module_files
from kamailiod.cfg import Config, ModuleParameter
from kamailiod.script.functions import script_functions
from kamailiod.script.module import Module, param_kinds

ALWAYS = ("core", "hdr", "pv", "sl", "tm", "kemix", "app_lua")
"""Modules that are there whatever the config loads; KSR.pv and KSR.hdr are Kamailio's core."""


def module_classes() -> Mapping[str, type[Module]]:
    """Return every module of this server by its Kamailio name; each is imported when looked up."""
    return _ModuleClasses()


class _ModuleClasses(Mapping[str, type[Module]]):
    """The modules by the files there are: each is in the file of its name."""

    def __init__(self) -> None:
        self._names = [
            entry.name for entry in pkgutil.iter_modules(module_files.__path__) if not entry.ispkg
        ]
        self._found: dict[str, type[Module]] = {}

    def __getitem__(self, name: str) -> type[Module]:
        if name not in self._found:
            if name not in self._names:
                raise KeyError(name)
            self._found[name] = _module_in(f"{module_files.__name__}.{name}", name)
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _module_in(path: str, name: str) -> type[Module]:
    for kind in vars(importlib.import_module(path)).values():
        if isinstance(kind, type) and issubclass(kind, Module) and vars(kind).get("name") == name:
            return kind
    raise LookupError(f"{path} has no module of its name")


def script_modules(
    kinds: Mapping[str, type[Module]], names: Iterable[str], loaded: Collection[str] = ()
) -> set[str]:
    """Return the modules whose functions a script names (dotted, below KSR)."""
    found = (_owner(kinds, name, loaded) for name in names)
    return {owner for owner in found if owner is not None}


def _owner(
    kinds: Mapping[str, type[Module]], name: str, loaded: Collection[str]
) -> str | None:
    # Nearly always the module of that name or a loaded one; ndb_redis and tmx have names near it.
    part = name.partition(".")[0]
    near = [other for other in kinds if other.startswith(part) or other.endswith("_" + part)]
    for module in dict.fromkeys((part, *loaded, *near, *kinds)):
        if module in kinds and any(
            name in declaration.names for _, declaration, _ in script_functions(kinds[module])
        ):
            return module
    return None


_READS = re.compile(rb"""\b(dofile|loadfile|require)\s*\(?\s*["']([^"'\n]+)["']""")
_USE = re.compile(rb"\bKSR\.([a-z_]+)\.([a-z_0-9]+)")


_COMMENT = re.compile(rb"--[^\n]*")
_QUESTION = re.compile(
    rb"\bnot\s+KSR\.([a-z_]+)\b(?!\s*[.\[(])|\bKSR\.([a-z_]+)\s*(?:then\b|and\b|or\b|==|~=)"
)


def functions_in(path: str) -> set[str]:
    """Return the dotted KSR names that a script file and the files it reads hold.

    Followed are dofile, loadfile and require of literal names; a file that cannot be read holds
    none.
    """
    return {
        f"{a.decode()}.{b.decode()}"
        for text in _texts(path, frozenset())
        for a, b in _USE.findall(text)
    }


def modules_in_question(path: str) -> set[str]:
    """Return the modules that a script, or a file it reads, does without when they are not loaded.

    That is what `if not KSR.auth then` says.
    """
    return {
        (a or b).decode()
        for text in _texts(path, frozenset())
        for a, b in _QUESTION.findall(_COMMENT.sub(b"", text))
    }


def _texts(path: str, seen: frozenset[str]) -> list[bytes]:
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError:
        return []
    texts = [text]
    for how, name in _READS.findall(text):
        other = name.decode() + (".lua" if how == b"require" else "")
        for place in {other, os.path.join(os.path.dirname(path), other)} - seen - {path}:
            texts += _texts(place, seen | {path, place})
    return texts


def module_params(kind: type[Module], given: Iterable[ModuleParameter]) -> Any:
    """Return a module's Params with the values that modparams give, later ones winning."""
    kinds = param_kinds(kind.Params)
    values: dict[str, Any] = {}
    for parameter in given:
        if parameter.name not in kinds:
            continue
        if not re.fullmatch(f"(?:{parameter.module})", kind.name, re.IGNORECASE):
            continue
        which = kinds[parameter.name]
        if which == "list":
            values.setdefault(parameter.name, []).append(str(parameter.value))
        else:
            value = parameter.value
            values[parameter.name] = int(value) if which == "int" else str(value)
    return kind.Params(**values)


def ineffective_params(kind: type[Module], config: Config) -> list[ModuleParameter]:
    """Return the modparams that a config sets and that have no effect here.

    What is set to its default would have none in Kamailio either.
    """
    without: tuple[str, ...] = getattr(kind, "without_effect", ())
    defaults = kind.Params()
    return [
        parameter
        for parameter in config.module_parameters
        if parameter.name in without
        and parameter.value != getattr(defaults, parameter.name)
        and re.fullmatch(f"(?:{parameter.module})", kind.name, re.IGNORECASE)
    ]
