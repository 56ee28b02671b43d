"""Arrays from 16 MB on are stored past the caches: with the bits that smaller ones get."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import neurodsl

STEPS = 4
NEURONS = (1 << 20) + 3 * 16
"""The last block is not whole; rows begin on lines of the cache."""
PIECE = 128 * 1024


def run(node: Any, inputs: list[Tensor], upstream: Tensor) -> list[Tensor]:
    """The output, the last states, and the gradients of the inputs."""
    given = [x.clone().requires_grad_() for x in inputs]
    node.reset()
    output = node(*given)
    states = [getattr(node, name).detach() for name in node.state_attributes]
    output.backward(upstream)
    return [output.detach(), *states, *(x.grad for x in given)]


@pytest.mark.parametrize(
    ("neuron", "options"),
    [
        ("LIF", {"tau": 2.0}),  # divisions by a power of two are products
        ("LIF", {"tau": 3.0}),
        ("PLIF", {}),  # with the gradient of a param
        ("Synaptic", {}),  # two states
    ],
)
def test_pieces_make_the_whole(neuron: str, options: dict[str, float]) -> None:
    node = getattr(neurodsl.load(neuron), neuron)(**options, backend="fused")
    generator = torch.Generator().manual_seed(3)
    x = 2 * torch.rand(STEPS, NEURONS, generator=generator)
    upstream = torch.randn(STEPS, NEURONS, generator=generator)
    assert x.nbytes >= 16 << 20
    whole = run(node, [x], upstream)
    of_params = [p.grad.clone() for p in node.parameters()]
    node.zero_grad()
    parts = [
        run(node, [x[:, at : at + PIECE].contiguous()], upstream[:, at : at + PIECE].contiguous())
        for at in range(0, NEURONS, PIECE)
    ]
    assert 0.01 < whole[0].mean() < 0.99
    for found, *expected in zip(whole, *parts, strict=True):
        assert torch.equal(found, torch.cat(expected, -1))
    for p, found in zip(node.parameters(), of_params, strict=True):
        torch.testing.assert_close(found, p.grad, rtol=1e-5, atol=0)
