"""The value of an expression in IEEE float64, as the host works it out: never an exception, never a complex number.

A division by zero is an infinity or NaN, a logarithm of a negative number is NaN, an overflow is an infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from neurodsl.matrix_functions import phi
from neurodsl.sema.model import (
    Call,
    Chain,
    Comparison,
    Detach,
    Expr,
    Literal,
    Logic,
    MatrixPhi,
    Negate,
    Not,
    Power,
    Ref,
    Select,
    Spike,
)

Value = float | bool


def evaluate(expression: Expr, names: Mapping[str, Value]) -> Value | None:
    """The value of `expression` where names have the given values; None if a name that it needs is missing.

    A spike counts as 1.0 or 0.0 where it fired or not.
    """
    try:
        return _value(expression, names)
    except KeyError:
        return None


def _value(e: Expr, names: Mapping[str, Value]) -> Value:
    match e:
        case Literal():
            return e.value
        case Ref():
            return names[e.name]
        case Negate():
            return -_value(e.operand, names)
        case Not():
            inner = _value(e.operand, names)
            return not inner if isinstance(inner, bool) else 1.0 - inner
        case Chain():
            return _chain(e, names)
        case Power():
            return power(float(_value(e.base, names)), float(_value(e.exponent, names)))
        case Comparison():
            values = [_value(operand, names) for operand in e.operands]
            return all(
                _COMPARE[operator](a, b)
                for operator, a, b in zip(e.operators, values, values[1:], strict=False)
            )
        case Logic():
            combine = all if e.operator == "and" else any
            return combine([bool(_value(operand, names)) for operand in e.operands])
        case Select():
            return _value(e.then if _value(e.condition, names) else e.otherwise, names)
        case Call():
            return call(e.function, [float(_value(a, names)) for a in e.arguments])
        case MatrixPhi():
            entries = tuple(float(_value(a, names)) for a in e.entries)
            return phi(entries)[e.row * e.size + e.column]
        case Detach():
            return _value(e.operand, names)
        case Spike():
            return _spike(e, names)


def _chain(e: Chain, names: Mapping[str, Value]) -> float:
    total = float(_value(e.operands[0], names))
    for operator, operand in zip(e.operators, e.operands[1:], strict=True):
        other = float(_value(operand, names))
        if operator == "+":
            total += other
        elif operator == "-":
            total -= other
        elif operator == "*":
            total *= other
        else:
            total = divide(total, other)
    return total


def _spike(e: Spike, names: Mapping[str, Value]) -> float:
    if e.compared is not None:
        a, b = (float(_value(side, names)) for side in e.compared)
    else:
        a, b = float(_value(e.argument, names)), 0.0
    return float(a > b if e.strict else a >= b)


def divide(a: float, b: float) -> float:
    """A / b as IEEE 754 has it."""
    if b != 0.0:
        return a / b
    if a == 0.0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, math.copysign(1.0, a) * math.copysign(1.0, b))


def power(base: float, exponent: float) -> float:
    """Base ** exponent as IEEE 754's pow has it: NaN for a root of a negative number."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        odd = exponent == math.floor(exponent) and math.fmod(exponent, 2.0) != 0.0
        return -math.inf if base < 0.0 and odd else math.inf
    except ValueError:
        if base != 0.0:
            return math.nan
        odd = exponent == math.floor(exponent) and math.fmod(exponent, 2.0) != 0.0
        return math.copysign(math.inf, base) if odd else math.inf


def call(function: str, arguments: list[float]) -> float:
    """The value of an elementary function of the op table."""
    if function in ("min", "max"):
        return _extreme(max if function == "max" else min, arguments)
    if function == "clip":
        x, low, high = arguments
        return _extreme(min, [_extreme(max, [x, low]), high])
    return _UNARY[function](arguments[0])


def _extreme(choose: Callable[[list[float]], float], values: list[float]) -> float:
    return math.nan if any(math.isnan(v) for v in values) else choose(values)


def _guarded(
    function: Callable[[float], float], overflow: float = math.inf
) -> Callable[[float], float]:
    """`function`, with NaN outside its domain and `overflow` where the result is too large."""

    def guarded(x: float) -> float:
        try:
            return function(x)
        except OverflowError:
            return overflow
        except ValueError:
            return math.nan

    return guarded


def _log(x: float) -> float:
    return -math.inf if x == 0.0 else math.log(x)


def _log1p(x: float) -> float:
    return -math.inf if x == -1.0 else math.log1p(x)


def _exprel(x: float) -> float:
    return 1.0 if x == 0.0 else divide(_UNARY["expm1"](x), x)


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + _UNARY["exp"](-x))


def _softplus(x: float) -> float:
    return x if math.isnan(x) else max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _sign(x: float) -> float:
    return math.copysign(1.0, x) if x != 0.0 and not math.isnan(x) else x


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    def rounded(x: float) -> float:
        return math.copysign(float(function(x)), x) if math.isfinite(x) else x

    return rounded


_UNARY: dict[str, Callable[[float], float]] = {
    "exp": _guarded(math.exp),
    "log": _guarded(_log),
    "expm1": _guarded(math.expm1),
    "log1p": _guarded(_log1p),
    "exprel": _guarded(_exprel),
    "sqrt": _guarded(math.sqrt),
    "rsqrt": _guarded(lambda x: divide(1.0, math.sqrt(x))),
    "abs": abs,
    "sign": _sign,
    "floor": _whole(math.floor),
    "ceil": _whole(math.ceil),
    "round": _whole(round),
    "sin": _guarded(math.sin),
    "cos": _guarded(math.cos),
    "tan": _guarded(math.tan),
    "atan": math.atan,
    "erf": math.erf,
    "sigmoid": _guarded(_sigmoid),
    "tanh": math.tanh,
    "softplus": _softplus,
    "relu": lambda x: x if x > 0.0 or math.isnan(x) else 0.0,
    "heaviside": lambda x: 1.0 if x >= 0.0 else 0.0,
}

_COMPARE: dict[str, Callable[[Value, Value], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
