"""From a syntax expression to a typed one: names resolved, consts folded, functions inlined.

`None` stands for what could not be typed: it has been reported, and nothing that contains it is reported again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Protocol

from neurodsl.diagnostics import Report, Span
from neurodsl.diagnostics.suggest import did_you_mean
from neurodsl.frontend import ast
from neurodsl.sema import model as m
from neurodsl.sema.builtins import BUILTINS
from neurodsl.sema.evaluate import evaluate
from neurodsl.sema.imports import Scope
from neurodsl.sema.limits import Limits

REAL, BOOLEAN, SPIKE = m.Type.REAL, m.Type.BOOLEAN, m.Type.SPIKE
Resolved = m.Expr | None


class SurrogateResolver(Protocol):
    """Resolves the second argument of `spike`."""

    def __call__(self, call: ast.Expression | None, owner: Elaborator) -> m.SurrogateUse | None:
        """The surrogate used; None if it was reported."""
        ...


@dataclass(slots=True)
class Elaborator:
    """What expressions may name at one place, and how they are typed."""

    report: Report
    scope: Scope
    lookup: Callable[[ast.Name], Resolved | str]
    """A name's value; a text says why it has none (reported with the name); None: already reported."""
    names: Callable[[], list[str]]
    surrogate: SurrogateResolver | None = None
    functions: Mapping[str, tuple[ast.Function, Scope]] = field(default_factory=dict)
    """The functions of the file."""
    locals: Mapping[str, tuple[ast.Function, Scope]] = field(default_factory=dict)
    """The neuron's own functions; they see what `members` finds besides their parameters."""
    members: Callable[[ast.Name], Resolved | str] | None = None
    hidden: Callable[[str, m.Expr], m.Expr] | None = None
    """Makes a hidden variable of a value that is read more than once; None where there is no place for one."""
    inlining: tuple[ast.Function, ...] = ()
    """The functions that are being put in, the outermost first."""
    limits: Limits = field(default_factory=Limits)

    def expression(self, node: ast.Expression) -> Resolved:
        """A typed expression of any type."""
        limits = self.limits
        if self.inlining and limits.reached(self.report, self.inlining[0].name, node.span):
            return None
        limits.depth += 1
        try:
            rule = _RULES.get(type(node)) or _call_rule()
            return rule(self, node)
        finally:
            limits.depth -= 1

    def arm(self) -> Elaborator:
        """For an arm of a selection: nothing of it is computed before the selection, so that nothing leaks from it."""
        return self if self.hidden is None else replace(self, hidden=None)

    def real(self, node: ast.Expression) -> Resolved:
        """A real; a spike counts as 0 or 1."""
        return self.as_real(self.expression(node), node)

    def reals(self, nodes: tuple[ast.Expression, ...]) -> tuple[m.Expr, ...] | None:
        """All of several reals, or None."""
        known: list[m.Expr] = []
        for node in nodes:
            value = self.as_real(self.expression(node), node)
            if value is not None:
                known.append(value)
        return tuple(known) if len(known) == len(nodes) else None

    def as_real(self, value: Resolved, node: ast.Expression) -> Resolved:
        """A value that must not be a boolean."""
        if value is not None and value.type is BOOLEAN:
            self.report.add(
                "E0302",
                node.span,
                "a boolean where a number is needed",
                label="this is true or false",
                help="write `1 if … else 0`",
            )
            return None
        return value

    def condition(self, node: ast.Expression) -> Resolved:
        """A boolean or a spike."""
        return self.as_condition(self.expression(node), node)

    def as_condition(self, value: Resolved, node: ast.Expression) -> Resolved:
        """A value that must not be a real."""
        if value is not None and value.type in (REAL, m.Type.GRADED):
            graded = value.type is m.Type.GRADED
            self.report.add(
                "E0420" if graded else "E0301",
                node.span,
                "a number where a condition is needed",
                label="this is a spike of several levels" if graded else "this is a real",
                help="multiply by it, as in `v - s * v_threshold`"
                if graded
                else "compare it, as in `wait > 0`",
            )
            return None
        return value

    # --- leaves ---

    def number(self, node: ast.Number) -> Resolved:
        return literal(node.value, node.span)

    def boolean(self, node: ast.Boolean) -> Resolved:
        return m.Literal(float(node.value), type=BOOLEAN, level=m.Level.NUMBER, span=node.span)

    def name(self, node: ast.Name) -> Resolved:
        constants = {"pi": math.pi, "inf": math.inf}
        if node.name in constants:
            return literal(constants[node.name], node.span)
        value = self.lookup(node)
        if isinstance(value, str) and not self._is_function(node):
            self.report.add(
                "E0201",
                node.span,
                f"unknown name `{node.name}`",
                label=value,
                help=did_you_mean(node.name, self.names()),
            )
        return None if isinstance(value, str) else value

    def _is_function(self, node: ast.Name) -> bool:
        name = node.name
        if name not in BUILTINS and name not in self.functions and name not in self.locals:
            return False
        inside = ", ".join(BUILTINS[name].arguments) if name in BUILTINS else "…"
        self.report.add(
            "E0209",
            node.span,
            f"the function `{name}` stands here without its arguments",
            label="a function is no value",
            help=f"call it: {name}({inside})",
        )
        return True

    # --- operators ---

    def unary(self, node: ast.Unary) -> Resolved:
        if node.operator == "not":
            inner = self.as_condition(self.expression(node.operand), node.operand)
            return None if inner is None else m.Not(inner, **typed(inner.type, node.span, inner))
        inner = self.as_real(self.expression(node.operand), node.operand)
        if inner is None or node.operator == "+":
            return inner
        return folded(m.Negate(inner, **typed(REAL, node.span, inner)))

    def chain(self, node: ast.Chain) -> Resolved:
        operands = self.reals(node.operands)
        if operands is None:
            return None
        for operator, part in zip(node.operators, operands[1:], strict=True):
            if operator == "/" and isinstance(part, m.Literal) and part.value == 0:
                self.report.add(
                    "E0405",
                    part.span,
                    "division by zero",
                    label="this is always 0",
                    help="divide by something that is not 0",
                )
                return None
        return folded(m.Chain(node.operators, operands, **typed(REAL, node.span, *operands)))

    def power(self, node: ast.Power) -> Resolved:
        base = self.as_real(self.expression(node.base), node.base)
        exponent = self.as_real(self.expression(node.exponent), node.exponent)
        if base is None or exponent is None:
            return None
        return folded(m.Power(base, exponent, **typed(REAL, node.span, base, exponent)))

    def comparison(self, node: ast.Comparison) -> Resolved:
        operands = self.reals(node.operands)
        if operands is None:
            return None
        return m.Comparison(node.operators, operands, **typed(BOOLEAN, node.span, *operands))

    def logic(self, node: ast.Logic) -> Resolved:
        parts = [self.condition(operand) for operand in node.operands]
        operands = tuple(part for part in parts if part is not None)
        if len(operands) < len(parts):
            return None
        for part in operands:
            if part.type is SPIKE:
                self.report.add(
                    "W0602",
                    part.span,
                    f"no gradient passes `{node.operator}`",
                    label="this is a spike; its gradient ends here",
                    help="write products: `a * b` for and, `a + b - a * b` for or",
                )
        return m.Logic(node.operator, operands, **typed(BOOLEAN, node.span, *operands))

    def conditional(self, node: ast.Conditional) -> Resolved:
        condition = self.as_condition(self.expression(node.condition), node.condition)
        arm = self.arm()
        then, otherwise = arm.expression(node.then), arm.expression(node.otherwise)
        if condition is None or then is None or otherwise is None:
            return None
        return self.select(condition, then, otherwise, node.span)

    def select(self, condition: m.Expr, then: m.Expr, otherwise: m.Expr, span: Span) -> Resolved:
        kinds = {then.type, otherwise.type}
        if BOOLEAN in kinds and len(kinds) > 1:
            self.report.add(
                "E0303",
                span,
                "one arm is a boolean, the other is not",
                label="both arms must be of one type",
                help="write `1 if … else 0` for the boolean",
            )
            return None
        type = then.type if len(kinds) == 1 else REAL
        return m.Select(condition, then, otherwise, **typed(type, span, condition, then, otherwise))


def literal(value: float, span: Span) -> m.Literal:
    """A number."""
    return m.Literal(value, type=REAL, level=m.Level.NUMBER, span=span)


def folded(e: m.Expr) -> m.Expr:
    """A literal if the expression is known at compile time."""
    if e.level is not m.Level.NUMBER or e.type is not REAL:
        return e
    value = evaluate(e, {})
    return e if value is None else literal(float(value), e.span)


def typed(type: m.Type, span: Span, *parts: m.Expr) -> dict[str, Any]:
    """The keywords of a typed node: its level is that of its least known part."""
    level = max((part.level for part in parts), key=lambda level: level.value)
    return {"type": type, "level": level, "span": span}


_RULES: dict[type, Callable[..., Resolved]] = {
    ast.Number: Elaborator.number,
    ast.Boolean: Elaborator.boolean,
    ast.Name: Elaborator.name,
    ast.Unary: Elaborator.unary,
    ast.Chain: Elaborator.chain,
    ast.Power: Elaborator.power,
    ast.Comparison: Elaborator.comparison,
    ast.Logic: Elaborator.logic,
    ast.Conditional: Elaborator.conditional,
}
"""Each form's method; calls are apart, as they need this module. A level of nesting takes three frames at most."""


@cache
def _call_rule() -> Callable[..., Resolved]:
    from neurodsl.sema.calls import call

    return call
