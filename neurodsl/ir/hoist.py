"""Moves out of a flat program what is the same for all neurons, to be worked out once a call."""

from __future__ import annotations

from collections.abc import Iterable

from neurodsl.ir.nodes import Assign, Program
from neurodsl.ir.trees import variables


def hoist(program: Program, scalars: Iterable[str]) -> tuple[Program, Program]:
    """(what depends on `scalars` alone, the rest), both in order."""
    common = set(scalars)
    once: list[Assign] = []
    rest: list[Assign] = []
    for assign in program:
        if all(var.name in common for var in variables(assign.value)):
            common.add(assign.target.name)
            once.append(Assign(assign.target, assign.value))
        else:
            rest.append(assign)
    return Program(tuple(once)), Program(tuple(rest))
