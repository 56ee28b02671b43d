"""The partial derivatives of one expression of the intermediate representation, worked out by SymPy.

Expressions are renamed to `x0, x1, …` (a value of each neuron) and `k0, k1, …` (common to all) before, so that equal
shapes are differentiated once, whatever their names.
"""

from __future__ import annotations

from functools import lru_cache

import sympy

from neurodsl.ir.nodes import Const, Expr, Op, Var
from neurodsl.symbolic.convert import FromSympy, to_sympy


def partials(e: Expr, scalars: frozenset[str]) -> tuple[tuple[Var, Expr], ...]:
    """(variable, derivative by it) for every variable of `e` on which it depends smoothly, in order of appearance.

    Derivatives that are 0 everywhere are left out.
    """
    variables = _variables(e)
    short = {
        var.name: Var(f"{'k' if var.name in scalars else 'x'}{place}", var.type)
        for place, var in enumerate(variables)
    }
    long = {short[var.name].name: var for var in variables}
    return tuple(
        (long[var.name], rename(derivative, long)) for var, derivative in _derived(rename(e, short))
    )


@lru_cache(maxsize=4096)
def _derived(e: Expr) -> tuple[tuple[Var, Expr], ...]:
    variables = _variables(e)
    back = FromSympy(variables, frozenset(v.name for v in variables if v.name.startswith("k")))
    whole = to_sympy(e)
    found = []
    for var in variables:
        derivative = whole.diff(sympy.Symbol(var.name, real=True))
        if derivative != 0:
            found.append((var, back.expression(derivative)))
    return tuple(found)


def rename(e: Expr, names: dict[str, Var]) -> Expr:
    """The expression with each variable replaced by the one under its name."""
    if isinstance(e, Var):
        return names.get(e.name, e)
    if isinstance(e, Const):
        return e
    return Op(e.name, tuple(rename(a, names) for a in e.args), e.type)


def _variables(e: Expr) -> tuple[Var, ...]:
    found: dict[str, Var] = {}

    def walk(node: Expr) -> None:
        if isinstance(node, Var):
            found.setdefault(node.name, node)
        elif isinstance(node, Op):
            for argument in node.args:
                walk(argument)

    walk(e)
    return tuple(found.values())
