"""What module declarations become: Lua functions, native functions, the catalogue of a config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kamailiod.cfg import ParameterKind
from kamailiod.script.context import Context, Route
from kamailiod.script.functions import (
    catalogue,
    kemi_functions,
    known_functions,
    native_functions,
    script_functions,
)
from kamailiod.script.module import Module, Params, kemi
from lua import Wait
from tests.kamailiod.fakes import FakeServices


@dataclass(frozen=True, slots=True)
class ToyParams(Params):
    """modparams of toy."""

    size: int = 1
    name: str = "x"


class Toy(Module):
    """A module with one function of each shape."""

    name = "toy"
    Params: ClassVar[type[Params]] = ToyParams

    @kemi("toy.say", "toy.tell", routes=Route.REQUEST | Route.FAILURE)
    def say(self, context: Context, text: bytes, times: int = 1) -> int:
        """Say a text."""
        return times

    @kemi("toy.only_kemi", native=())
    def only_kemi(self, context: Context) -> None:
        """Do nothing."""

    @kemi("toy.later", native="toy_later", waits=True)
    def later(self, context: Context) -> Wait:
        """Wait."""
        raise NotImplementedError


def test_kemi_functions(services: FakeServices) -> None:
    functions = {f.name: f for f in kemi_functions([Toy(ToyParams(), services)])}  # type: ignore[arg-type]
    assert set(functions) == {"toy.say", "toy.tell", "toy.only_kemi", "toy.later"}
    assert (functions["toy.say"].parameters, functions["toy.say"].optional) == (("str", "int"), 1)
    assert functions["toy.later"].waits
    assert not functions["toy.say"].waits
    assert functions["toy.tell"].call(None, b"x", 3) == 3


def test_known_functions_need_no_module() -> None:
    known = known_functions([Toy])
    assert set(known) == {
        "toy.say", "toy.tell", "toy.only_kemi", "toy.later", "x.exit", "x.drop",
    }  # fmt: skip


def test_native_functions_by_argument_count(services: FakeServices) -> None:
    native = native_functions([Toy(ToyParams(), services)])  # type: ignore[arg-type]
    assert {name for name in native if name.startswith("toy_later")} == {"toy_later/0"}
    assert not any(name.startswith("only_kemi") for name in native)
    says = sorted(name for name in native if "/" in name and not name.startswith("toy_later"))
    assert [name.rpartition("/")[2] for name in says] == ["1", "2"] * (len(says) // 2)
    assert native[says[0]].parameters == ("str",)
    assert native[says[1]].parameters == ("str", "int")


def test_the_catalogue() -> None:
    entry = catalogue({"toy": Toy}).modules["toy"]
    assert entry.parameters == {"size": ParameterKind.INTEGER, "name": ParameterKind.STRING}
    later = entry.functions["toy_later"]
    assert later.counts == {0}
    assert len(script_functions(Toy)) == 3
