"""The partial derivatives of one expression of the intermediate representation, worked out by SymPy.

Expressions are renamed to `x0, x1, …` (a value of each neuron) and `k0, k1, …` (common to all) before, so that equal
shapes are differentiated once, whatever their names.
"""

from __future__ import annotations

from functools import lru_cache

import sympy

from neurodsl.ir.nodes import Expr, Var
from neurodsl.ir.trees import rename, variables
from neurodsl.symbolic.convert import FromSympy, to_sympy


def partials(e: Expr, scalars: frozenset[str]) -> tuple[tuple[Var, Expr], ...]:
    """(variable, derivative by it) for every variable of `e` on which it depends smoothly, in order of appearance.

    Derivatives that are 0 everywhere are left out.
    """
    read = _variables(e)
    short = {
        var.name: Var(f"{'k' if var.name in scalars else 'x'}{place}", var.type)
        for place, var in enumerate(read)
    }
    long = {short[var.name].name: var for var in read}
    return tuple(
        (long[var.name], rename(derivative, long)) for var, derivative in _derived(rename(e, short))
    )


@lru_cache(maxsize=4096)
def _derived(e: Expr) -> tuple[tuple[Var, Expr], ...]:
    read = _variables(e)
    back = FromSympy(read, frozenset(v.name for v in read if v.name.startswith("k")))
    whole = to_sympy(e)
    found = []
    for var in read:
        derivative = whole.diff(sympy.Symbol(var.name, real=True))
        if derivative != 0:
            found.append((var, back.expression(derivative)))
    return tuple(found)


def _variables(e: Expr) -> tuple[Var, ...]:
    return tuple({var.name: var for var in variables(e)}.values())
