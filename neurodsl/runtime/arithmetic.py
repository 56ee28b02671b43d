"""The arithmetic of sizes and grids in a manifest: whole numbers, names, `+ - * /`, `ceil min max`."""

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


@cache
def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"{text!r} is no arithmetic") from error


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
