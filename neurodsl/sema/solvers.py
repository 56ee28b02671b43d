"""Solvers of differential equations, as rules: texts in the language that the compiler writes out.

In a rule `y` is the state before the step, `f` its derivative where the stage says (all states of the system taken
there at once), `k1`, `k2`, … the derivatives of earlier stages, `a` the coefficient of `y` in its own derivative.
The order of operations is the rule's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from neurodsl.diagnostics import Report
from neurodsl.diagnostics.suggest import did_you_mean
from neurodsl.frontend import ast, parse_expression
from neurodsl.sema import model as m
from neurodsl.sema.elaborate import Elaborator
from neurodsl.sema.imports import Scope

MAX_STEPS = 64
"""How many substeps are written out."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A solver: each stage's name and where it takes the derivative, then the state at the end of the step."""

    stages: tuple[tuple[str, str], ...]
    result: str
    about: str
    linear: bool = False
    """Whether `a` is read: the derivative must be linear in its own state."""


RULES = {
    "euler": Rule((("f", "y"),), "y + dt * f", "the forward Euler method, order 1"),
    "exact": Rule(
        (("f", "y"),),
        "y + dt * exprel(dt * a) * f",
        "the solution itself, by the matrix exponential; linear systems",
        linear=True,
    ),
    "exponential_euler": Rule(
        (("f", "y"),),
        "y + dt * exprel(dt * a) * f",
        "exact in each state while all others are held, order 1",
        linear=True,
    ),
    "heun": Rule(
        (("k1", "y"), ("k2", "y + dt * k1")),
        "y + dt * (k1 + k2) / 2",
        "Heun's method (the explicit trapezium), order 2",
    ),
    "rk2": Rule(
        (("k1", "y"), ("k2", "y + dt / 2 * k1")),
        "y + dt * k2",
        "the midpoint method, order 2",
    ),
    "rk4": Rule(
        (
            ("k1", "y"),
            ("k2", "y + dt / 2 * k1"),
            ("k3", "y + dt / 2 * k2"),
            ("k4", "y + dt * k3"),
        ),
        "y + dt * (k1 + 2*k2 + 2*k3 + k4) / 6",
        "the classical Runge-Kutta method, order 4",
    ),
}
"""By name. Inputs and locals are held over the step; a system of several states under `exact` is in systems.py."""


@dataclass(frozen=True, slots=True)
class Method:
    """A solver with its arguments."""

    name: str
    steps: int = 1

    @property
    def rule(self) -> Rule:
        """The solver's."""
        return RULES[self.name]


def method_of(lines: list[ast.Derivative], report: Report) -> Method | None:
    """The one method of a system of lines; None where that was reported."""
    solvers = [line.solver for line in lines if line.solver is not None]
    if not solvers:
        return Method("euler")
    first = solvers[0]
    known = _known(first, report)
    for other in solvers[1:]:
        method = _known(other, report)
        if method is None or known is None:
            return None
        if method != known:
            report.add(
                "E0417",
                other.span,
                "two solvers in one system",
                label=f"the line above is solved by `{known.name}`",
                help="adjacent lines are one system with one solver: write it once, or put a statement between them",
            )
            return None
    return known


def _known(solver: ast.Solver, report: Report) -> Method | None:
    name = solver.name
    if name.name not in RULES:
        report.add(
            "E0210",
            name.span,
            f"unknown solver `{name.name}`",
            label="no solver of this name",
            help=did_you_mean(name.name, RULES, f"there is {', '.join(RULES)}"),
        )
        return None
    steps = 1
    for argument in solver.arguments:
        value = argument.value
        named = argument.keyword is None or argument.keyword.name == "steps"
        whole = isinstance(value, ast.Number) and value.value == int(value.value)
        if len(solver.arguments) > 1 or not named or not whole or name.name == "exact":
            _report_arguments(solver, argument.value, report)
            return None
        assert isinstance(value, ast.Number)
        steps = int(value.value)
        if not 1 <= steps <= MAX_STEPS:
            _report_arguments(solver, argument.value, report)
            return None
    return Method(name.name, steps)


def _report_arguments(solver: ast.Solver, place: ast.Node, report: Report) -> None:
    name = solver.name.name
    exact = name == "exact"
    report.add(
        "E0418",
        place.span,
        f"`{name}` cannot be given this",
        label="no substep would change it"
        if exact
        else f"needs a whole number from 1 to {MAX_STEPS}",
        help="write `by exact`" if exact else f"write `by {name}(steps=4)`",
    )


def written_out(text: str, values: Mapping[str, m.Expr]) -> m.Expr:
    """A rule's line with its names replaced."""
    elaborator = Elaborator(Report(), Scope(""), lambda node: values[node.name], list)
    value = elaborator.real(_parsed(text))
    assert value is not None
    return value


@cache
def _parsed(text: str) -> ast.Expression:
    return parse_expression(text, "<rule>", Report())
