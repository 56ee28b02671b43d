"""The two networks: six blocks of convolution, normalisation and neurons; three linear layers with neurons."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

Neuron = Callable[[], nn.Module]
Through = Callable[[nn.Module, Tensor], Tensor]
"""How a block is run: as it is, or in a checkpoint."""

CHANNELS = (2, 16, 16, 32, 32, 64, 64)
IMAGE, BATCH = 32, 8
WIDTHS = (784, 1024, 1024, 1024)
MLP_BATCH = 64
CLASSES = 10
RATE = 0.2
"""Of the spikes that the networks are shown."""


class Steps(nn.Module):
    """A layer that knows no time, over the steps and the batch at once."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """`[T, B, *]` to the same."""
        done: Tensor = self.layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return done


class Block(nn.Sequential):
    """A layer, what comes with it, and neurons: what a checkpoint is put around."""


class Network(nn.Module):
    """Blocks and a readout `[T, B, *] -> [B, classes]`, the mean over time."""

    def __init__(self, blocks: list[Block], readout: nn.Module, through: Through) -> None:
        super().__init__()
        self.blocks, self.readout = nn.ModuleList(blocks), readout
        self._through = through

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        for block in self.blocks:
            x = self._through(block, x)
        scores: Tensor = self.readout(x.flatten(2)).mean(0)
        return scores


def convolutional(neuron: Neuron, through: Through) -> Network:
    """Conv 3x3, batch norm, neurons; after every second, the largest of 2x2."""
    blocks = []
    for place, (taken, given) in enumerate(pairwise(CHANNELS)):
        layers = [
            Steps(nn.Conv2d(taken, given, 3, padding=1, bias=False)),
            Steps(nn.BatchNorm2d(given)),
            neuron(),
        ]
        if place % 2:
            layers.append(Steps(nn.MaxPool2d(2)))
        blocks.append(Block(*layers))
    side = IMAGE // 2 ** (len(blocks) // 2)
    return Network(blocks, nn.Linear(CHANNELS[-1] * side * side, CLASSES), through)


def perceptron(neuron: Neuron, through: Through) -> Network:
    """Linear layers of neurons."""
    sizes = pairwise(WIDTHS)
    blocks = [Block(nn.Linear(taken, given), neuron()) for taken, given in sizes]
    return Network(blocks, nn.Linear(WIDTHS[-1], CLASSES), through)


NETWORKS: dict[str, tuple[Callable[[Neuron, Through], Network], tuple[int, ...]]] = {
    "conv": (convolutional, (BATCH, CHANNELS[0], IMAGE, IMAGE)),
    "mlp": (perceptron, (MLP_BATCH, WIDTHS[0])),
}
"""How each is made, and the shape of a step of its input."""


def spikes(name: str, steps: int, batch: int | None = None) -> Tensor:
    """What a network is shown: `[T, B, *]`, the same in every process."""
    shape = NETWORKS[name][1]
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand((steps, batch or shape[0], *shape[1:]), generator=generator)
    return (drawn < RATE).float()


def build(name: str, neuron: Neuron, through: Through) -> Network:
    """A network with weights that are the same for all contestants; batch norm and gain make its neurons fire."""
    torch.manual_seed(0)
    network = NETWORKS[name][0](neuron, through)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 3.0 / module.in_features**0.5)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 2.0)
    return network


def directly(block: nn.Module, x: Tensor) -> Tensor:
    """As it is."""
    done: Tensor = block(x)
    return done


LIF: dict[str, float] = {"tau": 2.0, "v_threshold": 1.0, "v_reset": 0.0}
"""Parameters of all contestants' neurons."""
