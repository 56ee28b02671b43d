"""Value numbering: a program becomes one operation a line, equal operations are worked out once.

Nothing is rearranged, so every bit stays as it was. What is folded is exact: a product with 1, two signs, a selection
between equal arms, arithmetic between two constants in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from neurodsl.ir.names import Names
from neurodsl.ir.nodes import Assign, Const, Expr, IRType, Op, Program, Var
from neurodsl.ir.trees import DETACH
from neurodsl.sema.evaluate import divide

_FOLD: dict[str, Callable[[float, float], float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": divide,
}

_COMMUTATIVE = frozenset({"add", "mul", "eq", "ne", "and", "or"})


class ValueNumbering:
    """Numbers one program after another; what an earlier one worked out, a later one reads."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._atoms: dict[str, Expr] = {}
        self._known: dict[tuple[object, ...], Expr] = {}
        self.temporaries: set[str] = set()
        """Names that no user wrote."""

    def program(self, program: Program) -> Program:
        """The program, flat and without repetition; what was only a copy is gone."""
        made: list[Assign] = []
        for assign in program:
            self._atoms[assign.target.name] = self._number(
                assign.value, assign, made, assign.target
            )
        return Program(tuple(made))

    def atom(self, e: Expr) -> Expr:
        """What an expression of an earlier program's variables is now called: a variable or constant, or an operation
        of those.
        """
        if isinstance(e, Var):
            return self._atoms.get(e.name, e)
        if isinstance(e, Op):
            if e.name == DETACH:
                return self.atom(e.args[0])
            return Op(e.name, tuple(self.atom(a) for a in e.args), e.type)
        return e

    def _number(
        self, e: Expr, origin: Assign, made: list[Assign], target: Var | None = None
    ) -> Expr:
        if isinstance(e, Var):
            return self._atoms.get(e.name, e)
        if isinstance(e, Const):
            return e
        args = tuple(self._number(a, origin, made) for a in e.args)
        folded = _fold(e.name, args)
        if folded is not None:
            return folded
        key = _key(e.name, args)
        if key not in self._known:
            if target is None:
                target = Var(self._names.fresh(f"{origin.target.name}_part"), e.type)
                self.temporaries.add(target.name)
            made.append(Assign(target, Op(e.name, args, e.type), origin.note))
            self._known[key] = target
        return self._known[key]


def _key(name: str, args: tuple[Expr, ...]) -> tuple[object, ...]:
    """Equal for equal values. Constants by their bits: -0.0 is not 0.0."""
    parts = [_part(a) for a in args]
    if name in _COMMUTATIVE:
        parts.sort()
    return (name, *parts)


def _part(e: Expr) -> tuple[str, str]:
    if isinstance(e, Const):
        return ("bool", str(e.value)) if e.type is IRType.BOOL else ("real", float(e.value).hex())
    assert isinstance(e, Var)
    return ("var", e.name)


def _fold(name: str, args: tuple[Expr, ...]) -> Expr | None:
    """The value of an operation that needs none."""
    match name, args:
        case name, (a,) if name == DETACH:
            return a
        case "mul", (Const(value=1.0), a) | (a, Const(value=1.0)):
            return a
        case "div", (a, Const(value=1.0)):
            return a
        case "select", (_, a, b) if a == b:
            return a
        case "select", (Const(value=condition), a, b):
            return a if condition else b
        case "to_real", (Const(value=value),):
            return Const(1.0 if value else 0.0)
        case "not", (Const(value=value),):
            return Const(not value, IRType.BOOL)
        case "neg", (Const(value=value),):
            return Const(-float(value))
        case _, (Const(value=a), Const(value=b)) if name in _FOLD:
            return Const(_FOLD[name](float(a), float(b)))
        case "square", (Const(value=value),):
            return Const(float(value) * float(value))
        case "sqrt", (Const(value=value),) if value >= 0:
            return Const(math.sqrt(float(value)))
    return None
