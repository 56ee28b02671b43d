"""`noise e ~ normal(0, sigma)`: what is drawn, and how it is moved and scaled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from neurodsl.diagnostics import Span
from neurodsl.diagnostics.suggest import did_you_mean
from neurodsl.frontend import ast
from neurodsl.frontend.printer import declaration_text
from neurodsl.sema import model as m
from neurodsl.sema.calls import bind
from neurodsl.sema.elaborate import Elaborator, folded, literal, typed
from neurodsl.sema.linear import ONE, ZERO

DISTRIBUTIONS: dict[str, tuple[str, tuple[tuple[str, float], ...]]] = {
    "normal": ("normal", (("mean", 0.0), ("std", 1.0))),
    "uniform": ("uniform", (("low", 0.0), ("high", 1.0))),
    "bernoulli": ("uniform", (("p", 0.5),)),
}
"""Each distribution: the standard draw that it is made of, and its arguments with their defaults."""


@dataclass(frozen=True, slots=True)
class NoiseLine:
    """A declaration: `value` makes its number of a standard draw."""

    value: Callable[[m.Expr], m.Expr]
    text: str
    span: Span


def noise_line(node: ast.Noise, elaborator: Elaborator) -> tuple[str, NoiseLine] | None:
    """(standard draw, line) of a declaration; None where it was reported."""
    name = node.distribution.function.name
    if name not in DISTRIBUTIONS:
        elaborator.report.add(
            "E0424",
            node.distribution.function.span,
            f"unknown distribution `{name}`",
            label="no distribution of this name",
            help=did_you_mean(name, DISTRIBUTIONS, f"there is {', '.join(DISTRIBUTIONS)}"),
        )
        return None
    kind, arguments = DISTRIBUTIONS[name]
    names = tuple(key for key, _ in arguments)
    given = bind(elaborator, node.distribution, names, 0, len(names))
    if given is None:
        return None
    values = []
    for key, default in arguments:
        written = given.get(key)
        value = literal(default, node.span) if written is None else elaborator.real(written)
        if value is None:
            return None
        values.append(value)
    makers: dict[str, Callable[..., m.Expr]] = {
        "normal": _moved,
        "uniform": _between,
        "bernoulli": _fired,
    }
    make = makers[name]
    return kind, NoiseLine(lambda draw: make(draw, *values), declaration_text(node), node.span)


def _moved(draw: m.Expr, mean: m.Expr, std: m.Expr) -> m.Expr:
    scaled = draw if std == ONE else _chain("*", std, draw)
    return scaled if mean == ZERO else _chain("+", mean, scaled)


def _between(draw: m.Expr, low: m.Expr, high: m.Expr) -> m.Expr:
    return _moved(draw, low, high if low == ZERO else _chain("-", high, low))


def _fired(draw: m.Expr, p: m.Expr) -> m.Expr:
    keywords = typed(m.Type.BOOLEAN, draw.span, draw, p)
    fired = m.Comparison(("<",), (draw, p), **keywords)
    return m.Select(fired, ONE, ZERO, **typed(m.Type.REAL, draw.span, fired))


def _chain(operator: str, a: m.Expr, b: m.Expr) -> m.Expr:
    return folded(m.Chain((operator,), (a, b), **typed(m.Type.REAL, a.span, a, b)))
