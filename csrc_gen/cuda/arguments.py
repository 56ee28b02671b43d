"""What CUDA kernels have beside the arguments of the C++ ones: workspaces, and the reduction's own list."""

from __future__ import annotations

from neurodsl.csrc_gen.arguments import Argument, differentiable

from neurodsl.ir.kernel_plan import BackwardPlan, KernelPlan

BLOCK = 128
"""Threads a block, a neuron each."""


def workspaces(plan: KernelPlan, passes: tuple[BackwardPlan, BackwardPlan]) -> tuple[Argument, ...]:
    """The recomputed tape, `[T, N]` a value, and each block's part of the scalars' gradients."""
    made = []
    if not plan.saved:
        for place in range(max(len(chosen.tape) for chosen in passes)):
            name = f"ws_tape_{place}"
            made.append(Argument(name, "workspace", "real*", name, ("T", "N"), "write"))
    if differentiable(plan):
        made.append(partials(plan, "write", optional=True))
    return tuple(made)


def partials(plan: KernelPlan, access: str, *, optional: bool = False) -> Argument:
    """`[scalars, blocks]`, of doubles."""
    shape = (str(len(differentiable(plan))), "ceil(N / block)")
    return Argument("partials", "workspace", "double*", "partials", shape, access, optional)


def reduce_arguments(plan: KernelPlan) -> tuple[Argument, ...]:
    """The second stage: partial sums in, gradients of scalars added to."""
    made = [
        Argument(f"grad_{s.name}", "grad_param", "real*", s.name, (), "readwrite", True)
        for s in differentiable(plan)
    ]
    made.append(partials(plan, "read"))
    made.append(Argument("N", "neurons", "int64_t", "N"))
    return tuple(made)
