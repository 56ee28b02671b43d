"""From `node(x)` to the arguments of the launch and back: the whole way of a GPU, with the driver faked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from fake_cuda.faked import FakeCuda, on_gpu, plain


def both(node: Any, x: torch.Tensor, states: bool = True) -> list[list[torch.Tensor]]:
    """Output, final states and all gradients, on the CPU and on what it takes for a GPU."""
    found = []
    torch.manual_seed(1)
    weights = torch.rand_like(x)
    for move in (lambda t: t, on_gpu):
        node.reset()
        given = move(x.clone()).requires_grad_()
        output = node(given)
        again = node(given * 0.9)
        loss = (plain(output) * weights).sum() + (plain(again) * weights).sum()
        if states:
            loss = loss + sum(plain(getattr(node, name)).sum() for name in node.state_attributes)
        params = list(node.parameters())
        gradients = torch.autograd.grad(loss, [given, *params])
        ends = [plain(getattr(node, name)) for name in node.state_attributes]
        found.append([plain(t).detach() for t in (output, again, *ends, *gradients)])
    return found


@pytest.mark.parametrize(
    ("name", "options", "learnable"),
    [
        ("LIF", {}, ()),
        ("LIF", {}, ("tau", "v_threshold")),
        ("LIF", {"save": "membrane"}, ("tau",)),
        ("PLIF", {}, ()),
        ("Izhikevich", {}, ()),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_module_gives_the_numbers_of_the_cpu(
    name: str,
    options: dict[str, Any],
    learnable: tuple[str, ...],
    dtype: torch.dtype,
    loaded: Callable[..., Any],
    fake: FakeCuda,
) -> None:
    node = getattr(loaded(name, **options), name)(backend="fused", learnable=learnable).to(dtype)
    torch.manual_seed(0)
    cpu, gpu = both(node, torch.rand(5, 3, 61, dtype=dtype) * 2)
    tolerance = 1e-5 if dtype is torch.float32 else 1e-12
    for a, b in zip(cpu, gpu, strict=True):
        assert (a - b).norm() <= tolerance * (1 + a.norm())
    kernels = fake.kernels()
    suffix = "f32" if dtype is torch.float32 else "f64"
    assert all(kernel.endswith(suffix) for kernel in kernels)
    assert sum("_forward" in kernel for kernel in kernels) == 2
    assert sum("_backward" in kernel for kernel in kernels) == 2
    sums = 2 if list(node.parameters()) else 0
    assert sum("_reduce" in kernel for kernel in kernels) == sums


def test_an_empty_batch_and_no_steps_launch_nothing(
    loaded: Callable[..., Any], fake: FakeCuda
) -> None:
    node = loaded("LIF").LIF(backend="fused", learnable=("tau",))
    for shape in ((0, 3, 5), (4, 0, 5), (0, 0)):
        node.reset()
        x = on_gpu(torch.zeros(shape)).requires_grad_()
        output = node(x)
        assert output.shape == shape
        assert output.device.type == "cuda"
        (plain(output).sum() + plain(node.v).sum()).backward()
        assert x.grad.shape == shape
    assert fake.kernels() == []


def test_a_detached_reset_has_its_own_backward(loaded: Callable[..., Any], fake: FakeCuda) -> None:
    node = loaded("LIF").LIF(backend="fused", detach_reset=True)
    cpu, gpu = both(node, torch.rand(6, 2, 9, dtype=torch.float64) * 2)
    for a, b in zip(cpu, gpu, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    assert fake.kernels()[-1] == "lif_backward_detached_f64"


def test_recorded_states_and_strides(loaded: Callable[..., Any], fake: FakeCuda) -> None:
    node = loaded("LIF").LIF(backend="fused", record=("v",))
    x = torch.rand(4, 7, 6, 5)
    for given in (x.transpose(1, 2), x[..., ::2], x.to(memory_format=torch.channels_last)):
        node.reset()
        expected, recorded = node(given), node.v_seq
        node.reset()
        assert torch.equal(plain(node(on_gpu(given))), expected)
        assert torch.equal(plain(node.v_seq), recorded)
    launched = fake.calls("cuLaunchKernel")[-1]
    assert launched["grid"] * launched["block"] >= 210
