"""Prints a model's expressions in Python, for tensors and floats alike: operators, and functions of the runtime."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from neurodsl.sema import model as m

_SELECT, _COMPARE, _SUM, _PRODUCT, _SIGN, _ATOM = range(6)


class PythonPrinter:
    """Prints expressions; `names` spells params, inputs, states and locals, `fn` is the runtime's module."""

    def __init__(self, names: Mapping[str, str], surrogates: Mapping[int, str], like: str) -> None:
        self._names = names
        self._surrogates = surrogates
        self._like = like
        """A tensor of the states' dtype."""
        self.detach_spikes = False
        """Whether names of type spike are read as in `reset` lines."""

    def text(self, e: m.Expr, outer: int = _SELECT) -> str:
        """An expression of at least a precedence."""
        shown, own = _RULES[type(e)](self, e)
        return f"({shown})" if own < outer else shown

    def tensor(self, e: m.Expr, outer: int = _SELECT) -> str:
        """An expression that is a tensor, whatever its params are."""
        if e.level is m.Level.STEP:
            return self.text(e, outer)
        return f"fn.alike({self._like}, {self.text(e)})"

    def literal(self, e: m.Literal) -> tuple[str, int]:
        if e.type is m.Type.BOOLEAN:
            return ("True" if e.value else "False"), _ATOM
        return number_text(e.value), _ATOM if e.value >= 0 else _SIGN

    def ref(self, e: m.Ref) -> tuple[str, int]:
        name = self._names[e.name]
        if self.detach_spikes and e.type in m.SPIKES:
            return f"fn.detach_if(detach_reset, {name})", _ATOM
        return name, _ATOM

    def chain(self, e: m.Chain) -> tuple[str, int]:
        own = _SUM if e.operators[0] in "+-" else _PRODUCT
        if len(e.operands) > _MANY:
            terms = "".join(f", {self.text(operand)}" for operand in e.operands)
            return f"fn.chain({''.join(e.operators)!r}{terms})", _ATOM
        text, level = self.text(e.operands[0], own), e.operands[0].level
        for operator, operand in zip(e.operators, e.operands[1:], strict=True):
            if operator == "/" and level is not m.Level.STEP:
                text = f"fn.divide({text}, {self.text(operand)})"
            else:
                text = f"{text} {operator} {self.text(operand, own + 1)}"
            level = max(level, operand.level, key=lambda known: known.value)
        return text, own

    def power(self, e: m.Power) -> tuple[str, int]:
        return f"fn.power({self.text(e.base)}, {self.text(e.exponent)})", _ATOM

    def comparison(self, e: m.Comparison) -> tuple[str, int]:
        sides = [self.text(operand, _SUM) for operand in e.operands]
        pairs = [
            f"{a} {operator} {b}"
            for a, operator, b in zip(sides, e.operators, sides[1:], strict=False)
        ]
        if len(pairs) == 1:
            return pairs[0], _COMPARE
        return f"fn.both({', '.join(pairs)})", _ATOM

    def logic(self, e: m.Logic) -> tuple[str, int]:
        name = "both" if e.operator == "and" else "either"
        return f"fn.{name}({', '.join(self.text(operand) for operand in e.operands)})", _ATOM

    def negation(self, e: m.Not) -> tuple[str, int]:
        if e.type is m.Type.SPIKE:
            return f"1 - {self.text(e.operand, _PRODUCT)}", _SUM
        return f"fn.invert({self.text(e.operand)})", _ATOM

    def select(self, e: m.Select) -> tuple[str, int]:
        spread = e.type is m.Type.REAL and e.condition.level is m.Level.STEP
        numbers = m.Level.STEP not in (e.then.level, e.otherwise.level)
        then = self.tensor(e.then) if spread and numbers else self.text(e.then)
        otherwise = self.text(e.otherwise)
        name = "choose" if e.condition.type is m.Type.SPIKE else "where"
        more = "spiking" if name == "choose" else ""
        guarded = self._guarded(e)
        if guarded:
            name, names = f"{name}_guarded", ", ".join(guarded)
            then, otherwise = f"lambda {names}: {then}", f"lambda {names}: {otherwise}"
            more = ", ".join(filter(None, [more, names]))
        parts = ", ".join(filter(None, [self.text(e.condition), then, otherwise, more]))
        return f"fn.{name}({parts})", _ATOM

    def _guarded(self, e: m.Select) -> list[str]:
        """Names in the arms, if a gradient of 0 into the arm not taken could come out of it as NaN."""
        if e.condition.level is not m.Level.STEP:
            return []
        inside = [*m.walk(e.then), *m.walk(e.otherwise)]
        if not any(_can_be_singular(part) for part in inside):
            return []
        refs = (part for part in inside if isinstance(part, m.Ref))
        names = dict.fromkeys(self._names[r.name] for r in refs if r.type is not m.Type.BOOLEAN)
        return [name for name in names if name.isidentifier()]

    def call(self, e: m.Call) -> tuple[str, int]:
        name = {"min": "minimum", "max": "maximum", "abs": "absolute"}.get(e.function, e.function)
        return f"fn.{name}({', '.join(self.text(argument) for argument in e.arguments)})", _ATOM

    def phi(self, e: m.MatrixPhi) -> tuple[str, int]:
        entries = ", ".join(self.text(entry) for entry in e.entries)
        return f"fn.phi({e.row}, {e.column}, {entries})", _ATOM

    def detach(self, e: m.Detach) -> tuple[str, int]:
        return f"fn.detach({self.text(e.operand)})", _ATOM

    def spike(self, e: m.Spike) -> tuple[str, int]:
        surrogate = self._surrogates[id(e.surrogate.surrogate)]
        arguments = "".join(f"{self.text(argument)}, " for argument in e.surrogate.arguments)
        if e.compared is None:
            fired = "None"
        else:
            sign = ">" if e.strict else ">="
            left = self.tensor(e.compared[0], _SUM)
            fired = f"{left} {sign} {self.text(e.compared[1], _SUM)}"
        u = self.tensor(e.argument)
        shown = f"fn.spike({u}, {fired}, {surrogate}, ({arguments}), spiking)"
        return shown, _ATOM


_MANY = 100
"""Operands of a sum or product up to which it is written with operators: Python nests them, and not without end."""


def _can_be_singular(e: m.Expr) -> bool:
    """Whether its derivative can be infinite or not a number where its arguments are finite."""
    if isinstance(e, m.Call):
        return e.function not in _REGULAR
    if isinstance(e, m.Chain):
        divisors = zip(e.operators, e.operands[1:], strict=True)
        return any(op == "/" and by.level is m.Level.STEP for op, by in divisors)
    return isinstance(e, m.Power)


_REGULAR = frozenset({"abs", "min", "max", "sigmoid", "tanh", "sin", "cos", "atan", "erf", "floor"})


def number_text(value: float) -> str:
    """A float as Python reads it back."""
    if math.isnan(value):
        return 'float("nan")'
    if math.isinf(value):
        return 'float("inf")' if value > 0 else '-float("inf")'
    return repr(float(value))


_RULES: dict[type, Callable[..., tuple[str, int]]] = {
    m.Literal: PythonPrinter.literal,
    m.Ref: PythonPrinter.ref,
    m.Negate: lambda printer, e: (f"-{printer.text(e.operand, _SIGN)}", _SIGN),
    m.Not: PythonPrinter.negation,
    m.Chain: PythonPrinter.chain,
    m.Power: PythonPrinter.power,
    m.Comparison: PythonPrinter.comparison,
    m.Logic: PythonPrinter.logic,
    m.Select: PythonPrinter.select,
    m.Call: PythonPrinter.call,
    m.Detach: PythonPrinter.detach,
    m.MatrixPhi: PythonPrinter.phi,
    m.Spike: PythonPrinter.spike,
}
