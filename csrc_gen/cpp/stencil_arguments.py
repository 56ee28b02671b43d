"""The argument lists of the stencil kernels: those of the neuron's own, and the convolution's."""

from __future__ import annotations

from neurodsl.csrc_gen.arguments import (
    NEURONS,
    STEPS_NEURONS,
    Argument,
    Pass,
    backward_arguments,
    forward_arguments,
)

from neurodsl.ir.kernel_plan import BackwardPlan, KernelPlan

GEOMETRY = ("height", "width", "kernel_height", "kernel_width")
WEIGHTS = ("C", "kernel_height * kernel_width")


def has_stencil(plan: KernelPlan) -> bool:
    """Whether a neuron can be run so: one feedback, and nothing that counts neurons."""
    shaped = any(scalar.shape for scalar in plan.scalars)
    return len(plan.feedbacks) == 1 and not shaped and not plan.draws


def stencil_forward_arguments(plan: KernelPlan) -> tuple[Argument, ...]:
    """Those of the forward kernel, with what is fed back written instead of read, then the convolution's."""
    name = plan.feedbacks[0][0]
    which = Pass.FORWARD_TRAIN if plan.saved else Pass.FORWARD
    made = list(forward_arguments(plan, which))
    taken = {a.name for a in made}
    made += [
        _extra(taken, "weight", "real*", name, WEIGHTS, "read"),
        _extra(taken, "bias", "real*", name, ("C",), "read", optional=True),
        _extra(taken, "last_0", "real*", name, NEURONS, "read", optional=True),
        _extra(taken, "last_T", "real*", name, NEURONS, "write", optional=True),
    ]
    return (*made, *_sizes(taken))


def stencil_backward_arguments(
    plan: KernelPlan, passes: tuple[BackwardPlan, BackwardPlan]
) -> tuple[Argument, ...]:
    """What the forward step reads, what the backward kernel reads and writes, the convolution and its gradients."""
    name = plan.feedbacks[0][0]
    kept = ("input", "initial_state", "param", "param_tensor", "uniform", "uniform_tensor")
    forward = forward_arguments(plan, Pass.FORWARD)
    made = [a for a in forward if a.role in (*kept, "first_step")]
    taken = {a.name for a in made}
    made += [a for a in backward_arguments(plan, passes) if a.name not in taken]
    taken = {a.name for a in made}
    made += [
        _extra(taken, "source", "real*", name, STEPS_NEURONS, "read"),
        _extra(taken, "weight", "real*", name, WEIGHTS, "read"),
        _extra(taken, "last_0", "real*", name, NEURONS, "read", optional=True),
        _extra(taken, "grad_last_T", "real*", name, NEURONS, "read", optional=True),
        _extra(taken, "grad_weight", "real*", name, WEIGHTS, "readwrite", optional=True),
        _extra(taken, "grad_bias", "real*", name, ("C",), "readwrite", optional=True),
        _extra(taken, "grad_last_0", "real*", name, NEURONS, "write", optional=True),
    ]
    return (*made, *_sizes(taken))


def _extra(
    taken: set[str],
    role: str,
    type: str,
    of: str,
    shape: tuple[str, ...] | None = None,
    access: str | None = None,
    *,
    optional: bool = False,
) -> Argument:
    name = role
    while name in taken:
        name += "_"
    taken.add(name)
    return Argument(name, role, type, of, shape, access, optional)


def _sizes(taken: set[str]) -> tuple[Argument, ...]:
    channels = Argument("C", "channels", "int64_t", "C")
    return (channels, *(_extra(taken, role, "int64_t", role) for role in GEOMETRY))
