"""The demo's training: cross-entropy, Adam with a one-cycle rate, and the test accuracy after each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from neurodsl.tools.demo.images import Digits, bernoulli_code, generator, load_digits
from neurodsl.tools.demo.network import DigitsNetwork, seeded_network


@dataclass(frozen=True, slots=True)
class Settings:
    """One training run. The same settings give the same losses on the same machine."""

    seed: int = 0
    epochs: int = 20
    batch: int = 64
    steps: int = 8
    """Time steps that an image is shown for."""
    rate: float = 1e-2
    """Peak of the learning rate."""
    backend: str = "auto"
    dtype: torch.dtype = torch.float32

    def batches(self, images: int) -> int:
        """Batches in an epoch."""
        return -(-images // self.batch)


def train(
    backend: str = "auto", dtype: torch.dtype = torch.float32, steps: int = 20, seed: int = 0
) -> list[float]:
    """The first `steps` losses of the demo's training: how tests compare the back ends."""
    from neurodsl.tools.demo.neuron import load_neuron

    settings = Settings(seed=seed, backend=backend, dtype=dtype)
    network = build(load_neuron(), settings)
    return list(islice(fit(network, load_digits(seed), settings), steps))


def build(module: Any, settings: Settings, record: tuple[str, ...] = ()) -> DigitsNetwork:
    """The network with `module.LIF` as its neurons, in its first state."""
    return seeded_network(
        lambda: module.LIF(backend=settings.backend, record=record), settings.seed, settings.dtype
    )


def fit(network: DigitsNetwork, digits: Digits, settings: Settings) -> Iterator[float]:
    """Train; yields the loss of each batch after its weights have been updated."""
    random = generator(settings.seed + 1)
    optimizer = torch.optim.Adam(network.parameters(), settings.rate)
    total = settings.epochs * settings.batches(len(digits.train_images))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, total_steps=total)
    for _ in range(settings.epochs):
        order = torch.randperm(len(digits.train_images), generator=random)
        for rows in torch.split(order, settings.batch):
            network.train()
            loss = loss_of(
                network, digits.train_images[rows], digits.train_labels[rows], settings, random
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            yield loss.item()


def loss_of(
    network: DigitsNetwork,
    images: Tensor,
    labels: Tensor,
    settings: Settings,
    random: torch.Generator,
) -> Tensor:
    """Cross-entropy of one batch, its images freshly coded as spikes."""
    spikes = bernoulli_code(images, settings.steps, random).to(settings.dtype)
    return cross_entropy(network(spikes), labels)


@torch.no_grad()
def accuracy(network: DigitsNetwork, digits: Digits, settings: Settings) -> float:
    """Share of the test images that are told right, in percent; the same spikes are shown at every call."""
    network.eval()
    random = generator(settings.seed + 2)
    spikes = bernoulli_code(digits.test_images, settings.steps, random).to(settings.dtype)
    right = network(spikes).argmax(1) == digits.test_labels
    return 100 * float(right.double().mean())
