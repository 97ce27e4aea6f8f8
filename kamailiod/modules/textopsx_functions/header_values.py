"""textopsx: header values, one by one: append, insert, assign, remove, include, exclude.

Owns the script functions; cutting a line into values is sip/header_values.py's.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.modules.textopsx_functions.reference import Reference, parse_reference
from kamailiod.script.context import Context, Route
from kamailiod.script.module import kemi
from kamailiod.sip.header_names import canonical
from kamailiod.sip.header_values import (
    HeaderValues,
    credential_values,
    header_values,
    value_parameter,
    with_parameter,
)

_ROUTES = Route.REQUEST | Route.ONREPLY | Route.REPLY | Route.FAILURE | Route.BRANCH
_NOTE = "textopsx_values"
_Place = tuple[int, HeaderValues, int]
_Cut = Callable[[bytes], HeaderValues]


class HeaderValueFunctions:
    """Changes to single values of headers: 1 when done, else -1.

    Values are numbered from 1 over all headers of a name, as the message came; negative numbers
    count from the last, and 0 is the last.
    """

    @kemi("textopsx.append_hf_value", routes=_ROUTES)
    def append_hf_value(self, context: Context, header: bytes, value: bytes) -> int:
        """Put a value behind another; a new header at the end without index or such a value."""
        reference = parse_reference(header)
        if reference is None or reference.every or reference.parameter:
            return -1
        place = _one(_places(context, reference.name), reference.index)
        if place is None:
            context.edits.end.append(reference.name + b": " + value)
            return 1
        number, values, position = place
        values.cells.append(position, value)
        return _store(context, number, values)

    @kemi("textopsx.insert_hf_value", routes=_ROUTES)
    def insert_hf_value(self, context: Context, header: bytes, value: bytes) -> int:
        """Put a value before another; without index, a new header before all others."""
        reference = parse_reference(header)
        if reference is None or reference.every or reference.parameter:
            return -1
        if reference.index is None:
            context.edits.top.append(reference.name + b": " + value)
            return 1
        place = _one(_places(context, reference.name), reference.index)
        if place is None:
            return -1
        number, values, position = place
        values.cells.insert(position, value)
        return _store(context, number, values)

    @kemi("textopsx.remove_hf_value", routes=_ROUTES)
    def remove_hf_value(self, context: Context, header: bytes) -> int:
        """Remove a value, or a parameter of it; without index the first one, with [*] all."""
        reference = parse_reference(header)
        if reference is None:
            return -1
        if reference.parameter:
            return _set_parameter(context, reference, b"")
        places = _chosen(_places(context, reference.name), reference)
        return max([_assign(context, place, None) for place in places], default=-1)

    @kemi("textopsx.assign_hf_value", routes=_ROUTES)
    def assign_hf_value(self, context: Context, header: bytes, value: bytes) -> int:
        """Replace a value; or set a parameter of it, an empty one being taken out."""
        reference = parse_reference(header)
        if reference is None:
            return -1
        if reference.parameter:
            return _set_parameter(context, reference, value)
        if reference.every:
            return -1
        index = 1 if reference.index is None else reference.index
        place = _one(_places(context, reference.name), index)
        return -1 if place is None else _assign(context, place, value)

    @kemi("textopsx.remove_hf_value2", native=())
    def kemi_remove_hf_value2(self, context: Context, header: bytes, value: bytes = b"") -> int:
        """Do as remove_hf_value, for credentials; the second string is not looked at."""
        return self.remove_hf_value2(context, header)

    @kemi(native="remove_hf_value2", routes=_ROUTES)
    def remove_hf_value2(self, context: Context, header: bytes) -> int:
        """Remove a header like Authorization, or one of its comma-separated parameters."""
        return _assign_credentials(context, header, None)

    @kemi("textopsx.assign_hf_value2", routes=_ROUTES)
    def assign_hf_value2(self, context: Context, header: bytes, value: bytes) -> int:
        """Replace a header like Authorization, or set one of its parameters."""
        return _assign_credentials(context, header, value)

    @kemi("textopsx.include_hf_value", routes=_ROUTES)
    def include_hf_value(self, context: Context, header: bytes, value: bytes) -> int:
        """Put a value into a set such as Supported, unless it is there."""
        reference = parse_reference(header)
        if reference is None or not reference.is_plain:
            return -1
        lines = _lines(context, reference.name, header_values)
        if any(values.find(value) for _, values in lines):
            return 1
        if not lines:
            context.edits.end.append(reference.name + b": " + value)
            return 1
        number, values = lines[-1]
        values.cells.append(len(values) - 1, value)
        return _store(context, number, values)

    @kemi("textopsx.exclude_hf_value", routes=_ROUTES)
    def exclude_hf_value(self, context: Context, header: bytes, value: bytes) -> int:
        """Take a value out of a set such as Supported; 1 also when it was not there."""
        reference = parse_reference(header)
        if reference is None or not reference.is_plain:
            return -1
        for number, values in _lines(context, reference.name, header_values):
            found = values.find(value)
            for position in found:
                values.assign(position, None)
            if found:
                _store(context, number, values)
        return 1

    @kemi("textopsx.hf_value_exists", routes=_ROUTES)
    def hf_value_exists(self, context: Context, header: bytes, value: bytes) -> int:
        """Whether a set such as Supported has a value, compared without case."""
        reference = parse_reference(header)
        if reference is None or not reference.is_plain:
            return -1
        lines = _lines(context, reference.name.replace(b"_", b"-"), header_values)
        return 1 if any(values.find(value) for _, values in lines) else -1


def _set_parameter(context: Context, reference: Reference, text: bytes) -> int:
    result = -1
    for number, values, position in _chosen(_places(context, reference.name), reference):
        old = values.cells.cells[position]
        new = None if old is None else with_parameter(old, reference.parameter, text)
        if new is not None:
            values.cells.cells[position] = new
            result = _store(context, number, values)
    return result


def _assign_credentials(context: Context, header: bytes, value: bytes | None) -> int:
    reference = parse_reference(header)
    if reference is None:
        return -1
    if reference.every and not reference.parameter and value is not None:
        return -1
    lines = [(n, v, 0) for n, v in _lines(context, reference.name, credential_values)]
    result = -1
    for number, values, _ in _chosen(lines, reference):
        if reference.parameter:
            done = _set_credential(values, reference.parameter, value or b"")
            result = _store(context, number, values) if done else result
        else:
            name = context.message.lines[number].partition(b":")[0]
            context.edits.replaced[number] = None if value is None else name + b": " + value
            result = 1
    return result


def _set_credential(values: HeaderValues, name: bytes, text: bytes) -> bool:
    for position, cell in enumerate(values.cells.cells):
        if cell is not None and value_parameter(b";" + cell, name) is not None:
            values.assign(position, name + b"=" + text if text else None)
            return True
    if text:
        values.cells.append(len(values) - 1, name + b"=" + text)
    return bool(text)


def _lines(context: Context, name: bytes, cut: _Cut) -> list[tuple[int, HeaderValues]]:
    # What was cut before is remembered, so that numbers go on meaning what they meant; unless
    # somebody else has changed the line meanwhile.
    message = context.message
    notes = context.shared.notes
    known: dict[tuple[int, _Cut], tuple[object, HeaderValues]] = notes.setdefault(_NOTE, {})  # type: ignore[assignment]  # only these are kept there
    found = []
    for number in message.index.get(canonical(name), ()):
        line = context.edits.line(message, number)
        before = known.get((number, cut))
        if before is not None and before[0] == (id(message), line):
            found.append((number, before[1]))
        elif line is not None:
            values = cut(line)
            known[number, cut] = ((id(message), line), values)
            found.append((number, values))
    return found


def _places(context: Context, name: bytes) -> list[_Place]:
    return [
        (number, values, position)
        for number, values in _lines(context, name, header_values)
        for position in range(len(values))
    ]


def _one(places: list[_Place], index: int | None) -> _Place | None:
    if index is None:
        return None
    position = index - 1 if index > 0 else min(index, -1)
    return places[position] if -len(places) <= position < len(places) else None


def _chosen(places: list[_Place], reference: Reference) -> list[_Place]:
    if reference.every:
        return places
    one = _one(places, 1 if reference.index is None else reference.index)
    return [] if one is None else [one]


def _assign(context: Context, place: _Place, value: bytes | None) -> int:
    number, values, position = place
    values.assign(position, value)
    return _store(context, number, values)


def _store(context: Context, number: int, values: HeaderValues) -> int:
    line = values.line()
    context.edits.replaced[number] = line
    known: dict[tuple[int, _Cut], tuple[object, HeaderValues]] = context.shared.notes[_NOTE]  # type: ignore[assignment]  # only these are kept there
    for key, (_, found) in known.items():
        if found is values:
            known[key] = ((id(context.message), line), values)
            break
    return 1
