"""Random input that makes neurons fire at sensible rates, whatever their units."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from neurodsl.tools.compare.result import is_spikes

WANTED_RATE = 0.2
SCALES = tuple(2.0**exponent for exponent in range(-4, 14))
"""Currents to try: membrane potentials are near 1 in some models and in millivolts in others."""


CALM = 1e5
"""States beyond this have left their model's range."""


def noise(count: int, shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> tuple[Tensor, ...]:
    """`count` tensors of normal noise with mean 1/2: it drives towards the threshold, and away from it too."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(shape, generator=generator, dtype=torch.float64).add(0.5).to(dtype)
        for _ in range(count)
    )


Run = Callable[[tuple[Tensor, ...]], tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]
"""Outputs and final states of given inputs."""


def scaled(unit: tuple[Tensor, ...], run: Run) -> tuple[Tensor, ...]:
    """The noise times `scale_for` it."""
    scale = scale_for(unit, run)
    return tuple(x * scale for x in unit)


def scale_for(unit: tuple[Tensor, ...], run: Run) -> float:
    """The scale of the noise at which the rate of `run`'s spikes comes nearest to what is wanted.

    The scales are tried on some neurons, and what is found is then tried on all: at a scale that makes a state grow
    without bound nothing can be compared. Without spiking outputs it is 1.
    """
    some = tuple(x[..., :2000] for x in unit)
    distances: dict[float, float] = {}
    for scale in SCALES:
        outputs, states = run(tuple(x * scale for x in some))
        rate = firing_rate(outputs)
        if rate is not None and _is_calm(states):
            distances[scale] = abs(rate - WANTED_RATE)
    for scale in sorted(distances, key=distances.__getitem__):
        if _is_calm(run(tuple(x * scale for x in unit))[1]):
            return scale
    return 1.0


def _is_calm(states: tuple[Tensor, ...]) -> bool:
    return all(bool((v.abs() < CALM).all()) for v in states)


def firing_rate(outputs: tuple[Tensor, ...]) -> float | None:
    """Spikes a neuron-step, over all outputs that are spikes; None if there are none."""
    rates = [(output != 0).double().mean().item() for output in outputs if is_spikes(output)]
    return sum(rates) / len(rates) if rates else None
