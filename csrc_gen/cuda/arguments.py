"""What CUDA kernels have beside the arguments of the C++ ones: workspaces, and the reduction's own list."""

from __future__ import annotations

from neurodsl.csrc_gen.arguments import NEURONS, SIZES, STEPS_NEURONS, Argument, differentiable

from neurodsl.ir.kernel_plan import BackwardPlan, KernelPlan, Scalar

BLOCK = 128
"""Threads a block, a neuron each."""


def workspaces(plan: KernelPlan, passes: tuple[BackwardPlan, BackwardPlan]) -> tuple[Argument, ...]:
    """The recomputed tape, `[T, N]` a value, and each block's part of the scalars' gradients."""
    made = []
    if not plan.saved:
        for place in range(max(len(chosen.tape) for chosen in passes)):
            name = f"ws_tape_{place}"
            made.append(Argument(name, "workspace", "real*", name, ("T", "N"), "write"))
    if _summed(plan):
        made.append(partials(plan, "write", optional=True))
    made += [_parts(s, "write", optional=True) for s in differentiable(plan) if s.shape]
    return tuple(made)


def _summed(plan: KernelPlan) -> list[Scalar]:
    return [s for s in differentiable(plan) if not s.shape]


def _parts(scalar: Scalar, access: str, *, optional: bool = False) -> Argument:
    """What each neuron gives to a param with a shape."""
    name = f"ws_grad_{scalar.name}"
    shape = STEPS_NEURONS if "time" in scalar.shape else NEURONS
    return Argument(name, "workspace", "real*", name, shape, access, optional)


def partials(plan: KernelPlan, access: str, *, optional: bool = False) -> Argument:
    """`[scalars, blocks]`, of doubles."""
    shape = (str(len(_summed(plan))), "ceil(N / block)")
    return Argument("partials", "workspace", "double*", "partials", shape, access, optional)


def reduce_arguments(plan: KernelPlan) -> tuple[Argument, ...]:
    """The second stage: partial sums in, gradients of scalars added to."""
    made = [
        Argument(
            f"grad_{s.name}",
            "grad_param",
            "real*",
            s.name,
            SIZES.get(s.shape, ()),
            "readwrite",
            True,
        )
        for s in differentiable(plan)
    ]
    if _summed(plan) or not made:
        made.append(partials(plan, "read"))
    shaped = [s for s in differentiable(plan) if s.shape]
    made += [_parts(s, "read", optional=True) for s in shaped]
    axes = {axis for s in shaped for axis in s.shape}
    if axes & {"channel", "neuron"}:
        made.append(Argument("C", "channels", "int64_t", "C"))
        made.append(Argument("inner", "inner", "int64_t", "inner"))
    if "time" in axes:
        made.append(Argument("T", "steps", "int64_t", "T"))
    made.append(Argument("N", "neurons", "int64_t", "N"))
    return tuple(made)
