"""A strong rival for LIF: its loop and a hand-written backward pass, both through `torch.compile`, joined by autograd.

What one would write who knows PyTorch well: two graphs without breaks, each one kernel after Inductor's fusion, and
nothing kept but the charged potential `h`. Its defaults are those of the library's `LIF`: tau 2, threshold 1, reset to
0, `atan(alpha=2.0)`, gradient through the reset.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

TAU, THRESHOLD, ALPHA = 2.0, 1.0, 2.0


def spikes(x: Tensor) -> Tensor:
    """The loop of the equations; nothing is kept."""
    v = torch.zeros_like(x[0])
    made = []
    for t in range(x.shape[0]):
        h = v + (x[t] - v) / TAU
        fires = h >= THRESHOLD
        made.append(fires.to(x.dtype))
        v = torch.where(fires, 0.0, h)
    return torch.stack(made)


def spikes_and_potentials(x: Tensor) -> tuple[Tensor, Tensor]:
    """The same, and the charged potential of every step."""
    v = torch.zeros_like(x[0])
    made, kept = [], []
    for t in range(x.shape[0]):
        h = v + (x[t] - v) / TAU
        fires = h >= THRESHOLD
        made.append(fires.to(x.dtype))
        kept.append(h)
        v = torch.where(fires, 0.0, h)
    return torch.stack(made), torch.stack(kept)


def input_gradient(h: Tensor, g: Tensor) -> Tensor:
    """The loop back in time: `w` is the gradient of the potential that a step leaves."""
    w = torch.zeros_like(h[0])
    made = []
    for t in reversed(range(h.shape[0])):
        slope = ALPHA / 2 / (1 + (math.pi / 2 * ALPHA * (h[t] - THRESHOLD)) ** 2)
        through_reset = torch.where(h[t] >= THRESHOLD, 0.0, 1.0) - h[t] * slope
        charged = g[t] * slope + w * through_reset
        to_input = charged / TAU
        made.append(to_input)
        w = charged - to_input
    return torch.stack(made[::-1])


def split_form(compile: Callable[..., Any] = torch.compile) -> Callable[[Tensor], Tensor]:
    """LIF of `x` `[T, …]`; `compile` is `torch.compile`, or in tests something that takes no minute."""
    infer = compile(spikes, dynamic=False)
    forward = compile(spikes_and_potentials, dynamic=False)
    backward = compile(input_gradient, dynamic=False)

    class Joined(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            s, h = forward(x)
            ctx.save_for_backward(h)
            made: Tensor = s
            return made

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, g: Tensor) -> Tensor:
            (h,) = ctx.saved_tensors
            made: Tensor = backward(h, g)
            return made

    joined: Any = Joined

    def run(x: Tensor) -> Tensor:
        needs = torch.is_grad_enabled() and x.requires_grad
        made: Tensor = joined.apply(x) if needs else infer(x)
        return made

    return run
