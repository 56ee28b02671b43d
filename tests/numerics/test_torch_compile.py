"""`torch.compile(fullgraph=True)` over a fused neuron: the same spikes and the same gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from neurodsl import PackedSpikes
from neurodsl.library import LIF, PLIF, SoftLIF
from neurodsl.runtime.errors import UnsupportedError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def fresh() -> Any:
    """Nothing that an earlier test traced."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def _losses(node: nn.Module, run: Any, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    x = x.clone().requires_grad_()
    spikes = run(x)
    weights = torch.linspace(-1, 1, spikes.numel()).view_as(spikes)
    params = [p for p in node.parameters() if p.requires_grad]
    gradients = torch.autograd.grad((spikes * weights).sum(), [x, *params])
    return spikes.detach(), *gradients


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
@pytest.mark.parametrize("make", [LIF, PLIF, SoftLIF, lambda: LIF(learnable=("tau",), v_reset=0.1)])
def test_compiled_equals_eager(make: Any, backend: str) -> None:
    torch.manual_seed(0)
    node, x = make(), torch.rand(6, 3, 37) * 2
    expected = _losses(node, node, x)
    node.reset()
    got = _losses(node, torch.compile(node, fullgraph=True, backend=backend), x)
    assert all(torch.equal(a, b) for a, b in zip(expected, got, strict=True))


def test_compiled_without_gradient_keeps_the_state() -> None:
    node, x = LIF(), torch.rand(5, 2, 9)
    with torch.no_grad():
        first = node(x), node(x), node.v
        node.reset()
        compiled = torch.compile(node, fullgraph=True, backend="aot_eager")
        again = compiled(x), compiled(x), node.v
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("step_mode", ["m", "s"])
def test_compiled_call_after_call(step_mode: str) -> None:
    eager, node = LIF(step_mode=step_mode), LIF(step_mode=step_mode)
    compiled = torch.compile(node, fullgraph=True, backend="aot_eager")
    for x in torch.rand(14, 3, 2, 9) * 2:
        assert torch.equal(eager(x), compiled(x))
    assert torch.equal(eager.v, node.v)


def test_compiled_in_a_network() -> None:
    torch.manual_seed(0)
    node = LIF(record=("v",), detach_reset=True)
    network = nn.Sequential(nn.Linear(8, 16), node, nn.Linear(16, 4))
    x = torch.rand(5, 2, 8)
    expected = _losses(network, network, x)
    node.reset()
    got = _losses(network, torch.compile(network, fullgraph=True, backend="aot_eager"), x)
    for a, b in zip(expected, got, strict=True):
        torch.testing.assert_close(a, b)
    assert node.v_seq.shape == (5, 2, 16)


def test_the_operators_pass_pytorchs_own_check() -> None:
    node = LIF(learnable=("tau",))
    x = torch.rand(4, 2, 5, requires_grad=True)
    node(x)
    text = node._kernels.setup_text((0,), 0, (), False)
    tensors = [x, torch.zeros(2, 5, requires_grad=True), torch.tensor(2.0, requires_grad=True)]
    operator = torch.ops.neurodsl.forward.default
    numbers = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0]
    arguments = (tensors, numbers, node._kernels.name, text, 0, True)
    checked = ("test_schema", "test_faketensor", "test_autograd_registration")
    torch.library.opcheck(operator, arguments, test_utils=checked)


def test_a_second_derivative_is_an_error() -> None:
    compiled = torch.compile(LIF(spiking=False), fullgraph=True, backend="eager")
    x = torch.rand(4, 2, 5, requires_grad=True)
    (first,) = torch.autograd.grad(compiled(x).sum(), x, create_graph=True)
    with pytest.raises(UnsupportedError, match=r"FusedLIF: .* differentiated twice"):
        first.square().sum().backward()


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
@pytest.mark.parametrize("spikes", ["uint8", "bits"])
def test_spikes_in_a_byte_or_a_bit(spikes: str, backend: str) -> None:
    expected, node = LIF(), LIF(spikes=spikes)
    compiled = torch.compile(node, fullgraph=True, backend=backend)
    for x in torch.rand(2, 6, 3, 7) * 2:
        found = compiled(x)
        assert isinstance(found, PackedSpikes if spikes == "bits" else torch.Tensor)
        floats = found.unpack() if spikes == "bits" else found.float()
        assert torch.equal(floats, expected(x))
    assert torch.equal(node.v, expected.v)


def test_packing_within_what_is_compiled() -> None:
    def there_and_back(x: torch.Tensor) -> torch.Tensor:
        return PackedSpikes.pack(x > 1).unpack(torch.float32)

    x = torch.rand(6, 3, 7) * 2
    compiled = torch.compile(there_and_back, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), (x > 1).float())
