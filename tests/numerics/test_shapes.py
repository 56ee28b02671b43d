"""Params with a shape: fused against the reference, their gradients too; sizes and errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from numerics.comparing import check_fused
from torch import nn

import neurodsl
from neurodsl import library

TEXT = """\
neuron N:
    input  x
    output s, v
    param tau[channel]     = 2.0 in (1, inf) learnable via exp
    param weight[time]     = 1.0 learnable
    param bias[time, channel] = 0.1 learnable
    param v_0[neuron]      = 0.2 learnable
    param slope            = 2.0 learnable

    state v = v_0

    charge:
        dv/dt = (x * weight + bias - v) / tau
    fire:
        s = spike(v - 0.8, atan(alpha=slope))
    reset:
        v = 0 if s else v
"""


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64) * 2


@pytest.mark.parametrize(
    "shape", [(5, 3, 4), (5, 3, 4, 7), (5, 2, 3, 5, 11), (1, 1, 1, 1), (6, 70, 9)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_shape(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    module = neurodsl.load(TEXT)
    sizes = {"channels": shape[2], "neurons": shape[2:], "steps": 2 * shape[0]}
    found = check_fused(
        lambda backend: module.N(**sizes, backend=backend), random(*shape).to(dtype), calls=2
    )
    assert found["gradient of tau_raw"].shape == (shape[2],)
    assert found["gradient of weight"].shape == (2 * shape[0],)
    assert found["gradient of bias"].shape == (2 * shape[0], shape[2])
    assert found["gradient of v_0"].shape == shape[2:]


def test_it_is_a_loop_over_channels() -> None:
    """One value a channel is the same as a module for each."""
    x = random(8, 2, 3, 5)
    taus = torch.tensor([1.5, 2.0, 4.0], dtype=torch.float64)
    whole = library.LIF(tau=taus)(x)
    for c in range(3):
        assert torch.equal(whole[:, :, c], library.LIF(tau=taus[c].item())(x[:, :, c]))


@pytest.mark.parametrize("name", ["tau", "v_threshold", "v_reset"])
def test_a_tensor_for_a_scalar_param(name: str) -> None:
    """1-D is per channel, other shapes are per neuron; an nn.Parameter is registered as it is."""
    x = random(6, 2, 3, 4)
    for shape in ((3,), (3, 4)):
        value = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        value = value + 1.2 if name == "tau" else value * 0.5
        check_fused(lambda b, v=value: library.LIF(**{name: v}, backend=b, learnable=(name,)), x)
        parameter = nn.Parameter(value)
        node = library.LIF(**{name: parameter})
        assert dict(node.named_parameters()) == {name: parameter}
        node(x).sum().backward()
        assert parameter.grad is not None


def test_sums_are_the_same_whatever_the_threads() -> None:
    module = neurodsl.load(TEXT)
    x = random(4, 64, 8, 32)
    grads = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        node = module.N(channels=8, neurons=(8, 32), steps=4).double()
        node(x)[0].sum().backward()
        grads.append([p.grad for p in node.parameters()])
    torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_state_dict_and_channels_last() -> None:
    node = library.LIF(tau=torch.tensor([1.5, 3.0]))
    assert node.state_dict()["tau"].shape == (2,)
    x = random(4, 3, 2, 5, 5).float()
    last = x.transpose(2, 4).contiguous().transpose(2, 4)
    assert torch.equal(node(x), library.LIF(tau=torch.tensor([1.5, 3.0]))(last))


def raises(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_errors_say_what_is_wrong() -> None:
    module = neurodsl.load(TEXT)
    sizes: dict[str, Any] = {"channels": 4, "neurons": (4,), "steps": 5}
    raises(
        lambda: module.N(channels=4), r"weight\[time\] is learnt: say how many it has with steps="
    )
    raises(lambda: module.N(**sizes)(random(5, 2, 3)), r"tau\[channel\] has the shape \(4,\)")
    raises(
        lambda: module.N(**sizes)(random(6, 2, 4)), r"weight\[time\] has values for 5 time steps"
    )
    raises(lambda: module.N(**sizes)(random(5, 4)), "no such dimension")
    raises(lambda: library.LIF(tau=torch.tensor([2.0, 0.5])), r"tau=0.5 is not in \(1, inf\)")
    node = module.N(**sizes).double()
    node(random(5, 2, 4))
    raises(lambda: node(random(5, 2, 4)), r"call reset\(\) between sequences")


def test_channels_are_gathered_before_the_time_loop() -> None:
    """Once a block, not once a step."""
    manifest = neurodsl.load(TEXT).__manifest__
    text = manifest.sibling(".cpp").read_text(encoding="utf-8")
    block = text[text.index("void forward_block(") : text.index("void forward_blocks(")]
    assert block.index("a.inner % a.C]") < block.index("for (i64 t = 0; t < T; ++t)")
    inside = block[block.index("for (i64 t = 0; t < T; ++t)") :]
    assert "a.inner" not in inside
