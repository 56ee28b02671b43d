"""Dense layouts go through without a copy and are kept in the outputs; all others are copied."""

from __future__ import annotations

import pytest
import torch

from neurodsl.library import LIF
from neurodsl.runtime.layouts import common_layout, in_layout


def _channels_last(steps: int = 4) -> torch.Tensor:
    return (
        torch.rand(steps * 2, 3, 5, 7).to(memory_format=torch.channels_last).view(steps, 2, 3, 5, 7)
    )


def test_channels_last_is_kept() -> None:
    x = _channels_last()
    layout = common_layout(x)
    assert layout == x.stride()
    assert in_layout(x, layout) is x


@pytest.mark.parametrize(
    "x",
    [
        torch.rand(4, 6)[:, ::2],
        torch.rand(1, 6).expand(4, 6),
        torch.rand(6, 4).t(),
        torch.rand(3, 4, 5).transpose(0, 1),
    ],
)
def test_other_layouts_are_copied(x: torch.Tensor) -> None:
    assert common_layout(x) is None
    assert in_layout(x, None).is_contiguous()


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_channels_last_gives_the_numbers_of_contiguous(steps: int) -> None:
    x = _channels_last(steps).mul_(2)
    node = LIF(learnable=("tau",), record=("v",))
    results = []
    for given in (x.clone(memory_format=torch.contiguous_format), x):
        given = given.detach().requires_grad_()
        node.reset()
        spikes = node(given)
        loss = (spikes * torch.arange(7.0)).sum() + node.v_seq.square().sum() + node.v.sum()
        gradients = torch.autograd.grad(loss, [given, node.tau])
        results.append((spikes, node.v, node.v_seq, *gradients))
    for contiguous, last in zip(*results, strict=True):
        assert torch.allclose(contiguous, last, rtol=1e-5, atol=1e-6)
        assert contiguous.shape == last.shape
    if steps > 1:
        assert results[1][0].stride() == x.stride()
        assert results[1][3].stride() == x.stride()
        assert torch.equal(results[0][0], results[1][0])
