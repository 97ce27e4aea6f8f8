"""Module json: fields of JSON texts.

Owns the script functions; the reading is that of the {json.*} transformations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from kamailiod.script.context import Context
from kamailiod.script.module import Module, Params, Variable, kemi
from kamailiod.script.transformations.document import MISSING, find, read, shown


@dataclass(frozen=True, slots=True)
class JsonParams(Params):
    """Kamailio's modparams of json."""

    json_escape_char: str = "%"


class Json(Module):
    """Fields of JSON texts; functions return 1, or -1 when there is no such field."""

    name: ClassVar[str] = "json"
    Params: ClassVar[type[JsonParams]] = JsonParams
    params: JsonParams

    @kemi("json.get_field", native="json_get_field")
    def get_field(self, context: Context, text: bytes, name: bytes, target: Variable) -> int:
        """Store a field of an object as JSON: a string keeps its quotes."""

        def field(document: object) -> object:
            key = name.decode("utf-8", "replace")
            return document.get(key, MISSING) if isinstance(document, dict) else MISSING

        return self._store(context, text, field, target, quoted=True)

    @kemi("json.get_string", native="json_get_string")
    def get_string(self, context: Context, text: bytes, path: bytes, target: Variable) -> int:
        """Store what stands at a path, `a.b[1]`, a string without quotes."""
        escape = self.params.json_escape_char[:1]
        return self._store(context, text, lambda found: find(found, path, escape), target)

    @kemi("json.get_keys", native="json_get_keys")
    def get_keys(self, context: Context, text: bytes, path: bytes, target: Variable) -> int:
        """Add the keys of the object at a path to an $avp, the last key on top."""
        accessor = self.services.variables.compile(target)
        if accessor is None or not target.strip().startswith((b"$avp", b"$(avp")):
            self.services.log.error(self.name, f"no AVP: {target[:64]!r}")
            return -1
        found = self._found(
            text, lambda document: find(document, path, self.params.json_escape_char[:1])
        )
        if found is None:
            return -1
        for key in found if isinstance(found, dict) else ():
            accessor.set(context, key.encode("utf-8", "replace"))
        return 1

    def _store(
        self, context: Context, text: bytes, choose: Callable[[object], object],
        target: bytes, quoted: bool = False,
    ) -> int:  # fmt: skip
        accessor = self.services.variables.compile(target)
        if accessor is None or not accessor.writable:
            self.services.log.error(self.name, f"no variable to write to: {target[:64]!r}")
            return -1
        found = self._found(text, choose)
        if found is MISSING or found is None:
            return -1
        return 1 if accessor.set(context, shown(found, quoted)) else -1

    def _found(self, text: bytes, choose: Callable[[object], object]) -> object:
        try:
            return choose(read(text))
        except ValueError:
            self.services.log.error(self.name, "empty or invalid JSON")
            return None
