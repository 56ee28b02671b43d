"""Modules among PyTorch's own: data parallel, autocast; and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.nn.parallel import DistributedDataParallel

from neurodsl.library import LIF, LISNN
from neurodsl.runtime import native as plans
from neurodsl.runtime.errors import UnsupportedError


def test_distributed_data_parallel(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 7), LIF(learnable=("tau",)))
    x = torch.rand(4, 2, 5) * 3
    network(x).sum().backward()
    expected = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    network.zero_grad()
    network[1].reset()
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        parallel = DistributedDataParallel(network)
        parallel(x).sum().backward()
        parallel(x)
    finally:
        torch.distributed.destroy_process_group()
    assert len(expected) == 3
    found = [p.grad for p in network.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_autocast() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 7), LIF())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        spikes = network(torch.rand(4, 2, 5) * 3)
    assert spikes.dtype is torch.bfloat16
    assert network[1].v.dtype is torch.float32
    spikes.float().sum().backward()
    assert torch.isfinite(network[0].weight.grad).all()


@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_what_is_not_supported_says_so(backend: str) -> None:
    node, x = LIF(backend=backend), torch.rand(4, 2, 5)
    with forward_ad.dual_level(), pytest.raises(UnsupportedError, match="forward-mode"):
        node(forward_ad.make_dual(x, x))
    with pytest.raises(UnsupportedError, match="vmap"):
        torch.func.vmap(node, in_dims=1)(x)
    with pytest.raises(UnsupportedError, match="backward"):
        torch.func.grad(lambda given: node(given).sum())(x)


@pytest.mark.parametrize("from_cpp", [True, False])
@pytest.mark.parametrize("up", [True, False])
def test_a_second_derivative_is_an_error(
    from_cpp: bool, up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not from_cpp:
        monkeypatch.setattr(plans, "is_there", lambda: False)
        monkeypatch.setattr(plans, "run", lambda *_: None)
    x = torch.rand(4, 2, 5, requires_grad=True)
    linear = nn.Linear(5, 5)
    y = LIF(spiking=False)(linear(x))
    loss = (y * x).sum() if up else y.sum()
    (first,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"^FusedLIF: .*differentiated twice; backend=\"ref"):
        first.square().sum().backward()


def test_a_second_derivative_through_a_convolution_is_an_error() -> None:
    node = LISNN(y=nn.Conv2d(3, 3, 5, padding=2, groups=3))
    x = torch.rand(4, 2, 3, 8, 8, requires_grad=True)
    (first,) = torch.autograd.grad(node(x.square()).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"^FusedLISNN.*differentiated twice"):
        first.square().sum().backward()
