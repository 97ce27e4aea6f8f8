"""Module jansson: reads and writes JSON documents in variables.

Owns the script functions; documents and places in them are in json_documents.
"""

from __future__ import annotations

from typing import ClassVar

from kamailiod.modules.json_documents import place
from kamailiod.modules.json_documents.document import (
    DocumentError,
    Node,
    dump,
    node_of,
    parse,
    typed,
    value_of,
)
from kamailiod.script.context import Context, Value
from kamailiod.script.module import Module, Variable, kemi
from kamailiod.script.variables.accessor import Accessor
from kamailiod.script.variables.records import push_record
from kamailiod.script.variables.value import plain_text


class Jansson(Module):
    """JSON for scripts; functions return 1, or -1 (and an error line) when they cannot."""

    name: ClassVar[str] = "jansson"

    @kemi("jansson.get", native="jansson_get")
    def get(self, context: Context, path: bytes, document: bytes, target: Variable) -> int:
        """Store what stands at a path of a document; -1, and nothing stored, when there is none."""
        return self._get(context, path, document, target)

    @kemi("jansson.pv_get", native="jansson_pv_get")
    def pv_get(self, context: Context, path: bytes, source: Variable, target: Variable) -> int:
        """Do as get with the document in a variable."""
        accessor = self.services.variables.compile(source)
        if accessor is None:
            return -1
        return self._get(context, path, plain_text(accessor.get(context)), target)

    @kemi("jansson.get_field", native="jansson_get_field")
    def get_field(self, context: Context, document: bytes, path: bytes, target: Variable) -> int:
        """Do as get, with the document first."""
        return self._get(context, path, document, target)

    @kemi("jansson.array_size", native="jansson_array_size")
    def array_size(self, context: Context, path: bytes, document: bytes, target: Variable) -> int:
        """Store how many elements the array at a path of a document has."""
        accessor = self._target(target)
        found = self._at(path, document)
        if accessor is None or not isinstance(found, list):
            return -1
        return _done(accessor.set(context, len(found)))

    @kemi("jansson.set", native="jansson_set")
    def set(
        self, context: Context, kind: bytes, path: bytes, value: bytes, target: Variable
    ) -> int:
        """Put a value at a path of the document in a variable, {} when it holds no text.

        Its type is int, real, str, obj, array, true, false or null.
        """
        return self._change(context, kind, path, value, target, append=False)

    @kemi("jansson.append", native="jansson_append")
    def append(
        self, context: Context, kind: bytes, path: bytes, value: bytes, target: Variable
    ) -> int:
        """Append a value to the array at a path, or update the object there by an object."""
        return self._change(context, kind, path, value, target, append=True)

    @kemi("jansson.xdecode", native="jansson_xdecode")
    def xdecode(self, context: Context, document: bytes, name: bytes) -> int:
        """Store the fields of an object, or of each object of an array, in an xavp."""
        found = self._parsed(document)
        if found is None:
            return -1
        for element in found if isinstance(found, list) else [found]:
            fields = element.items() if isinstance(element, dict) else ()
            push_record(
                context.shared.xavps, name,
                ((key.encode("utf-8", "replace"), value_of(value)) for key, value in fields),
            )  # fmt: skip
        return 1

    @kemi("jansson.xencode", native="jansson_xencode")
    def xencode(self, context: Context, name: bytes, target: Variable) -> int:
        """Store the fields of an xavp, the one set last first, as an object."""
        accessor = self._target(target)
        stack = context.shared.xavps.get(name)
        if accessor is None or not stack or not isinstance(stack[0], dict):
            return -1
        try:
            return _done(accessor.set(context, dump(_encoded(stack[0]), spaced=True)))
        except DocumentError as error:
            return self._refused(error)

    def _get(self, context: Context, path: bytes, document: bytes, target: bytes) -> int:
        accessor = self._target(target)
        found = None if accessor is None else self._parsed(document)
        if accessor is None or found is None:
            return -1
        try:
            value = value_of(place.get(found, _text(path)))
        except DocumentError:
            return -1
        return _done(accessor.set(context, value))

    def _change(
        self, context: Context, kind: bytes, path: bytes, value: bytes, target: bytes, append: bool
    ) -> int:
        accessor = self._target(target)
        if accessor is None:
            return -1
        held: Value = accessor.get(context)
        try:
            document = parse(held if isinstance(held, bytes) else b"{}")
            change = place.append if append else place.put
            change(document, _text(path), typed(kind, value))
        except DocumentError as error:
            return self._refused(error)
        return _done(accessor.set(context, dump(document)))

    def _at(self, path: bytes, document: bytes) -> Node:
        try:
            return place.get(parse(document), _text(path))
        except DocumentError as error:
            self._refused(error)
            return None

    def _parsed(self, document: bytes) -> dict[str, Node] | list[Node] | None:
        try:
            found = parse(document)
        except DocumentError as error:
            self._refused(error)
            return None
        assert isinstance(found, dict | list)  # parse gives nothing else
        return found

    def _target(self, variable: bytes) -> Accessor | None:
        accessor = self.services.variables.compile(variable)
        if accessor is None or not accessor.writable:
            self.services.log.error(self.name, f"no variable to write to: {variable[:64]!r}")
            return None
        return accessor

    def _refused(self, error: DocumentError) -> int:
        self.services.log.error(self.name, str(error)[:256])
        return -1


def _encoded(record: dict[bytes, list[Value]]) -> Node:
    fields: dict[str, Node] = {}
    for name, stack in reversed(record.items()):
        newest = stack[0] if stack else None
        fields[_text(name)] = _encoded(newest) if isinstance(newest, dict) else node_of(newest)
    return fields


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _done(taken: bool) -> int:
    return 1 if taken else -1
