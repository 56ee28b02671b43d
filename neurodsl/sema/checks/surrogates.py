"""A surrogate's `primitive` and `gradient`, where both are given, must belong together."""

from __future__ import annotations

import math

from neurodsl.diagnostics import Label, Report
from neurodsl.sema import model as m
from neurodsl.sema.evaluate import Value, evaluate

_POINTS = tuple(sign * 0.013 * 1.29**k for k in range(25) for sign in (1, -1))
"""From 0.013 to 5.9, on both sides; no point is where a written kink would be."""

_TOLERATED = 2
"""How many points may lie beside a kink."""


def check_agreement(surrogate: m.SurrogateModel, report: Report) -> None:
    """Report a `gradient` that is not the derivative of the `primitive`, its parameters at their defaults."""
    primitive, gradient = surrogate.primitive, surrogate.gradient
    if primitive is None or gradient is None:
        return
    names: dict[str, Value] = {
        name: 1.0 if default is None else evaluate(default, {}) or 0.0
        for name, default in surrogate.parameters
    }
    rows = [(u, _slope(primitive, u, names), _value(gradient, u, names)) for u in _POINTS]
    rows = [row for row in rows if math.isfinite(row[1]) and math.isfinite(row[2])]
    scale = max((abs(given) for _, _, given in rows), default=0.0)
    wrong = [row for row in rows if abs(row[1] - row[2]) > 1e-5 * (scale + abs(row[1]))]
    if len(wrong) <= _TOLERATED:
        return
    u, slope, given = max(wrong, key=lambda row: abs(row[1] - row[2]))
    report.add(
        "E0416",
        gradient.span,
        f"the gradient of `{surrogate.name}` is not the derivative of its primitive",
        label=f"at u = {u:.3g} this is {given:.4g}, the primitive's derivative {slope:.4g}",
        secondary=(Label(primitive.span, "the primitive"),),
        help="leave one of the two out, or correct it",
    )


def _slope(primitive: m.Expr, u: float, names: dict[str, Value]) -> float:
    h = 1e-6 * max(1.0, abs(u))
    return (_value(primitive, u + h, names) - _value(primitive, u - h, names)) / (2 * h)


def _value(e: m.Expr, u: float, names: dict[str, Value]) -> float:
    value = evaluate(e, {**names, "u": u})
    return math.nan if value is None else float(value)
