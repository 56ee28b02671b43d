"""Walking and rebuilding expressions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from neurodsl.ir.nodes import Expr, Op, Var

DETACH = "detach"
"""An operator between lowering and the adjoint only: its argument's value, without a gradient."""


def variables(e: Expr) -> Iterator[Var]:
    """Every variable of an expression, once for each time that it is read, from left to right."""
    if isinstance(e, Var):
        yield e
    elif isinstance(e, Op):
        for argument in e.args:
            yield from variables(argument)


def rename(e: Expr, values: Mapping[str, Expr]) -> Expr:
    """The expression with each variable replaced by what stands under its name."""
    if isinstance(e, Var):
        return values.get(e.name, e)
    if isinstance(e, Op):
        return Op(e.name, tuple(rename(a, values) for a in e.args), e.type)
    return e


def measure(e: Expr) -> tuple[int, int]:
    """Depth and number of nodes of a tree; a leaf is (1, 1), `detach` counts for nothing."""
    while isinstance(e, Op) and e.name == DETACH:
        e = e.args[0]
    if not isinstance(e, Op):
        return 1, 1
    parts = [measure(a) for a in e.args]
    return 1 + max(depth for depth, _ in parts), 1 + sum(size for _, size in parts)
