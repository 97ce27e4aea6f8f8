"""$br, $branch, $sbranch and $ds: the destination set of a request.

Owns reading and writing its branches; sending them is the transaction's.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.script.context import Branch, Context, Value
from kamailiod.script.variables.accessor import Accessor, Registry, Specification, simple
from kamailiod.script.variables.headers import pick
from kamailiod.script.variables.value import integer

STATIC = "static branch"
"""The note under which $sbranch is kept."""


def register(registry: Registry) -> None:
    """Register the variables of the destination set."""
    registry.register(b"br", _branch_uri)
    registry.register(b"bR", simple(_all_uris))
    registry.register(b"ds", simple(_destination_set))
    registry.register(b"branch", _branch)
    registry.register(b"sbranch", _static_branch)


def static_branch(context: Context) -> Branch:
    """Return the branch that $sbranch writes, made at first use."""
    branch = context.shared.notes.get(STATIC)
    if not isinstance(branch, Branch):
        branch = context.shared.notes[STATIC] = Branch(b"")
    return branch


def _branch_uri(specification: Specification) -> Accessor:
    index = specification.index

    def get(context: Context) -> Value:
        return pick([branch.uri for branch in context.branches], index)

    def set(context: Context, value: Value) -> bool:
        if not isinstance(value, bytes) or not value:
            return False
        context.branches.append(Branch(value, flags=context.branch_flags))
        return True

    return Accessor(get, set)


def _all_uris(context: Context) -> Value:
    return b", ".join([branch.uri for branch in context.branches]) or None


def _destination_set(context: Context) -> Value:
    entries = []
    if context.message.is_request and context.uri:
        entries.append(b"<%s>" % context.uri)
    for branch in context.branches:
        quality = b";q=%s" % _quality(branch.q) if branch.q >= 0 else b""
        entries.append(b"<%s>%s" % (branch.uri, quality))
    return b"Contact: " + b", ".join(entries) if context.branches else None


def _quality(q: int) -> bytes:
    return b"1" if q >= 1000 else b"0" if q <= 0 else (b"0.%03d" % q).rstrip(b"0")


def _branch(specification: Specification) -> Accessor | None:
    if specification.inner == b"count":
        return Accessor(lambda context: len(context.branches))
    read = _READ.get(specification.inner)
    if read is None:
        return None
    write = _WRITE.get(specification.inner)
    index = specification.index if isinstance(specification.index, int) else 0

    def find(context: Context) -> Branch | None:
        branches = context.branches
        return branches[index] if -len(branches) <= index < len(branches) else None

    def get(context: Context) -> Value:
        branch = find(context)
        return None if branch is None else read(branch)

    def set(context: Context, value: Value) -> bool:
        branch = find(context)
        if branch is None or write is None:
            return False
        return write(branch, value)

    return Accessor(get, set)


def _static_branch(specification: Specification) -> Accessor | None:
    name = specification.inner
    if name == b"count":
        return Accessor(lambda context: len(context.branches))
    read, write = _READ.get(name), _WRITE.get(name)
    if read is None:
        return None

    def get(context: Context) -> Value:
        return read(static_branch(context)) if STATIC in context.shared.notes else None

    def set(context: Context, value: Value) -> bool:
        return write is not None and write(static_branch(context), value)

    return Accessor(get, set)


def _text_writer(attribute: str) -> Callable[[Branch, Value], bool]:
    def write(branch: Branch, value: Value) -> bool:
        if isinstance(value, int):
            return False
        setattr(branch, attribute, value or b"")
        return True

    return write


def _number_writer(attribute: str) -> Callable[[Branch, Value], bool]:
    def write(branch: Branch, value: Value) -> bool:
        setattr(branch, attribute, integer(value))
        return True

    return write


_READ: dict[bytes, Callable[[Branch], Value]] = {
    b"uri": lambda branch: branch.uri or None,
    b"dst_uri": lambda branch: branch.destination or None,
    b"path": lambda branch: branch.path or None,
    b"q": lambda branch: branch.q if branch.q >= 0 else None,
    b"send_socket": lambda branch: branch.socket.text if branch.socket else None,
    b"flags": lambda branch: branch.flags,
    b"ruid": lambda branch: branch.ruid or None,
    b"location_ua": lambda branch: branch.location_ua or None,
    b"instance": lambda branch: branch.instance or None,
}

_WRITE: dict[bytes, Callable[[Branch, Value], bool]] = {
    b"uri": _text_writer("uri"),
    b"dst_uri": _text_writer("destination"),
    b"path": _text_writer("path"),
    b"q": _number_writer("q"),
    b"flags": _number_writer("flags"),
    b"ruid": _text_writer("ruid"),
    b"location_ua": _text_writer("location_ua"),
}
