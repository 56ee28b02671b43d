"""`feedback y from s`: a module in the loop, a step at a time around the single-step kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Step = Callable[
    [tuple[Tensor, ...], tuple[Tensor, ...], int],
    tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]],
]
"""(inputs `[1, …]`, states, steps before) -> outputs `[1, …]`, states, recorded `[1, …]`."""


def check_module(neuron: str, name: str, module: object) -> nn.Module:
    """What is handed in for a feedback.

    Raises:
        TypeError: it is no module.
    """
    if isinstance(module, nn.Module):
        return module
    what = "is missing" if module is None else f"is a {type(module).__name__}"
    raise TypeError(
        f"{neuron}: {name} {what}: hand in the nn.Module that the last step passes through, such as "
        f"{name}=nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False)"
    )


def run_loop(
    neuron: str,
    modules: Sequence[tuple[str, nn.Module, int]],
    step: Step,
    inputs: tuple[Tensor, ...],
    states: tuple[Tensor, ...],
    last: tuple[Tensor, ...] | None,
    first_step: int,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
    """(outputs `[T, …]`, states, recorded `[T, …]`, what the last step feeds back).

    Args:
        neuron: its name.
        modules: of each feedback, in order: its name, its module, and which output it is made of.
        step: runs one step; the values fed back come after the inputs.
        inputs: `[T, …]` each.
        states: before the first step.
        last: what the step before this call feeds back; None if there was none: 0 is read then, and no module called.
        first_step: the steps before this call.
    """
    first = inputs[0]
    outputs: list[tuple[Tensor, ...]] = []
    recorded: list[tuple[Tensor, ...]] = []
    for t in range(first.shape[0]):
        fed = []
        for place, (name, module, _) in enumerate(modules):
            y = first.new_zeros(first.shape[1:]) if last is None else module(last[place])
            if y.shape != first.shape[1:]:
                raise ValueError(
                    f"{neuron}: {name} made {tuple(y.shape)} of a step of {tuple(first.shape[1:])}; it must keep the "
                    "shape (a convolution: padding = kernel_size // 2)"
                )
            fed.append(y.to(first.dtype).unsqueeze(0))
        made, states, kept = step((*(x[t : t + 1] for x in inputs), *fed), states, first_step + t)
        last = tuple(made[source].squeeze(0) for _, _, source in modules)
        outputs.append(made)
        recorded.append(kept)
    if last is None:
        last = tuple(first.new_zeros(first.shape[1:]) for _ in modules)
    if not outputs:
        made, _, kept = step(tuple(inputs) + (first,) * len(modules), states, first_step)
        return made, states, kept, last
    return _joined(outputs), states, _joined(recorded), last


def _joined(rows: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return tuple(torch.cat(column) for column in zip(*rows, strict=True))
