"""The config language's tree: owns its statements and expressions, does nothing with them."""

from dataclasses import dataclass

from .source import Position


@dataclass(frozen=True, slots=True)
class Number:
    """An integer constant."""

    value: int
    position: Position


@dataclass(frozen=True, slots=True)
class String:
    """A quoted constant, escapes resolved; it may hold pseudo-variables."""

    text: str
    position: Position


@dataclass(frozen=True, slots=True)
class PseudoVariable:
    """A pseudo-variable as written, `$` included: `$ru`, `$avp(x)`, `$(ru{s.len})`."""

    spec: str
    position: Position


@dataclass(frozen=True, slots=True)
class Select:
    """A select as written, `@` included: `@ruri.user`."""

    path: str
    position: Position


@dataclass(frozen=True, slots=True)
class Word:
    """A bare word: a keyword value (`method`, `src_ip`, `myself`), a constant, a name."""

    name: str
    position: Position


@dataclass(frozen=True, slots=True)
class Network:
    """An IP address or, with `/bits` or `/mask`, a network."""

    text: str
    position: Position


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a core or module function."""

    name: str
    arguments: "tuple[Expression, ...]"
    position: Position


@dataclass(frozen=True, slots=True)
class RouteCall:
    """`route(NAME)`; target is a Word, Number, String or any expression that gives the name."""

    target: "Expression"
    position: Position


@dataclass(frozen=True, slots=True)
class Unary:
    """`!`, `-`, `~`, `(int)`, `(str)` or `defined` before its operand."""

    operator: str
    operand: "Expression"
    position: Position


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands; the operator has its canonical spelling (`&&` for `and`, `%` for `mod`)."""

    operator: str
    left: "Expression"
    right: "Expression"
    position: Position


Expression = (
    Number | String | PseudoVariable | Select | Word | Network | Call | RouteCall | Unary | Binary
)


@dataclass(frozen=True, slots=True)
class If:
    """`if` with its two branches; `otherwise` is empty without `else`."""

    condition: Expression
    then: "tuple[Statement, ...]"
    otherwise: "tuple[Statement, ...]"
    position: Position


@dataclass(frozen=True, slots=True)
class While:
    """A loop, which ends after max_while_loops rounds."""

    condition: Expression
    body: "tuple[Statement, ...]"
    position: Position


@dataclass(frozen=True, slots=True)
class Case:
    """A label of a switch with what follows it; label None is `default`."""

    label: Expression | None
    is_regex: bool
    body: "tuple[Statement, ...]"
    position: Position


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch, whose cases fall through until `break`."""

    subject: Expression
    cases: tuple[Case, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class Break:
    """`break` of the innermost loop or switch."""

    position: Position


@dataclass(frozen=True, slots=True)
class Return:
    """`return`, of 1 if it has no value."""

    value: Expression | None
    position: Position


@dataclass(frozen=True, slots=True)
class Exit:
    """`exit`: the end of the script; its value has no effect."""

    value: Expression | None
    position: Position


@dataclass(frozen=True, slots=True)
class Drop:
    """`drop`: the end of the script, and of the message where that can be."""

    value: Expression | None
    position: Position


@dataclass(frozen=True, slots=True)
class Assignment:
    """A pseudo-variable gets a value."""

    target: PseudoVariable
    value: Expression
    position: Position


@dataclass(frozen=True, slots=True)
class Evaluate:
    """A call as a statement."""

    call: Call | RouteCall
    position: Position


Statement = If | While | Switch | Break | Return | Exit | Drop | Assignment | Evaluate

Literal = int | str


@dataclass(frozen=True, slots=True)
class LoadModule:
    """`loadmodule`: the module's name without directory and `.so`, and the path as written."""

    name: str
    path: str
    position: Position


@dataclass(frozen=True, slots=True)
class ModuleParameter:
    """`modparam`: `module` is a case-insensitive regular expression of module names."""

    module: str
    name: str
    value: Literal
    position: Position


@dataclass(frozen=True, slots=True)
class Parameter:
    """A core parameter; is_text tells a quoted value from a bare word."""

    name: str
    value: Literal
    is_text: bool
    position: Position


@dataclass(frozen=True, slots=True)
class CustomParameter:
    """`group.variable = value desc "..."`, or a callback of the `kemi` group."""

    group: str
    name: str
    value: Literal
    description: str
    position: Position


@dataclass(frozen=True, slots=True)
class ListenParameter:
    """A socket to listen to, its addresses as written."""

    address: str
    advertise: str
    name: str
    virtual: bool
    position: Position


@dataclass(frozen=True, slots=True)
class AliasParameter:
    """A name that counts as this server, as written."""

    address: str
    position: Position


@dataclass(frozen=True, slots=True)
class ConfigEngine:
    """`cfgengine`: the name of the language the routes are written in."""

    name: str
    position: Position


@dataclass(frozen=True, slots=True)
class Flag:
    """A named flag; number None means the next free one."""

    name: str
    number: int | None
    position: Position


@dataclass(frozen=True, slots=True)
class Route:
    """A route block; kind is request, route, reply, onreply, failure, branch, onsend or event."""

    kind: str
    name: str
    body: tuple[Statement, ...]
    position: Position


Item = (
    LoadModule | ModuleParameter | Parameter | CustomParameter | ListenParameter
    | AliasParameter | ConfigEngine | Flag | Route
)  # fmt: skip
