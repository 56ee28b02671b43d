"""The syntax tree: what the user wrote, frozen, with a span on every node.

Sums and products are n-ary chains (evaluated from the left), so that the depth of a tree is the depth of the
brackets that the user typed, never the length of a sum. Equality ignores spans.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from neurodsl.diagnostics.span import NOWHERE, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Anything with a place in the source."""

    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Identifier(Node):
    """A name where it is declared or listed."""

    name: str


# --- expressions ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A number as written; `text` keeps its spelling."""

    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Boolean(Node):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A use of a name; `pi`, `inf`, `dt` and `t` are names too."""

    name: str


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`-a`, `+a` or `not a`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """`a + b - c` (operators `+ -`) or `a * b / c` (operators `* /`), worked out from the left.

    len(operators) == len(operands) - 1 >= 1.
    """

    operators: tuple[str, ...]
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Power(Node):
    """`base ^ exponent` (`**` is the same); right-associative, binds tighter than a sign to its left."""

    base: Expression
    exponent: Expression


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """`a < b <= c`: operators from `< <= > >= == !=`, chained as in Python."""

    operators: tuple[str, ...]
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """`a and b and c` or `a or b`; operator is `and` or `or`."""

    operator: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`then if condition else otherwise`."""

    then: Expression
    condition: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """An argument of a call; `keyword` is None where it is positional."""

    keyword: Identifier | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`function(arguments…)`: a built-in function, a user's function, `spike`, or a surrogate inside `spike`."""

    function: Identifier
    arguments: tuple[Argument, ...]


Expression = (
    Number | Boolean | Name | Unary | Chain | Power | Comparison | Logic | Conditional | Call
)


# --- statements and phases --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Assignment(Node):
    """`target = value`."""

    target: Identifier
    value: Expression


@dataclass(frozen=True, slots=True)
class Solver(Node):
    """`by rk4(steps=4)`."""

    name: Identifier
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Derivative(Node):
    """`dv/dt = value by solver`; `target` is `v`."""

    target: Identifier
    value: Expression
    solver: Solver | None


Statement = Assignment | Derivative


@dataclass(frozen=True, slots=True)
class Phase(Node):
    """`charge:`, `fire:` or `reset:` with its statements; the span of `keyword` is its first line's."""

    keyword: Identifier
    statements: tuple[Statement, ...]


# --- declarations -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Input(Node):
    """`input x, y`."""

    names: tuple[Identifier, ...]


@dataclass(frozen=True, slots=True)
class Output(Node):
    """`output s, v`."""

    names: tuple[Identifier, ...]


@dataclass(frozen=True, slots=True)
class Const(Node):
    """`const c = value`."""

    name: Identifier
    value: Expression


@dataclass(frozen=True, slots=True)
class Interval(Node):
    """`in (1, inf)`; ends are constant expressions, open or closed."""

    low: Expression
    high: Expression
    low_open: bool
    high_open: bool


@dataclass(frozen=True, slots=True)
class Param(Node):
    """`param tau[channel] = 2.0 in (1, inf) learnable via exp`; `shape` is () for a scalar."""

    name: Identifier
    shape: tuple[Identifier, ...]
    default: Expression | None
    interval: Interval | None
    learnable: Identifier | None
    via: Identifier | None


@dataclass(frozen=True, slots=True)
class State(Node):
    """`state v = initial`."""

    name: Identifier
    initial: Expression


@dataclass(frozen=True, slots=True)
class Feedback(Node):
    """`feedback y from s`."""

    name: Identifier
    source: Identifier


@dataclass(frozen=True, slots=True)
class Noise(Node):
    """`noise e ~ normal(0, sigma)`."""

    name: Identifier
    distribution: Call


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """A formal parameter of a function or surrogate, with its default."""

    name: Identifier
    default: Expression | None


@dataclass(frozen=True, slots=True)
class Function(Node):
    """`function gate(z, k=1.0) = body`; at the top level or inside a neuron."""

    name: Identifier
    parameters: tuple[Parameter, ...]
    body: Expression


@dataclass(frozen=True, slots=True)
class Surrogate(Node):
    """A surrogate: its first parameter is `u`; `definitions` are its `primitive`, `gradient` and `value` lines."""

    name: Identifier
    parameters: tuple[Parameter, ...]
    definitions: tuple[Assignment, ...]


Declaration = Input | Output | Const | Param | State | Feedback | Noise | Function


@dataclass(frozen=True, slots=True)
class Neuron(Node):
    """`neuron Name(Parent):` with its docstring (raw text, quotes removed), declarations and phases, in order."""

    name: Identifier
    parent: Identifier | None
    docstring: str | None
    declarations: tuple[Declaration, ...]
    phases: tuple[Phase, ...]


@dataclass(frozen=True, slots=True)
class Import(Node):
    """`from "lif.neuron" import LIF, IF` (`path` set) or `from library import LIF` (`path` None)."""

    path: str | None
    names: tuple[Identifier, ...]


@dataclass(frozen=True, slots=True)
class File(Node):
    """One `.neuron` file, its items in order."""

    items: tuple[Import | Function | Surrogate | Neuron, ...]
