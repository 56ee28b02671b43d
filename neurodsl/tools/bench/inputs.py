"""What contestants are given: noise that makes a neuron fire, and a dense gradient for its output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neurodsl.loading import class_of
from neurodsl.tools.compare.stimulus import noise, scale_for
from neurodsl.tools.making import filled_in

TRIAL = (16, 500)
"""Steps and neurons on which the scale of the noise is chosen."""


@dataclass(frozen=True, slots=True)
class Given:
    """The tensors of one shape, `[T, 1, N]`: inputs without and with `requires_grad`, the gradient of the output."""

    plain: tuple[Tensor, ...]
    wanting: tuple[Tensor, ...]
    upstream: Tensor

    @classmethod
    def of(
        cls, count: int, steps: int, neurons: int, dtype: torch.dtype, scale: float = 1.0
    ) -> Given:
        """Always the same numbers for the same arguments."""
        random = torch.Generator().manual_seed(0)
        shape = (steps, 1, neurons)
        made = [_noise(shape, dtype, random, scale, 0.5) for _ in range(count)]
        upstream = _noise(shape, dtype, random, 1.0, 0.0)
        return cls(tuple(made), tuple(x.detach().requires_grad_() for x in made), upstream)


def firing_scale(module: Any, neuron: str) -> float:
    """How much noise makes this neuron fire in about every fifth step."""
    kind = class_of(module, neuron)
    steps, neurons = TRIAL
    node = kind(**filled_in(module.__manifest__["neurons"][neuron], steps, neurons))

    def run(inputs: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        with torch.no_grad():
            outputs, states = node.functional(inputs)
        return tuple(outputs), tuple(states)

    shape = (steps, 1, neurons)
    return scale_for(noise(len(kind.definition.inputs), shape, torch.float32, 0), run)


def _noise(
    shape: tuple[int, ...],
    dtype: torch.dtype,
    random: torch.Generator,
    scale: float,
    mean: float,
) -> Tensor:
    made = torch.randn(shape, generator=random, dtype=torch.float32)
    return made.add_(mean).mul_(scale).to(dtype)
