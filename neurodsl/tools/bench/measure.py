"""One benchmark run: every contestant on every shape, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch

from neurodsl.tools.bench.contestants import Contestant, contestants
from neurodsl.tools.bench.saved import saved_bytes
from neurodsl.tools.bench.timing import interleaved_medians

SHAPES = ((64, 128), (16, 8192), (32, 65536))
"""Time steps and neurons: a small layer, one that fits the caches, one that does not."""


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant on one shape: seconds a call (medians), and bytes kept for backward a neuron and step."""

    contestant: str
    steps: int
    neurons: int
    forward: float
    forward_backward: float
    saved: float
    saved_beside_inputs: float

    def as_json(self, fused: Row) -> dict[str, Any]:
        """The row and its times as multiples of the fused kernels'."""
        return asdict(self) | {
            "forward_times_fused": self.forward / fused.forward,
            "forward_backward_times_fused": self.forward_backward / fused.forward_backward,
        }


def measure(
    module: Any,
    neuron: str,
    *,
    shapes: tuple[tuple[int, int], ...] = SHAPES,
    rounds: int = 15,
    budget: float = 20.0,
    compiled: bool = False,
) -> Iterator[list[Row]]:
    """The rows of each shape in turn; the first row of a shape is that of the fused kernels."""
    inputs = len(getattr(module, neuron).definition.inputs)
    for steps, neurons in shapes:
        running = contestants(module, neuron, compiled=compiled, steps=steps, neurons=neurons)
        yield _measure_shape(running, inputs, steps, neurons, rounds, budget)


def _measure_shape(
    running: list[Contestant], inputs: int, steps: int, neurons: int, rounds: int, budget: float
) -> list[Row]:
    random = torch.Generator().manual_seed(0)
    values = tuple(2 * torch.randn(steps, 1, neurons, generator=random) for _ in range(inputs))
    wanting = tuple(value.clone().requires_grad_() for value in values)
    upstream = torch.randn(steps, 1, neurons, generator=random)
    forward = {one.name: partial(one.forward, _for(one, values)) for one in running}
    both: dict[str, Callable[[], object]] = {
        one.name: partial(one.forward_backward, _for(one, wanting), upstream) for one in running
    }
    forward_seconds = interleaved_medians(forward, rounds, budget)
    both_seconds = interleaved_medians(both, rounds, budget)
    rows = []
    for one in running:
        every, beside = saved_bytes(one, _for(one, wanting))
        rows.append(
            Row(
                one.name,
                steps,
                neurons,
                forward_seconds[one.name],
                both_seconds[one.name],
                every / (steps * neurons),
                beside / (steps * neurons),
            )
        )
    return rows


def _for(one: Contestant, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The yardsticks take one tensor whatever the neuron takes."""
    return inputs[:1] if one.name in ("relu", "copy") else inputs
