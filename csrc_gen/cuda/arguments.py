"""What CUDA kernels have beside the arguments of the C++ ones: parts of sums, and the reduction's own list."""

from __future__ import annotations

from neurodsl.csrc_gen.arguments import (
    NEURONS,
    SIZES,
    STEPS_NEURONS,
    Argument,
    Pass,
    backward_arguments,
    differentiable,
    forward_arguments,
)
from neurodsl.csrc_gen.cuda.schedule import BACKWARD_GRID, FEW_BLOCKS, MOST_BLOCKS

from neurodsl.ir.kernel_plan import BackwardPlan, KernelPlan, Scalar

STREAMS = frozenset(("input", "output", "recorded", "grad_output", "grad_input"))
"""Roles of arrays that have the element type of the inputs; all others are what is computed in."""


def cuda_forward_arguments(plan: KernelPlan, which: Pass, every: int) -> tuple[Argument, ...]:
    """Of `forward` or `forward_train`; `every`: steps between two checkpoints."""
    return forward_arguments(plan, which, every=every if plan.checkpoints else 0, above=every)


def cuda_backward_arguments(
    plan: KernelPlan, passes: tuple[BackwardPlan, BackwardPlan], every: int
) -> tuple[Argument, ...]:
    """Of a backward kernel; `every` as in the forward one."""
    return backward_arguments(
        plan,
        passes,
        workspaces(plan),
        every=every if plan.checkpoints else 0,
        above=every,
    )


def workspaces(plan: KernelPlan) -> tuple[Argument, ...]:
    """Each block's part of the scalars' gradients, each neuron's of those with a shape."""
    made = [partials(plan, "write")] if summed(plan) else []
    return (*made, *(_parts(s, "write") for s in differentiable(plan) if s.shape))


def summed(plan: KernelPlan) -> list[Scalar]:
    """The scalars of which a block gives one part."""
    return [s for s in differentiable(plan) if not s.shape]


def _parts(scalar: Scalar, access: str) -> Argument:
    """What each neuron gives to a param with a shape."""
    name = f"ws_grad_{scalar.name}"
    shape = STEPS_NEURONS if "time" in scalar.shape else NEURONS
    return Argument(name, "workspace", "real*", name, shape, access, optional=True)


def partials(plan: KernelPlan, access: str) -> Argument:
    """`[scalars, blocks]`, of doubles. Null in a backward kernel: blocks add to the gradients, atomically."""
    shape = (str(len(summed(plan))), BACKWARD_GRID)
    return Argument("partials", "workspace", "double*", "partials", shape, access, optional=True)


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
    if summed(plan) or not made:
        made.append(partials(plan, "read"))
    shaped = [s for s in differentiable(plan) if s.shape]
    made += [_parts(s, "read") for s in shaped]
    axes = {axis for s in shaped for axis in s.shape}
    if axes & {"channel", "neuron"}:
        made.append(Argument("C", "channels", "int64_t", "C"))
        made.append(Argument("inner", "inner", "int64_t", "inner"))
    if "time" in axes:
        made.append(Argument("T", "steps", "int64_t", "T"))
    made.append(Argument("N", "neurons", "int64_t", "N"))
    return tuple(made)


def reduce_grid(plan: KernelPlan) -> str:
    """A block a scalar; where params have shapes, enough blocks to share their values."""
    shaped = any(s.shape for s in differentiable(plan))
    return str(max(len(summed(plan)), 256 if shaped else 1))


def backward_blocks() -> str:
    """BACKWARD_GRID as C++, of `a.N` and V, the neurons a thread."""
    many = "blocks_for(a.N, BLOCK * V)"
    few = f"least(blocks_for(a.N, BLOCK), {FEW_BLOCKS})"
    return f"least(most({few}, {many}), {MOST_BLOCKS})"
