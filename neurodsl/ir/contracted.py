"""Rewrites programs for CUDA threads, where an operation costs more than on a CPU: the same values, fewer instructions.

Of a forward step: `u >= 0` of a distance `u = h - threshold` becomes `h - threshold >= 0` in one piece, which the
printer may turn into a comparison. Of derivatives alone: values that are read once are put where they are read, so that
products and sums meet in one instruction, and `a + c * u**2` of a distance becomes `a + z**2`, where
`z = sqrt(c) * h - shift`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from neurodsl.ir.kernel_plan import BackwardPlan, ForwardPlan, KernelPlan
from neurodsl.ir.liveness import inline, live
from neurodsl.ir.nodes import Assign, Const, Expr, IRType, Op, Program, Var


def simplified(plan: KernelPlan) -> KernelPlan:
    """The plan that the CUDA printers print."""
    common = {s.var.name for s in plan.scalars if not s.shape and s.var.type is IRType.REAL}
    passes = {
        name: None if chosen is None else _backward(chosen, common)
        for name, chosen in (
            ("backward", plan.backward),
            ("backward_full", plan.backward_full),
            ("detached", plan.detached),
            ("detached_full", plan.detached_full),
        )
    }
    return replace(plan, forward=_forward(plan, common), **passes)  # type: ignore[arg-type]


def _forward(plan: KernelPlan, common: set[str]) -> ForwardPlan:
    forward = plan.forward
    roots: list[Expr] = [c.outgoing for c in forward.states]
    roots += [b.value for b in (*forward.outputs, *forward.recordable)]
    roots += plan.saved
    return replace(forward, step=live(compared(forward.step, common), roots))


def _backward(chosen: BackwardPlan, common: set[str]) -> BackwardPlan:
    carried = [*(c.outgoing for c in chosen.recompute_states), *chosen.tape]
    recompute = live(compared(chosen.recompute, common), carried)
    bindings = (*chosen.grad_inputs, *chosen.grad_scalars)
    roots = [*(b.value for b in bindings), *(c.outgoing for c in chosen.adjoints)]
    shifted, once = _squares(compared(chosen.reverse, common), chosen.again, common)
    reverse = live(shifted, roots)
    derivatives = {a.target.name for a in reverse} - chosen.again
    booleans = {a.target.name for a in reverse if a.target.type is IRType.BOOL}
    powers = {name for assign in reverse for name in _in_powers(assign.value)}
    reverse = inline(reverse, roots, derivatives - booleans - powers)
    used = {var.name for var in (a.target for a in once)}
    needed = live(Program(once), [Var(name) for name in sorted(used & _read(reverse))])
    return replace(
        chosen,
        recompute=recompute,
        reverse=reverse,
        prologue=Program((*chosen.prologue, *needed)),
    )


def _read(program: Program) -> set[str]:
    from neurodsl.ir.trees import variables

    return {var.name for assign in program for var in variables(assign.value)}


def _in_powers(e: Expr) -> Iterator[str]:
    """Names of variables that are squared or cubed: they are written more than once."""
    if isinstance(e, Op):
        for argument in e.args:
            if e.name in ("square", "cube") and isinstance(argument, Var):
                yield argument.name
            yield from _in_powers(argument)


def compared(program: Program, common: Iterable[str]) -> Program:
    """Each `u >= 0` with the distance `u` written out, where its threshold is one of `common` or a number."""
    distances = _distances(program, set(common))
    made = []
    for assign in program:
        value = assign.value
        if (
            isinstance(value, Op)
            and value.name == "ge"
            and value.args[1] == Const(0.0)
            and isinstance(value.args[0], Var)
            and value.args[0].name in distances
        ):
            value = Op("ge", (distances[value.args[0].name], value.args[1]), value.type)
        made.append(replace(assign, value=value))
    return Program(tuple(made))


def _distances(program: Program, common: set[str]) -> dict[str, Op]:
    """Variables that are the difference of a variable and what all neurons share."""
    found: dict[str, Op] = {}
    for assign in program:
        value = assign.value
        if isinstance(value, Op) and value.name == "sub":
            left, right = value.args
            shared = isinstance(right, Const) or (isinstance(right, Var) and right.name in common)
            if shared and isinstance(left, Var):
                found[assign.target.name] = value
    return found


def _squares(
    program: Program, again: frozenset[str], common: set[str]
) -> tuple[Program, tuple[Assign, ...]]:
    """Derivatives with their `c * u**2` rewritten, and what that takes once a call."""
    distances = {name: e for name, e in _distances(program, common).items() if name in again}
    made: list[Assign] = []
    once: list[Assign] = []
    for assign in program:
        if assign.target.name in again:
            made.append(assign)
            continue
        rewriter = _Squares(assign, distances)
        value = rewriter.rewritten(assign.value)
        made += rewriter.before
        once += rewriter.once
        made.append(replace(assign, value=value))
    return Program(tuple(made)), tuple(once)


class _Squares:
    def __init__(self, assign: Assign, distances: dict[str, Op]) -> None:
        self.assign, self.distances = assign, distances
        self.before: list[Assign] = []
        self.once: list[Assign] = []

    def rewritten(self, e: Expr) -> Expr:
        if not isinstance(e, Op):
            return e
        found = self._scaled(e) if e.name == "mul" else None
        if found is None:
            return Op(e.name, tuple(self.rewritten(a) for a in e.args), e.type)
        factor, distance = found
        place = len(self.once) // 2
        shift = Var(f"{self.assign.target.name}_shift_{place}")
        scaled = Var(f"{self.assign.target.name}_scaled_{place}")
        scale = Var(f"{self.assign.target.name}_scale_{place}")
        left, right = distance.args
        self.once.append(Assign(scale, factor))
        self.once.append(Assign(shift, Op("neg", (Op("mul", (scale, right)),))))
        self.before.append(Assign(scaled, Op("add", (Op("mul", (scale, left)), shift))))
        return Op("square", (scaled,))

    def _scaled(self, e: Op) -> tuple[Const, Op] | None:
        """The root of a positive factor of the square of a distance, and the distance."""
        factor, squared = e.args
        if not (isinstance(factor, Const) and float(factor.value) > 0):
            return None
        name = None
        if (isinstance(squared, Op) and squared.name == "square") or (
            isinstance(squared, Op) and squared.name == "mul" and squared.args[0] == squared.args[1]
        ):
            name = squared.args[0]
        if not (isinstance(name, Var) and name.name in self.distances):
            return None
        return Const(math.sqrt(float(factor.value))), self.distances[name.name]
