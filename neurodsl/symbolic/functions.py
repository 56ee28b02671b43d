"""The language's functions as SymPy sees them, each with the derivative that the language promises.

SymPy's own classes would rewrite (`Heaviside`, `DiracDelta`, `re`/`im`); these stay as they are written. A class is
named after the operator of the intermediate representation that it stands for. Comparisons and logic are functions
without a derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import sympy

ONE, ZERO = sympy.S.One, sympy.S.Zero


class Opaque(sympy.Function):  # type: ignore[misc]
    """A function that nothing simplifies and, unless said otherwise, no gradient passes."""

    op = ""

    @classmethod
    def eval(cls, *arguments: Any) -> None:
        """Never evaluated."""
        return

    def _eval_derivative(self, x: Any) -> Any:
        total = ZERO
        for place, argument in enumerate(self.args):
            inner = argument.diff(x)
            if inner is not ZERO:
                total += self.partial(place) * inner
        return total

    def partial(self, place: int) -> Any:
        """The derivative by one argument."""
        return ZERO


def _unary(name: str, derivative: Callable[[Any], Any]) -> type[Opaque]:
    def partial(self: Opaque, place: int) -> Any:
        return derivative(self.args[0])

    return type(name, (Opaque,), {"op": name, "partial": partial, "nargs": 1})


def _none(name: str, count: int) -> type[Opaque]:
    return type(name, (Opaque,), {"op": name, "nargs": count})


lt, le, gt, ge, eq, ne, both, either = (
    _none(name, 2) for name in ("lt", "le", "gt", "ge", "eq", "ne", "and", "or")
)
negation = _none("not", 1)
detach = _none("detach", 1)
sign, floor, ceil, round_, heaviside = (
    _none(name, 1) for name in ("sign", "floor", "ceil", "round", "heaviside")
)


class Select(Opaque):
    """`a if c else b`: to the arm taken, exactly zero to the other; `(a - b)` to a spike."""

    op = "select"
    nargs = 3

    def _eval_derivative(self, x: Any) -> Any:
        condition, a, b = self.args
        da, db = a.diff(x), b.diff(x)
        arms = da if da == db else Select(condition, da, db)
        return arms + (a - b) * condition.diff(x)


class Max(Opaque):
    """The larger; ties half each."""

    op = "max"
    nargs = 2

    def _eval_derivative(self, x: Any) -> Any:
        a, b = self.args
        return _larger(a, b, x)


class Min(Opaque):
    """The smaller; ties half each."""

    op = "min"
    nargs = 2

    def _eval_derivative(self, x: Any) -> Any:
        a, b = self.args
        return _larger(b, a, x, a, b)


def _larger(a: Any, b: Any, x: Any, first: Any = None, second: Any = None) -> Any:
    """The derivative of whichever of `first` (where a > b) and `second` (where a < b), half of both at a tie."""
    first, second = (a, b) if first is None else (first, second)
    da, db = first.diff(x), second.diff(x)
    if da == db:
        return da
    half = sympy.Rational(1, 2)
    return Select(gt(a, b), da, Select(lt(a, b), db, half * da + half * db))


class Clip(Opaque):
    """1 inside and at both ends; outside, the gradient is the bound's."""

    op = "clip"
    nargs = 3

    def _eval_derivative(self, x: Any) -> Any:
        value, low, high = self.args
        above = Select(gt(value, high), high.diff(x), value.diff(x))
        return Select(lt(value, low), low.diff(x), above)


class Power(Opaque):
    """A power whose exponent is no small integer."""

    op = "pow"
    nargs = 2

    def partial(self, place: int) -> Any:
        """By the base b * a^(b-1), by the exponent a^b * log(a), 0 where the base is 0."""
        base, exponent = self.args
        if place == 0:
            return exponent * Power(base, exponent - 1)
        return Select(eq(base, ZERO), ZERO, self * FUNCTIONS["log"](base))


def _exprel_derivative(x: Any) -> Any:
    """(e^x - exprel(x)) / x, and its series near 0, where that would cancel."""
    series = ZERO
    for n in reversed(range(10)):
        series = series * x + sympy.Float(float((n + 1) / math.factorial(n + 2)), 17)
    exact = (FUNCTIONS["exp"](x) - FUNCTIONS["exprel"](x)) / x
    return Select(lt(FUNCTIONS["abs"](x), sympy.Rational(1, 4)), series, exact)


FUNCTIONS: dict[str, type[Opaque]] = {
    "lt": lt,
    "le": le,
    "gt": gt,
    "ge": ge,
    "eq": eq,
    "ne": ne,
    "and": both,
    "or": either,
    "not": negation,
    "detach": detach,
    "sign": sign,
    "floor": floor,
    "ceil": ceil,
    "round": round_,
    "heaviside": heaviside,
    "select": Select,
    "max": Max,
    "min": Min,
    "clip": Clip,
    "pow": Power,
    "exp": _unary("exp", lambda x: FUNCTIONS["exp"](x)),
    "log": _unary("log", lambda x: 1 / x),
    "expm1": _unary("expm1", lambda x: FUNCTIONS["exp"](x)),
    "log1p": _unary("log1p", lambda x: 1 / (1 + x)),
    "exprel": _unary("exprel", _exprel_derivative),
    "sqrt": _unary("sqrt", lambda x: sympy.Rational(1, 2) / FUNCTIONS["sqrt"](x)),
    "rsqrt": _unary("rsqrt", lambda x: -sympy.Rational(1, 2) * FUNCTIONS["rsqrt"](x) ** 3),
    "abs": _unary("abs", lambda x: sign(x)),
    "sin": _unary("sin", lambda x: FUNCTIONS["cos"](x)),
    "cos": _unary("cos", lambda x: -FUNCTIONS["sin"](x)),
    "tan": _unary("tan", lambda x: 1 + FUNCTIONS["tan"](x) ** 2),
    "atan": _unary("atan", lambda x: 1 / (1 + x**2)),
    "erf": _unary(
        "erf", lambda x: sympy.Float(2 / math.sqrt(math.pi), 17) * FUNCTIONS["exp"](-(x**2))
    ),
    "sigmoid": _unary("sigmoid", lambda x: FUNCTIONS["sigmoid"](x) * (1 - FUNCTIONS["sigmoid"](x))),
    "tanh": _unary("tanh", lambda x: 1 - FUNCTIONS["tanh"](x) ** 2),
    "softplus": _unary("softplus", lambda x: FUNCTIONS["sigmoid"](x)),
    "relu": _unary("relu", lambda x: Select(gt(x, ZERO), ONE, ZERO)),
}
"""Every operator that is not plain arithmetic, by its name in the intermediate representation."""
