"""Prints expressions of the intermediate representation in C-like languages: minimal brackets, never another order."""

from __future__ import annotations

import math
from collections.abc import Mapping

from neurodsl.ir.nodes import Const, Expr, IRType, Op, Var

_TERNARY, _OR, _AND, _EQUAL, _LESS, _SUM, PRODUCT, _UNARY, _ATOM = range(9)

_BINARY = {
    "add": ("+", _SUM),
    "sub": ("-", _SUM),
    "mul": ("*", PRODUCT),
    "div": ("/", PRODUCT),
    "lt": ("<", _LESS),
    "le": ("<=", _LESS),
    "gt": (">", _LESS),
    "ge": (">=", _LESS),
    "eq": ("==", _EQUAL),
    "ne": ("!=", _EQUAL),
}


class ExpressionPrinter:
    """Prints for code that is a template over `real`, the type of all values.

    `names` gives the spelling of each variable; a subclass may print some operators in its own way.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def text(self, e: Expr, outer: int = _TERNARY) -> str:
        """An expression; `outer` is the precedence that it must at least have."""
        shown, own = self._print(e)
        return f"({shown})" if own < outer else shown

    def literal(self, e: Const) -> str:
        """A number as `real(…)`: rounded once, from float64, at compile time."""
        if e.type is IRType.BOOL:
            return "true" if e.value else "false"
        value = float(e.value)
        if math.isnan(value):
            return "real(NAN)"
        if math.isinf(value):
            return "real(INFINITY)" if value > 0 else "real(-INFINITY)"
        if value == int(value) and abs(value) < 1e9 and math.copysign(1.0, value) * value >= 0:
            whole = str(int(value))
            return f"real({'-0.0' if value == 0 and math.copysign(1.0, value) < 0 else whole})"
        return f"real({value!r})"

    def call(self, name: str, arguments: list[str]) -> str:
        """A function of the language."""
        return f"fn_{name}({', '.join(arguments)})"

    def _print(self, e: Expr) -> tuple[str, int]:
        if isinstance(e, Var):
            return self._names[e.name], _ATOM
        if isinstance(e, Const):
            return self.literal(e), _ATOM
        if e.name in _BINARY:
            sign, own = _BINARY[e.name]
            left, right = self.text(e.args[0], own), self.text(e.args[1], own + 1)
            return f"{left} {sign} {right}", own
        return self._other(e)

    def _other(self, e: Op) -> tuple[str, int]:
        match e.name:
            case "neg":
                inner = self.text(e.args[0], _UNARY)
                return (f"-({inner})" if inner.startswith("-") else f"-{inner}"), _UNARY
            case "not":
                return f"!{self.text(e.args[0], _UNARY)}", _UNARY
            case "and":
                return " && ".join(self.text(a, _EQUAL) for a in e.args), _AND
            case "or":
                return " || ".join(self.text(a, _EQUAL) for a in e.args), _OR
            case "select":
                condition, a, b = e.args
                shown = f"{self.text(condition, _OR)} ? {self.text(a, _OR)} : {self.text(b, _OR)}"
                return shown, _TERNARY
            case "to_real":
                return f"{self.text(e.args[0], _OR)} ? real(1) : real(0)", _TERNARY
            case "square" | "cube" if isinstance(e.args[0], Var):
                name = self._names[e.args[0].name]
                return " * ".join([name] * (2 if e.name == "square" else 3)), PRODUCT
        return self.call(e.name, [self.text(a) for a in e.args]), _ATOM


def functions_called(expressions: list[Expr]) -> frozenset[str]:
    """Operators that are printed as calls."""
    plain = {*_BINARY, "neg", "not", "and", "or", "select", "to_real"}
    found: set[str] = set()
    waiting = list(expressions)
    while waiting:
        e = waiting.pop()
        if isinstance(e, Op):
            waiting.extend(e.args)
            product_of_name = e.name in ("square", "cube") and isinstance(e.args[0], Var)
            if e.name not in plain and not product_of_name:
                found.add(e.name)
    return frozenset(found)
