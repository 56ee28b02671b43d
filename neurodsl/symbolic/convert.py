"""Between the intermediate representation and SymPy. Symbols are made from names, never from text that is parsed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import sympy

from neurodsl.ir.nodes import Const, Expr, IRType, Op, Var
from neurodsl.symbolic.functions import FUNCTIONS, Opaque

_BOOLEAN = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"})
_MAX_PRODUCT = 3
"""Whole powers up to this one are written as products."""


def to_sympy(e: Expr) -> Any:
    """A SymPy expression. A boolean variable is a symbol too: a spike's derivative is that of a real 0 or 1."""
    if isinstance(e, Const):
        return number(float(e.value))
    if isinstance(e, Var):
        return sympy.Symbol(e.name, real=True)
    args = [to_sympy(a) for a in e.args]
    match e.name:
        case "add":
            return args[0] + args[1]
        case "sub":
            return args[0] - args[1]
        case "mul":
            return args[0] * args[1]
        case "div":
            return args[0] / args[1]
        case "neg":
            return -args[0]
        case "square":
            return args[0] ** 2
        case "cube":
            return args[0] ** 3
        case "to_real":
            return args[0]
        case "not" if isinstance(e.args[0], Var):
            return 1 - args[0]
    return FUNCTIONS[e.name](*args)


_NOT_FINITE = {"inf": math.inf, "nan": math.nan}
"""Symbols for numbers of which SymPy has no derivative, but NaN. They stand for what all neurons share."""


def number(value: float) -> Any:
    """A number: an Integer where it is whole, else a Float of full precision."""
    if not math.isfinite(value):
        size = sympy.Symbol("nan" if math.isnan(value) else "inf", real=True)
        return -size if value < 0 else size
    if value == value and abs(value) < 2**53 and value == int(value):
        return sympy.Integer(int(value))
    return sympy.Float(value, 17)


class FromSympy:
    """Turns SymPy expressions back; `scalars` are the names of variables that all neurons share.

    Scalar factors of a product stand together in front, so that they can be worked out once; a division by
    something that all neurons share is a product with its reciprocal.
    """

    def __init__(self, variables: Iterable[Var], scalars: frozenset[str]) -> None:
        self._variables = {var.name: var for var in variables}
        self._scalars = scalars | _NOT_FINITE.keys()

    def expression(self, e: Any) -> Expr:
        """A real expression of the intermediate representation."""
        if e.is_Symbol:
            if e.name in _NOT_FINITE:
                return Const(_NOT_FINITE[e.name])
            var = self._variables[e.name]
            return Op("to_real", (var,)) if var.type is IRType.BOOL else var
        if e.is_number:
            return Const(_float(e))
        if e.is_Add:
            return self._sum(e)
        if e.is_Mul:
            return self._product(e)
        if e.is_Pow:
            return self._power(e.base, e.exp)
        assert isinstance(e, Opaque), f"no rule for {type(e).__name__}"
        return self._function(e)

    def _function(self, e: Opaque) -> Expr:
        if e.op == "select":
            arms = tuple(self.expression(a) for a in e.args[1:])
            return Op("select", (self._condition(e.args[0]), *arms))
        if e.op in _BOOLEAN:
            return Op("to_real", (self._condition(e),))
        return Op(e.op, tuple(self.expression(a) for a in e.args))

    def _condition(self, e: Any) -> Expr:
        """A boolean."""
        if e.is_Symbol:
            return self._variables[e.name]
        if isinstance(e, Opaque) and e.op == "detach":
            return self._condition(e.args[0])
        if isinstance(e, Opaque) and e.op in ("and", "or", "not"):
            return Op(e.op, tuple(self._condition(a) for a in e.args), IRType.BOOL)
        if isinstance(e, Opaque) and e.op in _BOOLEAN:
            return Op(e.op, tuple(self.expression(a) for a in e.args), IRType.BOOL)
        if isinstance(e, Opaque) and e.op == "select":
            parts = tuple(self._condition(a) for a in e.args)
            return Op("select", parts, IRType.BOOL)
        if e.is_number:
            return Const(bool(e), IRType.BOOL)
        return self._inverted(e)

    def _inverted(self, e: Any) -> Expr:
        """`1 - s`, which is what `not s` became."""
        return Op("not", (self._condition(sympy.expand(1 - e)),), IRType.BOOL)

    def _sum(self, e: Any) -> Expr:
        """Positive terms first, so that it begins without a sign where it can."""
        terms = [(term.could_extract_minus_sign(), term) for term in e.args]
        terms.sort(key=lambda pair: pair[0])
        negative, first = terms[0]
        total = self.expression(first)
        for negative, term in terms[1:]:
            if negative:
                total = Op("sub", (total, self.expression(-term)))
            else:
                total = Op("add", (total, self.expression(term)))
        return total

    def _product(self, e: Any) -> Expr:
        coefficient, factors = e.as_coeff_mul(rational=False)
        if coefficient.is_extended_real and float(coefficient) == -1.0:
            return Op("neg", (self._product_of(sympy.S.One, factors),))
        return self._product_of(coefficient, factors)

    def _product_of(self, coefficient: Any, factors: Iterable[Any]) -> Expr:
        scalar: Expr | None = (
            None
            if coefficient.is_extended_real and float(coefficient) == 1.0
            else Const(_float(coefficient))
        )
        above: Expr | None = None
        below: Expr | None = None
        for factor in factors:
            inverse = factor.is_Pow and factor.exp.is_number and factor.exp < 0
            if self._is_scalar(factor):
                scalar = _times(scalar, self.expression(factor))
            elif inverse:
                below = _times(below, self._power(factor.base, -factor.exp))
            else:
                above = _times(above, self.expression(factor))
        if below is not None:
            above = Op("div", (Const(1.0) if above is None else above, below))
        return _times(scalar, above) if above is not None else scalar or Const(1.0)

    def _is_scalar(self, e: Any) -> bool:
        return all(symbol.name in self._scalars for symbol in e.free_symbols)

    def _power(self, base: Any, exponent: Any) -> Expr:
        if not (exponent.is_Integer and abs(int(exponent)) <= 2 * _MAX_PRODUCT):
            return Op("pow", (self.expression(base), self.expression(exponent)))
        count, value = abs(int(exponent)), self.expression(base)
        power = _whole_power(value, count)
        return power if exponent > 0 else Op("div", (Const(1.0), power))


def _float(e: Any) -> float:
    """A number; NaN for what is none, such as a division by `x - x`."""
    return float(e) if e.is_extended_real else math.nan


def _whole_power(value: Expr, count: int) -> Expr:
    match count:
        case 1:
            return value
        case 2:
            return Op("square", (value,))
        case 3:
            return Op("cube", (value,))
    half = _whole_power(Op("square", (value,)), count // 2)
    return half if count % 2 == 0 else Op("mul", (half, value))


def _times(a: Expr | None, b: Expr | None) -> Expr:
    if a is None or b is None:
        factor = a if b is None else b
        assert factor is not None
        return factor
    return Op("mul", (a, b))
