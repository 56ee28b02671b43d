"""What is read later: dead code is dropped, operations that are read once are put where they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from neurodsl.ir.nodes import MAX_DEPTH, MAX_SIZE, Assign, Expr, Program
from neurodsl.ir.trees import measure, rename, variables


def live(program: Program, roots: Iterable[Expr]) -> Program:
    """The assignments that `roots` depend on."""
    wanted = {var.name for root in roots for var in variables(root)}
    kept: list[Assign] = []
    for assign in reversed(program.assigns):
        if assign.target.name in wanted:
            kept.append(assign)
            wanted.update(var.name for var in variables(assign.value))
    return Program(tuple(reversed(kept)))


def free_variables(program: Program, roots: Iterable[Expr] = ()) -> set[str]:
    """Names that a program (or what is read of it) needs from elsewhere."""
    read = {var.name for assign in program for var in variables(assign.value)}
    read |= {var.name for root in roots for var in variables(root)}
    return read - {assign.target.name for assign in program}


def inline(program: Program, roots: Iterable[Expr], temporaries: set[str]) -> Program:
    """Put each of `temporaries` that is read once, by this program alone, where it is read.

    The trees that come out are what the user wrote, cut where they would be deeper than MAX_DEPTH or larger than
    MAX_SIZE.
    """
    reads = Counter(var.name for assign in program for var in variables(assign.value))
    outside = {var.name for root in roots for var in variables(root)}
    waiting: dict[str, Expr] = {}
    size: dict[str, tuple[int, int]] = {}
    made: list[Assign] = []
    for assign in program:
        value = _absorb(assign, waiting, size, made)
        name = assign.target.name
        if name in temporaries and reads[name] == 1 and name not in outside:
            waiting[name], size[name] = value, measure(value)
        else:
            made.append(Assign(assign.target, value, assign.note))
    return Program(_ordered(program, tuple(made)))


def _absorb(
    assign: Assign,
    waiting: dict[str, Expr],
    size: dict[str, tuple[int, int]],
    made: list[Assign],
) -> Expr:
    """The assignment's value with what waits for it put in, as far as it fits; the rest is assigned first."""
    depth, total = measure(assign.value)
    taken: dict[str, Expr] = {}
    for var in variables(assign.value):
        if var.name not in waiting:
            continue
        deep, large = size[var.name]
        if deep + depth > MAX_DEPTH or total + large > MAX_SIZE:
            made.append(Assign(var, waiting.pop(var.name), assign.note))
        else:
            taken[var.name] = waiting.pop(var.name)
            total += large
    return rename(assign.value, taken)


def _ordered(program: Program, made: tuple[Assign, ...]) -> tuple[Assign, ...]:
    """In the order of the program that they were taken from."""
    place = {assign.target.name: i for i, assign in enumerate(program)}
    return tuple(sorted(made, key=lambda assign: place[assign.target.name]))
