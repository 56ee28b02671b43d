"""Feedback through a module: against a loop written by hand, states, errors."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import neurodsl
from neurodsl.library import LISNN, LISNNLIF
from neurodsl.runtime import functions as fn

RECURRENT = """\
neuron Recurrent:
    input  x
    output v
    param decay = 0.5 learnable
    feedback y from s
    state v = 0

    charge:
        v = decay * v + x + y
    fire:
        s = spike(v - 1)
    reset:
        v = v - s
"""


def conv(channels: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(channels, channels, 5, padding=2, groups=channels)


def by_hand(module: nn.Module, x: Tensor) -> Tensor:
    """LISNN as anybody would write it."""
    rect = LISNN.trace.__globals__["_rect"]
    v = s = torch.zeros_like(x[0])
    rows = []
    for t in range(x.shape[0]):
        y = module(s) if t else torch.zeros_like(x[0])
        v = v * 0.2 * (1 - s) + x[t] + y
        s = fn.spike(v - 0.5, v > 0.5, rect, (1.0,), True)
        rows.append(s)
    return torch.stack(rows)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_lisnn_is_the_loop(backend: str, dtype: torch.dtype) -> None:
    x = torch.randn(6, 2, 3, 8, 8, generator=torch.Generator().manual_seed(1)).to(dtype)
    upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(2)).to(dtype)
    module = conv(3).to(dtype)
    node = LISNN(y=copy.deepcopy(module), backend=backend).to(dtype)
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    found, expected = node(a), by_hand(module, b)
    assert torch.equal(found, expected)
    found.backward(upstream)
    expected.backward(upstream)
    tolerance = 1e-5 if dtype is torch.float32 else 1e-11
    pairs = [
        (a.grad, b.grad),
        *((node.get_parameter(f"y.{n}").grad, p.grad) for n, p in module.named_parameters()),
    ]
    for mine, theirs in pairs:
        assert mine is not None
        assert theirs is not None
        assert float((mine - theirs).norm()) <= tolerance * float(theirs.norm())


@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_calls_go_on_from_each_other(backend: str) -> None:
    """The last spike is a hidden state: two calls are one."""
    module = neurodsl.load(RECURRENT)
    x = torch.randn(8, 2, 6, generator=torch.Generator().manual_seed(1)) + 0.5
    torch.manual_seed(0)
    layer = nn.Linear(6, 6)
    whole = module.Recurrent(y=layer, backend=backend)(x)
    node = module.Recurrent(y=layer, backend=backend)
    assert torch.equal(torch.cat([node(x[:3]), node(x[3:])]), whole)
    node.reset()
    assert torch.equal(node(x), whole)
    single = module.Recurrent(y=layer, backend=backend, step_mode="s")
    assert torch.equal(torch.stack([single(row) for row in x]), whole)


def test_functional_has_hidden_states_last() -> None:
    x = torch.randn(8, 2, 6, generator=torch.Generator().manual_seed(1)) + 0.5
    node = neurodsl.load(RECURRENT).Recurrent(y=nn.Linear(6, 6))
    outputs, states = node.functional(x)
    assert len(outputs) == 1
    assert len(states) == 2
    half, middle = node.functional(x[:4])
    rest, ends = node.functional(x[4:], middle)
    assert torch.equal(torch.cat([half[0], rest[0]]), outputs[0])
    assert all(torch.equal(a, b) for a, b in zip(ends, states, strict=True))


def test_at_the_first_step_the_module_is_not_called() -> None:
    class Count(nn.Module):
        calls = 0

        def forward(self, s: Tensor) -> Tensor:
            self.calls += 1
            return s + 1

    count = Count()
    node = neurodsl.load(RECURRENT).Recurrent(y=count)
    node(torch.zeros(5, 2, 3))
    assert count.calls == 4


def test_module_citizenship() -> None:
    node = LISNN(y=conv(2))
    assert set(dict(node.named_parameters())) == {"y.weight", "y.bias"}
    node(torch.rand(3, 1, 2, 6, 6))
    for other in (copy.deepcopy(node), pickle.loads(pickle.dumps(node))):
        x = torch.rand(2, 1, 2, 6, 6)
        assert torch.equal(other(x), copy.deepcopy(node)(x))
    node.detach_states()
    node.reset()
    for parameter in node.parameters():
        nn.init.zeros_(parameter)
    x = torch.rand(4, 1, 2, 6, 6)
    assert torch.equal(node(x), LISNNLIF()(x))


@pytest.mark.parametrize(
    ("module", "error", "words"),
    [
        (None, TypeError, r"y is missing: hand in the nn\.Module"),
        (torch.relu, TypeError, "y is a builtin"),
        (nn.Conv2d(2, 2, 3), ValueError, "padding"),
    ],
)
def test_errors_say_what_to_hand_in(module: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        LISNN(y=module)(torch.rand(3, 1, 2, 6, 6))
