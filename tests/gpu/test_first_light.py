"""The shortest proof that a GPU computes: seven neurons, their spikes those of the CPU, and all their gradients."""

from __future__ import annotations

import pytest
import torch

import neurodsl


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["IF", "LIF", "SoftLIF", "PLIF", "FusedLIF", "LISNNLIF", "LI"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gpu_gives_the_numbers_of_the_cpu(name: str, dtype: torch.dtype) -> None:
    node = getattr(neurodsl.load(name), name)(backend="fused")
    torch.manual_seed(0)
    x = torch.rand(9, 4, 131, dtype=dtype)
    results = []
    for device in ("cpu", "cuda"):
        node.reset()
        node.to(device)
        given = x.to(device).requires_grad_()
        output = node(given)
        params = list(node.parameters())
        loss = (output * x.to(device)).sum()
        results.append([t.cpu() for t in (output, *torch.autograd.grad(loss, [given, *params]))])
    assert torch.equal(results[0][0], results[1][0])
    tolerance = 1e-4 if dtype is torch.float32 else 1e-10
    for cpu, gpu in zip(*results, strict=True):
        assert (cpu - gpu).norm() <= tolerance * cpu.norm()
