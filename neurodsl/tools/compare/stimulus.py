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


def scaled(
    unit: tuple[Tensor, ...],
    run: Callable[[tuple[Tensor, ...]], tuple[tuple[Tensor, ...], tuple[Tensor, ...]]],
) -> tuple[Tensor, ...]:
    """The noise times the scale at which the rate of `run`'s spikes comes nearest to what is wanted.

    The scales are tried on some neurons; at one that makes a state grow without bound nothing can be compared. Without
    spiking outputs the noise stays as it is. `run` gives outputs and final states.
    """
    some = tuple(x[..., :2000] for x in unit)
    best, nearest = 1.0, float("inf")
    for scale in SCALES:
        outputs, states = run(tuple(x * scale for x in some))
        rate = firing_rate(outputs)
        calm = all(bool((v.abs() < CALM).all()) for v in states)
        if rate is not None and calm and abs(rate - WANTED_RATE) < nearest:
            best, nearest = scale, abs(rate - WANTED_RATE)
    return tuple(x * best for x in unit)


def firing_rate(outputs: tuple[Tensor, ...]) -> float | None:
    """Spikes a neuron-step, over all outputs that are spikes; None if there are none."""
    rates = [(output != 0).double().mean().item() for output in outputs if is_spikes(output)]
    return sum(rates) / len(rates) if rates else None
