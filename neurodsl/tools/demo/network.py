"""The demo's network: two convolutions, each followed by a layer of compiled neurons, and a linear readout."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d

CLASSES = 10


class DigitsNetwork(nn.Module):
    """conv - LIF - pool - conv - LIF - pool - linear; spikes `[T, B, 1, 8, 8]` in, class scores `[B, 10]` out.

    `neuron` makes one layer of neurons: a module that maps currents `[T, B, *]` to spikes of the same shape.
    """

    def __init__(self, neuron: Callable[[], nn.Module], channels: int = 32) -> None:
        super().__init__()
        self.first = convolution(1, channels)
        self.first_neurons = neuron()
        self.second = convolution(channels, 2 * channels)
        self.second_neurons = neuron()
        self.readout = nn.Linear(2 * channels * 2 * 2, CLASSES)

    def forward(self, spikes: Tensor) -> Tensor:
        """Scores: the readout of the second layer's spikes, averaged over time."""
        self.reset()
        spikes = self.first_neurons(at_each_step(self.first, spikes))
        spikes = at_each_step(lambda maps: max_pool2d(maps, 2), spikes)
        spikes = self.second_neurons(at_each_step(self.second, spikes))
        spikes = at_each_step(lambda maps: avg_pool2d(maps, 2), spikes)
        scores: Tensor = self.readout(spikes.flatten(2)).mean(0)
        return scores

    def reset(self) -> None:
        """Forget the membrane potentials of the batch before."""
        for layer in (self.first_neurons, self.second_neurons):
            layer.reset()  # type: ignore[operator]


def convolution(inputs: int, outputs: int) -> nn.Module:
    """A 3x3 convolution that keeps the size, then batch norm, whose shift stands for the bias."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
    )


def at_each_step(layer: Callable[[Tensor], Tensor], maps: Tensor) -> Tensor:
    """A layer without state, on all steps at once: `[T, B, C, H, W]` folded to `[T * B, C, H, W]` and back."""
    folded = layer(maps.flatten(0, 1))
    return folded.reshape(*maps.shape[:2], *folded.shape[1:])


def seeded_network(
    neuron: Callable[[], nn.Module], seed: int, dtype: torch.dtype = torch.float32
) -> DigitsNetwork:
    """A network whose first weights depend on `seed` alone; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DigitsNetwork(neuron).to(dtype)
