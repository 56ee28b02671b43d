"""What a neuron means: names resolved, inheritance and imports flattened, functions inlined, every expression typed.

Expressions keep the shape that the user wrote (chains stay chains), so that the readable Python, the LaTeX and the
intermediate representation are all made from this one tree. Depth is at most a few times 200.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from neurodsl.diagnostics.span import NOWHERE, Span


class Type(StrEnum):
    """The type of an expression. A spike is 0/1 in arithmetic and carries a surrogate gradient."""

    REAL = "real"
    BOOLEAN = "boolean"
    SPIKE = "spike"
    GRADED = "graded"
    """A spike of several levels: what a surrogate with a `value` gives. No condition."""


SPIKES = (Type.SPIKE, Type.GRADED)
"""The types of what a spike gives."""


class Level(Enum):
    """When a value is known: at compile time, once per call (from params and `dt`), or at each step and neuron."""

    NUMBER = 0
    PARAM = 1
    STEP = 2


class SymbolKind(StrEnum):
    """What a name stands for."""

    INPUT = "input"
    STATE = "state"
    PARAM = "param"
    LOCAL = "local"
    DT = "dt"
    T = "t"
    NOISE = "noise"  # a standard draw of each neuron and step
    ARGUMENT = "argument"  # of a surrogate: `u` and its parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """Any expression: its type, its level, its place."""

    type: Type
    level: Level
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Literal(Typed):
    """A number (float64; consts and `pi` are folded into it) or, where type is BOOLEAN, true or false."""

    value: float


@dataclass(frozen=True, slots=True)
class Ref(Typed):
    """A name's value where it stands: statements are sequential, a later assignment changes what later lines see."""

    name: str
    kind: SymbolKind


@dataclass(frozen=True, slots=True)
class Negate(Typed):
    """`-operand`, real."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class Not(Typed):
    """`not operand`: boolean of a boolean, the spike `1 - s` of a spike."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class Chain(Typed):
    """`a + b - c` or `a * b / c`, from the left; real."""

    operators: tuple[str, ...]
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Power(Typed):
    """`base ^ exponent`; real."""

    base: Expr
    exponent: Expr


@dataclass(frozen=True, slots=True)
class Comparison(Typed):
    """`a < b <= c`; boolean."""

    operators: tuple[str, ...]
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Logic(Typed):
    """`a and b` / `a or b`; boolean."""

    operator: str
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Select(Typed):
    """`then if condition else otherwise`; the condition is BOOLEAN or SPIKE. A spike if both arms are."""

    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True)
class Call(Typed):
    """A built-in function of the table in sema/builtins.py, positional arguments only (`where` becomes Select)."""

    function: str
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Detach(Typed):
    """`detach(operand)`: its value, without a gradient."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class Spike(Typed):
    """`spike(u, surrogate)`: fires where `u >= 0`, or `u > 0` if `strict`; type SPIKE.

    For the form `spike(a >= b)`, `compared` holds (a, b), `argument` is `a - b`, and firing is `a >= b`.
    """

    argument: Expr
    strict: bool
    surrogate: SurrogateUse
    compared: tuple[Expr, Expr] | None = None


@dataclass(frozen=True, slots=True)
class MatrixPhi(Typed):
    """One entry of `(exp(M) - 1) / M`, M a square matrix of params given row by row (see matrix_functions.py)."""

    entries: tuple[Expr, ...]
    size: int
    row: int
    column: int


Expr = (
    Literal
    | Ref
    | Negate
    | Not
    | Chain
    | Power
    | Comparison
    | Logic
    | Select
    | Call
    | Detach
    | MatrixPhi
    | Spike
)


@dataclass(frozen=True, slots=True)
class SurrogateModel:
    """A surrogate's definition. `parameters` are its names after `u`, with defaults.

    In `primitive`, `gradient` and `value` the names `u` and the parameters are Refs of kind ARGUMENT
    (`u` at level STEP, parameters at level PARAM). At least one of primitive and gradient is given.
    """

    name: str
    parameters: tuple[tuple[str, Expr | None], ...]
    primitive: Expr | None
    gradient: Expr | None
    value: Expr | None = None
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class SurrogateUse:
    """A surrogate with its arguments, in the order of its parameters, defaults filled in (level <= PARAM)."""

    surrogate: SurrogateModel
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class IntervalModel:
    """The interval that a param must lie in, its ends worked out; `text` as in `(1, inf)`."""

    low: float
    high: float
    low_open: bool
    high_open: bool
    text: str


@dataclass(frozen=True, slots=True)
class ParamModel:
    """A param. `default` (None: must be given) is an expression of earlier params and consts, real or boolean.

    `value` is the default worked out with all earlier params at their defaults (None where there is none).
    """

    name: str
    type: Type
    default: Expr | None
    value: float | bool | None
    interval: IntervalModel | None
    learnable: bool
    via: str | None
    span: Span = field(default=NOWHERE, compare=False)
    shape: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """What is drawn for each neuron and step: `normal` (mean 0, variance 1) or `uniform` (in [0, 1))."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class StateModel:
    """A state and its value before the first step (level <= PARAM); always real."""

    name: str
    initial: Expr
    span: Span = field(default=NOWHERE, compare=False)


class PhaseName(StrEnum):
    """The phases of a step, in order."""

    CHARGE = "charge"
    FIRE = "fire"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Statement:
    """`target = value`, in its phase. `text` is the user's statement printed from the syntax tree, on one line.

    ODEs are already expanded: each `d…/dt` line became assignments (all reading the old values), whose `text` is the
    ODE line. `hidden` marks what the compiler added (arguments of inlined functions, an ODE system's new values).
    `target` is a state or a local; a hidden one has a name that no user can type clashing with it.
    """

    target: str
    value: Expr
    phase: PhaseName
    text: str
    hidden: bool = False
    span: Span = field(default=NOWHERE, compare=False)
    system: int | None = None
    """The system of differential equations that it was written out from, a place in NeuronModel.systems."""


@dataclass(frozen=True, slots=True)
class SystemModel:
    """Adjacent `d…/dt` lines: each state with its derivative, over the values at the start of the step."""

    derivatives: tuple[tuple[str, Expr], ...]
    solver: str
    why_not_exact: str
    """What keeps `exact` from solving it; empty if nothing does."""

    @property
    def states(self) -> str:
        """The states, as they are listed in a sentence."""
        return ", ".join(name for name, _ in self.derivatives)


@dataclass(frozen=True, slots=True)
class NeuronModel:
    """One neuron, whole. Everything in declaration order, a parent's before its child's."""

    name: str
    docstring: str | None
    inputs: tuple[str, ...]
    """What a step reads: the declared inputs, then what is fed back."""
    outputs: tuple[str, ...]
    params: tuple[ParamModel, ...]
    states: tuple[StateModel, ...]
    statements: tuple[Statement, ...]
    equations: tuple[str, ...]
    """The neuron's source, flattened and printed from the syntax tree, a line each: for docstrings and `show`."""
    surrogates: tuple[SurrogateModel, ...]
    """Every surrogate that a spike of this neuron uses, each once."""
    local_types: tuple[tuple[str, Type], ...]
    """Each local that is not hidden, in order of first assignment, with the type of its last assignment."""
    uses_t: bool = False
    uses_dt: bool = False
    noises: tuple[NoiseModel, ...] = ()
    feedbacks: tuple[tuple[str, str], ...] = ()
    """(what a step reads, what the step before gave a module to make it of)."""
    systems: tuple[SystemModel, ...] = ()
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def written(self) -> tuple[str, ...]:
        """What a step gives: the outputs, then what is fed back and is none."""
        sources = dict.fromkeys(source for _, source in self.feedbacks)
        return (*self.outputs, *(name for name in sources if name not in self.outputs))


@dataclass(frozen=True, slots=True)
class FileModel:
    """What one source file defines: its own neurons in order (imported ones are not listed) and all texts read.

    `sources` maps each text's name, as diagnostics show it, to its content: the file first, then what it imports.
    """

    name: str
    neurons: tuple[NeuronModel, ...]
    surrogates: tuple[SurrogateModel, ...]
    sources: tuple[tuple[str, str], ...]


Parts = Callable[[Expr], tuple[Expr, ...]]


def parts(e: Expr) -> tuple[Expr, ...]:
    """The operands that the value of an expression depends on; a surrogate's arguments are not among the"""
    match e:
        case Negate() | Not() | Detach():
            return (e.operand,)
        case Chain() | Comparison() | Logic():
            return e.operands
        case Power():
            return (e.base, e.exponent)
        case Select():
            return (e.condition, e.then, e.otherwise)
        case Call():
            return e.arguments
        case MatrixPhi():
            return e.entries
        case Spike():
            return (e.argument,)
        case _:
            return ()


def walk(e: Expr, into: Parts = parts) -> Iterator[Expr]:
    """An expression and all below it, from left to right."""
    waiting = [e]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(into(node)))
