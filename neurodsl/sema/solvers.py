"""Solvers of differential equations, as rules: a text in the language, `y` the state and `f` its derivative."""

from __future__ import annotations

from functools import cache

from neurodsl.diagnostics import Report
from neurodsl.diagnostics.suggest import nearest
from neurodsl.frontend import ast, parse_expression
from neurodsl.sema import model as m
from neurodsl.sema.elaborate import Elaborator
from neurodsl.sema.imports import Scope
from neurodsl.sema.surrogates import not_yet

RULES = {"euler": "y + dt * f"}
"""The order of operations is the rule's, too."""

PLANNED = ("exact", "exponential_euler", "heun", "rk2", "rk4")
"""Solvers of the language that this release refuses."""


def is_supported(line: ast.Derivative, report: Report) -> bool:
    """Whether the solver of a line has a rule; if not, that is reported."""
    if line.solver is None:
        return True
    name, arguments = line.solver.name, line.solver.arguments
    if name.name in RULES and not arguments:
        return True
    if name.name in RULES or name.name in PLANNED:
        not_yet(
            report, line.solver, f"`{name.name}` with `steps`" if arguments else f"`{name.name}`"
        )
        return False
    close = nearest(name.name, [*RULES, *PLANNED])
    report.add(
        "E0210",
        name.span,
        f"unknown solver `{name.name}`",
        label="no solver of this name",
        help=f"did you mean `{close}`?" if close else f"there is {', '.join(RULES)}",
    )
    return False


def advance(line: ast.Derivative, f: m.Expr) -> m.Expr:
    """The state one step on, by the rule of the line's solver."""
    rule = "euler" if line.solver is None else line.solver.name.name
    span = line.span
    real, step = m.Type.REAL, m.Level.STEP
    values: dict[str, m.Expr] = {
        "y": m.Ref(line.target.name, m.SymbolKind.STATE, type=real, level=step, span=span),
        "dt": m.Ref("dt", m.SymbolKind.DT, type=real, level=m.Level.PARAM, span=span),
        "f": f,
    }
    elaborator = Elaborator(Report(), Scope(""), lambda node: values[node.name], list)
    value = elaborator.real(_parsed(rule))
    assert value is not None
    return value


@cache
def _parsed(rule: str) -> ast.Expression:
    return parse_expression(RULES[rule], f"<{rule}>", Report())
