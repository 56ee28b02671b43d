"""From `node(x)` to the arguments of the launch and back: the whole way of a GPU, with the driver faked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from fake_cuda.faked import FakeCuda, on_gpu, plain

from neurodsl.memory.bits import PackedSpikes
from neurodsl.runtime.cuda.reductions import _Choice


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


TWO = """\
neuron Two:
    input  x
    input  y
    output s
    output z
    param tau[channel] = 2.5 learnable
    param bias[time] = 0.1 learnable
    param th = 0.75 learnable
    state v = 0.2
    state w = 0
    charge:
        v = v + (x + bias - v - w) / tau
        w = 0.9 * w + 0.1 * y
    fire:
        s = spike(v - th)
    reset:
        v = v - th * s
        z = v * w
"""
"""Two of everything, params of several shapes."""


@pytest.mark.parametrize(
    ("name", "options", "learnable"),
    [
        ("LIF", {}, ()),
        ("LIF", {}, ("tau", "v_threshold")),
        ("LIF", {"save": "membrane"}, ("tau",)),
        ("PLIF", {}, ()),
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


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_several_of_everything_and_params_with_a_shape(
    dtype: torch.dtype,
    atomic: bool,
    loaded: Callable[..., Any],
    fake: FakeCuda,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_Choice, "atomic", atomic)
    node = loaded("Two", TWO).Two(backend="fused", channels=3, steps=11).to(dtype)
    torch.manual_seed(0)
    inputs = torch.rand(2, 11, 4, 3, 20, dtype=dtype) * 2
    found = []
    for move in (lambda t: t, on_gpu):
        node.reset()
        given = [move(x.clone()).requires_grad_() for x in inputs]
        outputs = [plain(output) for output in node(*given)]
        ends = [plain(node.v), plain(node.w)]
        loss = sum((t * t).sum() for t in (*outputs, *ends))
        gradients = torch.autograd.grad(loss, [*given, *node.parameters()])
        found.append([t.detach() for t in (*outputs, *ends, *gradients)])
    tolerance = 1e-5 if dtype is torch.float32 else 1e-12
    for a, b in zip(*found, strict=True):
        assert (a - b).norm() <= tolerance * (1 + a.norm())
    launched = fake.calls("cuLaunchKernel")
    assert ["_reduce_" in call["kernel"] for call in launched] == [False, False, True]


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("options", [{}, {"save": "membrane"}, {"save": "bfloat16"}])
def test_two_bytes_go_to_the_kernels_as_they_are(
    options: dict[str, Any], dtype: torch.dtype, loaded: Callable[..., Any], fake: FakeCuda
) -> None:
    node = loaded("LIF", **options).LIF(backend="fused", learnable=("tau",), record=("v",))
    torch.manual_seed(0)
    x = (torch.rand(19, 3, 61) * 2).to(dtype)
    found = []
    for move in (lambda t: t, on_gpu):
        node.reset()
        given = move(x.clone()).requires_grad_()
        output = node(given)
        again = node(given)
        assert (output.dtype, again.dtype, node.v.dtype) == (dtype, dtype, torch.float32)
        assert node.v_seq.dtype is torch.float32
        loss = plain(output + again).float().sum() + plain(node.v).sum()
        loss = loss + plain(node.v_seq).square().sum()
        gradients = torch.autograd.grad(loss, [given, node.tau])
        assert [gradient.dtype for gradient in gradients] == [dtype, torch.float32]
        found.append([plain(t).detach() for t in (output, again, node.v, node.v_seq, *gradients)])
    cpu, gpu = found
    for a, b in zip(cpu[:3], gpu[:3], strict=True):
        assert torch.equal(a, b)
    digits = 2**-10 if dtype is torch.float16 else 2**-7
    for a, b in zip(cpu[3:], gpu[3:], strict=True):
        assert (a - b).float().norm() <= 2 * digits * a.float().norm()
    name = {torch.float16: "f16", torch.bfloat16: "bf16"}[dtype]
    passes = ["forward_train", "forward_train", "backward", "reduce", "backward", "reduce"]
    if fake.kernels()[0].startswith("lif_forward_f") or "_train_" not in fake.kernels()[0]:
        passes = [which.replace("forward_train", "forward") for which in passes]
    assert fake.kernels() == [f"lif_{which}_{name}" for which in passes]
    fake.clear()
    node.reset()
    node(x)
    assert fake.kernels() == []


def test_two_bytes_without_kernels_for_them_are_converted(
    loaded: Callable[..., Any], fake: FakeCuda
) -> None:
    module = loaded("LIF")
    for neuron in module.__manifest__["neurons"].values():
        kept = [e for e in neuron["kernels"] if not e["symbol"].endswith("f16")]
        neuron["kernels"] = kept
    node = module.LIF(backend="fused")
    output = node(on_gpu(torch.rand(4, 9).half()))
    assert output.dtype is torch.float16
    assert fake.kernels() == ["lif_forward_f32"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(("neurons", "kernel"), [(96, True), (61, False)])
def test_spikes_in_bits_come_from_a_kernel_where_neurons_fill_words(
    dtype: torch.dtype, neurons: int, kernel: bool, loaded: Callable[..., Any], fake: FakeCuda
) -> None:
    module = loaded("LIF")
    torch.manual_seed(0)
    x = (torch.rand(6, 1, neurons) * 3).to(dtype)
    found = []
    for move in (lambda t: t, on_gpu):
        node = module.LIF(backend="fused", spikes="bits")
        with torch.no_grad():
            packed = node(move(x)), node(move(x))
        bits = [PackedSpikes(plain(one.bits), one.shape, one.dtype).unpack() for one in packed]
        found.append([*bits, plain(node.v)])
    for cpu, gpu in zip(*found, strict=True):
        assert torch.equal(cpu, gpu)
    assert any("forward_bits" in name for name in fake.kernels()) is kernel
