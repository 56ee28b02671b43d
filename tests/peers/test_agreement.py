"""Each neuron that a peer has too, against the peer's own class: spikes, outputs, gradients."""

from __future__ import annotations

import pytest
import torch
from peers.agreement import PAIRS, Pair, run_pair


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.ours}-{pair.peer}")
def test_float64(pair: Pair) -> None:
    """The same spikes to the last one, the same values and gradients as far as float64 holds them."""
    result = run_pair(pair)
    assert result.rate > 0.01
    assert result.output < 1e-12
    assert result.gradient < (1e-9 if pair.double else 1e-5)
    assert result.params is None or result.params < 1e-9


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.ours}-{pair.peer}")
def test_float32(pair: Pair) -> None:
    """Bit for bit where only the four operations and comparisons occur."""
    result = run_pair(pair, torch.float32)
    if pair.exact:
        assert result.flips == 0
        assert result.output == 0.0
    else:  # a spike that differs is 1 apart, a potential a few units in the last place
        assert result.output < 1e-6
    assert result.gradient < 1e-4
