"""The fused kernels as one autograd function: all time steps forward, all time steps back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from neurodsl.runtime.errors import StaleGraphError
from neurodsl.runtime.launch import Plan, Setup, When, counts_of
from neurodsl.runtime.layouts import Layout, common_layout, empty_in, in_layout


def run(
    plan: Plan, numbers: Sequence[float], when: When, tensors: Sequence[Tensor], keep: bool
) -> tuple[Tensor, ...]:
    """Outputs `[T, …]`, final states `[…]`, recorded values `[T, …]`.

    Args:
        plan: of the kernels.
        numbers: one for each scalar of the plan; of those given as tensors, any.
        when: the steps before this call, and the seed.
        tensors: inputs `[T, …]`, initial states `[…]`, scalars `[]`, all of one dtype and on one device.
        keep: whether backward may follow.
    """
    if keep:
        function: Any = _Fused
        results: tuple[Tensor, ...] = function.apply(plan, numbers, when, *tensors)
        return results
    return forward_pass(plan, numbers, when, tensors, keep)[1]


def forward_pass(
    plan: Plan, numbers: Sequence[float], when: When, tensors: Sequence[Tensor], keep: bool
) -> tuple[list[Tensor], tuple[Tensor, ...], list[Tensor], Layout]:
    """The tensors as the kernel got them, the results, what was saved, and the layout of all of them."""
    setup, first = plan.setup, tensors[0]
    layout = None if plan.ordered else common_layout(first)
    given = [in_layout(tensor, layout) for tensor in tensors]
    steps = first.shape[0]
    made = [empty_in(first, layout) for _ in setup.outputs]
    made += [empty_in(first, layout, step=True) for _ in setup.states]
    made += [empty_in(first, layout) for _ in setup.recorded]
    saved = [one.empty(first, layout) for one in plan.saved] if keep else []
    if not steps:
        for place in range(len(setup.states)):
            made[len(setup.outputs) + place].copy_(given[len(setup.inputs) + place])
    elif first.numel():
        run = plan.train if keep else plan.forward
        run([*given, *made, *saved], numbers, counts_of(first, when))
    return given, tuple(made), saved, layout


def backward_pass(
    plan: Plan,
    numbers: Sequence[float],
    when: When,
    given: Sequence[Tensor],
    saved: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    needed: Sequence[bool],
    layout: Layout,
) -> list[Tensor | None]:
    """The gradients of the given tensors, None where none is needed; `gradients` are those of the results."""
    setup, first = plan.setup, given[0]
    steps = first.shape[0]
    incoming = [None if g is None else in_layout(g, layout) for g in gradients]
    scalars = len(given) - len(setup.tensor_scalars)
    wanted: list[Tensor | None] = []
    for place, wants in enumerate(needed):
        if not wants:
            wanted.append(None)
        elif place >= scalars:
            wanted.append(torch.zeros_like(given[place]))
        else:
            wanted.append(empty_in(first, layout, step=place >= len(setup.inputs)))
    if not steps:
        _pass_through(setup, wanted, incoming)
    elif first.numel():
        tensors = [*given, *saved, *incoming, *wanted]
        plan.backward(tensors, numbers, counts_of(first, when))
    return wanted


def twice(neuron: str) -> str:
    """The error's text where a backward pass is to be differentiated; the same in C++."""
    return (
        f'Fused{neuron}: the fused kernels cannot be differentiated twice; backend="reference" can'
    )


def once(backward: Callable[..., tuple[Tensor | None, ...]]) -> Callable[..., Any]:
    """A backward pass of kernels, the derivative of which is an error.

    PyTorch's `once_differentiable` is silent where no incoming gradient has a graph, as after `sum()`.
    """

    @wraps(backward)
    def run(ctx: Any, *gradients: Tensor | None) -> Any:
        with torch.no_grad():
            made = backward(ctx, *gradients)
        if not torch.is_grad_enabled():
            return made
        neuron = ctx.call[0].setup.neuron
        fails: Any = torch._C._functions.DelayedError(twice(neuron), len(made))
        return fails(*[None if g is None else g.detach().requires_grad_() for g in made])

    return run


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, plan: Plan, numbers: Sequence[float], when: When, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        given, results, saved, layout = forward_pass(plan, numbers, when, tensors, True)
        ctx.save_for_backward(*given, *saved)
        ctx.call = plan, numbers, when, layout
        return results

    @staticmethod
    @once
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        plan, numbers, when, layout = ctx.call
        setup: Setup = plan.setup
        try:
            everything = ctx.saved_tensors
        except RuntimeError as error:
            raise stale(setup.neuron, setup.states) from error
        count = len(everything) - len(plan.saved)
        given, saved = everything[:count], everything[count:]
        needed = ctx.needs_input_grad[3:]
        made = backward_pass(plan, numbers, when, given, saved, gradients, needed, layout)
        return (None, None, None, *made)


def stale(neuron: str, states: Sequence[str]) -> StaleGraphError:
    """The error where a state's graph has been freed."""
    listed = ", ".join(f"`{name}`" for name in states)
    return StaleGraphError(
        f"{neuron}: backward has come to the state {listed} of an earlier call, and that call's graph has been freed "
        "by an earlier backward. Between sequences call reset(); to keep the state and cut its graph, call "
        "detach_states()."
    )


def _pass_through(
    setup: Setup, wanted: Sequence[Tensor | None], incoming: Sequence[Tensor | None]
) -> None:
    """Without time steps the final states are the initial ones."""
    for place in range(len(setup.states)):
        target = wanted[len(setup.inputs) + place]
        gradient = incoming[len(setup.outputs) + place]
        if target is not None:
            target.zero_() if gradient is None else target.copy_(gradient)
