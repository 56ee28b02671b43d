"""Recompute or save: what the compiler chooses for a neuron by counting, held against what takes how long.

    python -m neurodsl.tools.policies [NEURON …]

Forward and backward passes, float32, of each policy, taking turns; `auto` is what the compiler chooses. What backward
keeps besides the inputs stands beside the times, since it is the other side of the choice.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

import neurodsl
from neurodsl.loading import class_of
from neurodsl.native import build_native
from neurodsl.tools.bench.inputs import Given, firing_scale
from neurodsl.tools.bench.timing import taking_turns
from neurodsl.tools.making import filled_in

NEURONS = (
    "LIF",
    "Izhikevich",
    "ALIF",
    "GatedLIF",
    "CLIF",
    "EIF",
    "ConductanceLIF",
    "AdEx",
    "HodgkinHuxley",
)
"""From no function a step to dozens."""

SHAPES = ((16, 8192), (32, 65536))
POLICIES = ("inputs", "membrane")


@dataclass(frozen=True, slots=True)
class Row:
    """One neuron at one shape: seconds of a forward and a backward pass by policy, and bytes kept a neuron-step."""

    neuron: str
    steps: int
    neurons: int
    chosen: str
    seconds: dict[str, float]
    kept: dict[str, int]

    @property
    def loss(self) -> float:
        """The chosen policy's time over that of the fastest."""
        return self.seconds[self.chosen] / min(self.seconds.values())


def measure(neuron: str, shapes: Sequence[tuple[int, int]] = SHAPES) -> Iterator[Row]:
    """The rows of one neuron of the library."""
    chosen = neurodsl.load(neuron).__manifest__["neurons"][neuron]["save"]
    modules = {policy: neurodsl.load(neuron, save=policy) for policy in POLICIES}
    kept = {
        policy: sum(b for what, b in _streams(module, neuron)) for policy, module in modules.items()
    }
    scale = firing_scale(modules["inputs"], neuron)
    count = len(class_of(modules["inputs"], neuron).definition.inputs)
    for steps, neurons in shapes:
        given = Given.of(count, steps, neurons, torch.float32, scale)
        calls = {
            policy: partial(_pass, *_made(module, neuron, given))
            for policy, module in modules.items()
        }
        spread = taking_turns(calls, 15)
        seconds = {policy: spread[policy].median for policy in POLICIES}
        yield Row(neuron, steps, neurons, chosen, seconds, kept)


def _streams(module: Any, neuron: str) -> list[tuple[str, int]]:
    """What forward_train writes of every step, and its bytes."""
    kernels = module.__manifest__["neurons"][neuron]["kernels"]
    train = [k for k in kernels if k["pass"] == "forward_train" and k["target"] == "cpp"]
    first = train[0]["arguments"] if train else []
    return [(a["name"], 4) for a in first if a["role"] == "saved" and "every" not in a]


def _made(module: Any, neuron: str, given: Given) -> tuple[Any, tuple[Tensor, ...], Tensor]:
    steps, _, neurons = given.upstream.shape
    manifest = module.__manifest__["neurons"][neuron]
    node = class_of(module, neuron)(backend="fused", **filled_in(manifest, steps, neurons))
    return node, given.wanting, given.upstream


def _pass(node: Any, inputs: tuple[Tensor, ...], upstream: Tensor) -> None:
    node.reset()
    output = node(*inputs)
    output = output[0] if isinstance(output, tuple) else output
    torch.autograd.grad(output, inputs, upstream, allow_unused=True)


def main(neurons: Sequence[str]) -> int:
    """Print a table in Markdown."""
    build_native()
    print("| | steps x neurons | inputs | membrane | kept a step, inputs / membrane | auto |")
    print("| --- | --- | ---: | ---: | --- | --- |")
    for neuron in neurons:
        for row in measure(neuron):
            times = [f"{row.seconds[policy] * 1e6:.0f} µs" for policy in POLICIES]
            kept = " / ".join(f"{row.kept[policy]} B" for policy in POLICIES)
            chosen = f"{row.chosen}, {row.loss:.2f} of the fastest"
            print(
                f"| `{row.neuron}` | {row.steps} × {row.neurons} | {' | '.join(times)} | {kept} | {chosen} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or NEURONS))
