"""Checks a program after each pass: every variable assigned once and before it is read, every type as it must be."""

from __future__ import annotations

from collections.abc import Iterable

from neurodsl.ir.kernel_plan import BackwardPlan, KernelPlan
from neurodsl.ir.nodes import Const, Expr, IRType, Op, Program, Var
from neurodsl.sema.builtins import ELEMENTARY, OPERATORS

REAL, BOOL = IRType.REAL, IRType.BOOL


class MalformedProgramError(AssertionError):
    """A pass made a program that is none: a fault of the compiler."""


def verify(program: Program, free: Iterable[Var], roots: Iterable[Expr] = ()) -> None:
    """Check a program and what is read of it.

    Args:
        program: to be checked.
        free: the variables that are given.
        roots: expressions over the program's and the free variables.

    Raises:
        MalformedProgramError: something is wrong.
    """
    known: dict[str, IRType] = {var.name: var.type for var in free}
    for assign in program:
        _expression(assign.value, known)
        name = assign.target.name
        if name in known:
            raise MalformedProgramError(f"{name} is assigned twice")
        if assign.target.type is not assign.value.type:
            raise MalformedProgramError(f"{name} is {assign.target.type}, its value is not")
        known[name] = assign.target.type
    for root in roots:
        _expression(root, known)


def _expression(e: Expr, known: dict[str, IRType]) -> None:
    if isinstance(e, Var):
        if e.name not in known:
            raise MalformedProgramError(f"{e.name} is read and not known")
        if known[e.name] is not e.type:
            raise MalformedProgramError(f"{e.name} is read as {e.type}")
    elif isinstance(e, Const):
        if isinstance(e.value, bool) is not (e.type is BOOL):
            raise MalformedProgramError(f"the constant {e.value!r} is no {e.type}")
    else:
        for argument in e.args:
            _expression(argument, known)
        _operation(e)


def _operation(e: Op) -> None:
    types = tuple(a.type for a in e.args)
    if e.name == "select":
        right = len(types) == 3 and types[0] is BOOL and types[1] is types[2] is e.type
    elif e.name == "to_real":
        right = types == (BOOL,) and e.type is REAL
    elif e.name in ("and", "or", "not"):
        right = all(t is BOOL for t in types) and e.type is BOOL
    elif e.name in OPERATORS:
        row = OPERATORS[e.name]
        right = len(types) == row.arity and all(t is REAL for t in types)
        right = right and e.type is (BOOL if row.boolean else REAL)
    else:
        right = e.name in ELEMENTARY and all(t is REAL for t in types) and e.type is REAL
    if not right:
        raise MalformedProgramError(f"{e.name} of {types} to {e.type}")


def verify_plan(plan: KernelPlan) -> None:
    """Check every program of a plan with what it says flows in and out.

    Raises:
        MalformedProgramError: something is wrong.
    """
    common = [scalar.var for scalar in plan.scalars]
    if plan.uses_time:
        common.append(plan.time)
    forward = plan.forward
    begin = [*_vars(b.value for b in forward.inputs), *(c.incoming for c in forward.states)]
    ends = [c.outgoing for c in forward.states]
    ends += [b.value for b in (*forward.outputs, *forward.recordable)]
    verify(forward.step, [*common, *begin], [*ends, *plan.saved])
    for backward in (plan.backward, plan.backward_full, plan.detached, plan.detached_full):
        if backward is not None:
            _verify_backward(backward, common, read=bool(plan.saved))


def _verify_backward(plan: BackwardPlan, common: list[Var], *, read: bool) -> None:
    """`read`: the tape is read from memory, not recomputed."""
    verify(plan.prologue, common)
    common = [*common, *(assign.target for assign in plan.prologue)]
    begin = [*_vars(b.value for b in plan.recompute_inputs)]
    begin += [c.incoming for c in plan.recompute_states]
    ends: list[Expr] = [c.outgoing for c in plan.recompute_states]
    verify(plan.recompute, [*common, *begin], ends if read else [*ends, *plan.tape])
    given = [*common, *plan.tape, *_vars(b.value for b in plan.reverse_inputs)]
    given += _vars(b.value for b in (*plan.grad_outputs, *plan.grad_recorded))
    given += [c.incoming for c in plan.adjoints]
    ends = [b.value for b in (*plan.grad_inputs, *plan.grad_scalars)]
    verify(plan.reverse, given, [*ends, *(c.outgoing for c in plan.adjoints)])


def _vars(values: Iterable[Expr]) -> list[Var]:
    found = []
    for value in values:
        if not isinstance(value, Var):
            raise MalformedProgramError(f"{value} must be a variable")
        found.append(value)
    return found
