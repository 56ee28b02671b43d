"""The arithmetic of sizes and grids in a manifest: whole numbers, names, `+ - * / %`, `ceil min max`; conditions."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from typing import Any

Number = int | Fraction
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: Fraction,
    ast.Mod: operator.mod,
}
_COMPARISONS: dict[type, Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"ceil": math.ceil, "min": min, "max": max}


def evaluate(text: str, names: Mapping[str, int]) -> int:
    """The value of an expression, exactly.

    Raises:
        ValueError: it is no such expression, or its value is not whole.
    """
    value = Fraction(_value(_parsed(text), names, text))
    if value.denominator != 1:
        raise ValueError(f"{text!r} is {value}, no whole number")
    return value.numerator


def holds(text: str, names: Mapping[str, int]) -> bool:
    """Whether a condition is true: comparisons of expressions, joined by `and`, `or`, `not`.

    Raises:
        ValueError: it is no condition.
    """
    return _holds(_parsed(text), names, text)


def names_in(text: str) -> frozenset[str]:
    """The names of sizes that an expression or a condition reads."""
    found = (node.id for node in ast.walk(_parsed(text)) if isinstance(node, ast.Name))
    return frozenset(name for name in found if name not in _FUNCTIONS)


@cache
def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"{text!r} is no arithmetic") from error


def _holds(node: ast.expr, names: Mapping[str, int], text: str) -> bool:
    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_holds(part, names, text) for part in parts)
        case ast.BoolOp(op=ast.Or(), values=parts):
            return any(_holds(part, names, text) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return not _holds(part, names, text)
        case ast.Compare(left=left, ops=ops, comparators=rights) if all(
            type(op) in _COMPARISONS for op in ops
        ):
            values = [_value(part, names, text) for part in (left, *rights)]
            pairs = zip(ops, values, values[1:], strict=False)
            return all(_COMPARISONS[type(op)](a, b) for op, a, b in pairs)
    raise ValueError(f"{text!r}: {ast.unparse(node)!r} is no condition")


def _value(node: ast.expr, names: Mapping[str, int], text: str) -> Number:
    made: Number
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            made = _OPERATORS[type(op)](_value(left, names, text), _value(right, names, text))
            return made
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            made = _FUNCTIONS[name](*(_value(arg, names, text) for arg in args))
            return made
    raise ValueError(f"{text!r}: {ast.unparse(node)!r} has no meaning here")
