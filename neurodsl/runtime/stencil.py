"""Feedback through a depthwise convolution on the CPU: one call for all time steps instead of a loop of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from neurodsl.runtime.autograd import once, stale
from neurodsl.runtime.launch import Launch, Saved, Setup, When, counts_of, role_of, saved_of


@dataclass(frozen=True, slots=True)
class StencilPlan:
    """The two kernels of a neuron with one feedback; `saved` as in launch.Plan."""

    setup: Setup
    forward: Launch
    backward: Launch
    saved: tuple[Saved, ...]


_CONVOLUTION = ("weight", "bias", "last_0")


def make_stencil_plan(setup: Setup, forward: Any, backward: Any) -> StencilPlan:
    """The plan of two kernels."""
    (name,) = (n for role, n in map(role_of, forward.arguments) if role == "weight")
    saved = saved_of(forward.arguments)
    keys = [one.key for one in saved]
    extra = [(role, name) for role in _CONVOLUTION]
    return StencilPlan(
        setup,
        Launch(
            forward, [*setup.given, *setup.results, *keys, *extra, ("last_T", name)], setup.scalars
        ),
        Launch(
            backward,
            [
                *setup.given,
                *keys,
                *setup.incoming,
                *setup.wanted,
                *extra,
                ("source", name),
                ("grad_last_T", name),
                *((f"grad_{role}", name) for role in _CONVOLUTION),
            ],
            setup.scalars,
        ),
        saved,
    )


def is_stencil(module: nn.Module, x: Tensor) -> bool:
    """Whether a module is a depthwise 2-D convolution with an odd kernel that keeps the shape of `x` `[T, B, C, H, W]`,
    and nothing watches it.
    """
    if type(module) is not nn.Conv2d or x.dim() != 5 or x.device.type != "cpu":
        return False
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
    kernel = module.kernel_size
    return (
        module.groups == module.in_channels == module.out_channels == x.shape[2]
        and all(size % 2 == 1 for size in kernel)
        and (module.padding == "same" or module.padding == tuple(size // 2 for size in kernel))
        and module.stride == module.dilation == (1, 1)
        and module.padding_mode == "zeros"
        and module.weight.dtype == x.dtype
        and module.weight.device == x.device
        and not any(hooks)
        and not hasattr(module, "parametrizations")
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and x.numel() > 0
    )


def run_stencil(
    plan: StencilPlan,
    numbers: Sequence[float],
    when: When,
    tensors: Sequence[Tensor],
    module: nn.Conv2d,
    last: Tensor | None,
    source: int,
) -> tuple[tuple[Tensor, ...], Tensor]:
    """(outputs, final states and recorded values; what the last step feeds back).

    Args:
        plan: of the kernels.
        numbers: one for each scalar.
        when: the steps before this call.
        tensors: inputs `[T, B, C, H, W]`, initial states, scalars given as tensors.
        module: the convolution.
        last: what the step before this call fed back; None if there was none.
        source: which of the outputs is fed back.
    """
    function: Any = _Stencil
    *results, end = function.apply(
        plan, numbers, when, source, module.weight, module.bias, last, *tensors
    )
    return tuple(results), end


def _counts(first: Tensor, when: When, weight: Tensor) -> tuple[int, ...]:
    return (*counts_of(first, when), *first.shape[3:], *weight.shape[2:])


class _Stencil(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        plan: StencilPlan,
        numbers: Sequence[float],
        when: When,
        source: int,
        weight: Tensor,
        bias: Tensor | None,
        last: Tensor | None,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        setup = plan.setup
        given = [tensor.contiguous() for tensor in tensors]
        first = given[0]
        fed = torch.empty_like(first)
        given.insert(len(setup.inputs) - 1, fed)
        made = [torch.empty_like(first) for _ in setup.outputs]
        made += [torch.empty_like(first[0]) for _ in setup.states]
        made += [torch.empty_like(first) for _ in setup.recorded]
        saved = [one.empty(first, None) for one in plan.saved]
        end = torch.empty_like(first[0])
        extra = [
            weight.contiguous(),
            bias,
            None if last is None else last.contiguous(),
        ]
        plan.forward([*given, *made, *saved, *extra, end], numbers, _counts(first, when, weight))
        kept = [t for t in extra if t is not None]
        ctx.save_for_backward(*given, *saved, made[source], *kept)
        ctx.call = plan, numbers, when, len(given), [t is not None for t in extra]
        return (*made, end)

    @staticmethod
    @once
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        plan, numbers, when, count, there = ctx.call
        setup: Setup = plan.setup
        try:
            everything = list(ctx.saved_tensors)
        except RuntimeError as error:
            raise stale(setup.neuron, setup.states) from error
        given = everything[:count]
        saved = everything[count : count + len(plan.saved)]
        source, *kept = everything[count + len(plan.saved) :]
        left = iter(kept)
        weight, bias, last = (next(left) if present else None for present in there)
        first = given[0]
        incoming = [None if g is None else g.contiguous() for g in gradients]
        needs = ctx.needs_input_grad
        needed = [*needs[7:]]
        needed.insert(len(setup.inputs) - 1, False)
        scalars = count - len(setup.tensor_scalars)
        wanted = [
            (torch.zeros_like(t) if place >= scalars else torch.empty_like(t)) if wants else None
            for place, (t, wants) in enumerate(zip(given, needed, strict=True))
        ]
        assert weight is not None
        extra = [weight, bias, last]
        makers = (torch.zeros_like, torch.zeros_like, torch.empty_like)
        grads = [
            make(t) if t is not None and wants else None
            for make, t, wants in zip(makers, extra, needs[4:7], strict=True)
        ]
        end = incoming.pop()
        tensors = [*given, *saved, *incoming, *wanted, *extra, source, end, *grads]
        plan.backward(tensors, numbers, _counts(first, when, weight))
        del wanted[len(setup.inputs) - 1]
        return (None, None, None, None, *grads, *wanted)
