"""What to keep of a step in two bytes: bfloat16 has 8 bits, and near a threshold they are best spent on the distance.

A potential `h` of which the step forms `u = h - threshold` and asks whether u >= 0 is kept as `u`; backward works out
`h` from that. The relative error of u, and with it that of the surrogate's derivative, is then 2^-9 everywhere, and the
sign of u is exact; kept as `h`, both would be lost within 2^-9 of the threshold. For the same reason nothing that is
compared may be worked out again from rounded values: what backward reads is kept as it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from neurodsl.ir.nodes import Assign, Const, Expr, Op, Program, Var


def centred(forward: Program, scalars: Iterable[str]) -> tuple[tuple[Var, ...], Program]:
    """The distances that spikes ask for, and the forward program in which potentials are worked out from them.

    Args:
        forward: flat: one operation an assignment.
        scalars: names of variables that are the same for all neurons.
    """
    common = set(scalars)
    compared = {
        a.value.args[0].name
        for a in forward
        if isinstance(a.value, Op) and a.value.name in _ASKED and isinstance(a.value.args[0], Var)
    }
    kept = tuple(a.target for a in forward if a.target.name in compared)
    distances: dict[str, tuple[Var, Expr]] = {}
    for assign in forward:
        found = _distance(assign, common)
        if found is not None and assign.target.name in compared:
            potential, threshold = found
            distances.setdefault(potential.name, (assign.target, threshold))
    return kept, Program(tuple(_again(assign, distances) for assign in forward))


_ASKED = ("ge", "gt")


def _distance(assign: Assign, common: set[str]) -> tuple[Var, Expr] | None:
    """The potential and the threshold of which this is the difference."""
    value = assign.value
    if not (isinstance(value, Op) and value.name == "sub"):
        return None
    left, right = value.args
    fixed = isinstance(right, Const) or (isinstance(right, Var) and right.name in common)
    return (left, right) if isinstance(left, Var) and fixed else None


def _again(assign: Assign, distances: dict[str, tuple[Var, Expr]]) -> Assign:
    if assign.target.name not in distances:
        return assign
    distance, threshold = distances[assign.target.name]
    return Assign(assign.target, Op("add", (distance, threshold)), assign.note)
