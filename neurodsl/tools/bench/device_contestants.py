"""Who takes part on a device: the contestants of the CPU's bench there, SpikingJelly's kernels, and a copy."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurodsl.tools.bench import spikingjelly_cuda
from neurodsl.tools.bench.contestants import (
    COPY,
    FUSED,
    PEERS,
    REFERENCE,
    RELU,
    SPLIT,
    Choice,
    Contestant,
    Yardstick,
    made,
    of_module,
    spikingjelly,
    torch_compiled,
)
from neurodsl.tools.bench.device import Device
from neurodsl.tools.bench.inputs import Given
from neurodsl.tools.bench.spikingjelly_cuda import Left, first_line
from neurodsl.tools.bench.split import split_form


class CopyInto(Yardstick):
    """`torch.Tensor.copy_` into memory from the allocator, as results are; going forward and backward is two of them.

    Its bandwidth is what all shares are of.
    """

    def forward_backward(self, given: Given) -> object:
        """One copy of the input, one of the gradient."""
        with torch.no_grad():
            return self.run(given.plain[0]), self.run(given.upstream)


def on_device(
    module: Any,
    neuron: str,
    device: Device,
    *,
    choice: Choice,
    steps: int,
    neurons: int,
    dtype: torch.dtype,
    left: Left,
) -> list[Contestant]:
    """All for inputs `[steps, 1, neurons]`, the fused kernels first; `left` is told who is missing, and why."""

    def node(backend: str) -> Any:
        there = made(module, neuron, backend, steps, neurons).to(device.torch_device)
        return there.to(torch.float64) if dtype == torch.float64 else there

    found = [of_module(FUSED, node("fused"))]
    if choice.reference:
        found.append(of_module(REFERENCE, node("reference")))
    if choice.compiled:
        found.append(torch_compiled(node("reference")))
    if neuron == "LIF" and choice.split:
        found.append(Contestant(SPLIT, _nothing, split_form(), compiles=True))
    if choice.peers:
        found += _peers(neuron, device, dtype, left)
    return [*found, Yardstick(RELU, _nothing, torch.relu), CopyInto(COPY, _nothing, copied)]


def copied(x: Tensor) -> Tensor:
    """`copy_` into memory from the allocator."""
    return torch.empty_like(x).copy_(x)


def those_that_run(running: list[Contestant], given: Given, left: Left) -> list[Contestant]:
    """Without those that cannot compute this shape or dtype, or for which there is no memory.

    Ours are never left out: what they raise is raised.
    """
    kept: list[Contestant] = []
    for one in running:
        try:
            one.forward(given)
            one.forward_backward(given)
        except Exception as problem:
            if one.name in (FUSED, RELU, COPY):
                raise
            left(f"{one.name} is left out: {first_line(problem)}")
            continue
        kept.append(one)
    return kept


def _peers(neuron: str, device: Device, dtype: torch.dtype, left: Left) -> list[Contestant]:
    where = device.torch_device
    if where.type == "cuda":
        return spikingjelly_cuda.on_cuda(neuron, where, dtype, left)
    return spikingjelly(PEERS[neuron], dtype) if neuron in PEERS else []


def _nothing() -> None:
    pass
