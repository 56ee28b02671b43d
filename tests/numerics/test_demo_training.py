"""The demo's training takes the same course through the fused kernels as through the eager reference."""

from __future__ import annotations

import pytest
import torch

from neurodsl.tools.demo import train


def test_float64_losses_agree() -> None:
    """Twenty steps of Adam: gradients that were off would show at once."""
    fused = train(backend="fused", dtype=torch.float64, steps=20, seed=0)
    reference = train(backend="reference", dtype=torch.float64, steps=20, seed=0)
    assert len(fused) == 20
    assert len(set(fused)) == 20, "the losses do not move"
    assert fused == pytest.approx(reference, rel=1e-9, abs=1e-9)


def test_first_float32_loss_is_the_same_to_the_bit() -> None:
    """No update has happened yet: spikes, and all that follows from them, are equal."""
    fused = train(backend="fused", dtype=torch.float32, steps=1, seed=0)
    reference = train(backend="reference", dtype=torch.float32, steps=1, seed=0)
    assert fused == reference


def test_a_seed_repeats() -> None:
    """The same seed gives the same losses, another one others."""
    first = train(backend="fused", steps=5, seed=3)
    torch.manual_seed(99)
    assert train(backend="fused", steps=5, seed=3) == first
    assert train(backend="fused", steps=5, seed=4) != first
