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
    assert torch.equal(
        found, expected
    )  # a convolution's sums may come in another order; here they do not matter
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


@pytest.mark.parametrize("kernel", [(5, 5), (3, 7), (1, 1)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"detach_reset": True}, {"save": "membrane"}, {"save": "all"}]
)
def test_the_stencil_is_the_loop(
    options: dict[str, Any], bias: bool, kernel: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every gradient, over two calls that go on from each other, with learnable params and the last state used."""
    from neurodsl.runtime import module as runtime

    given = dict(options)
    save = given.pop("save", "inputs")
    cls = neurodsl.load("LISNN", save=save).LISNN
    torch.manual_seed(0)
    padding = (kernel[0] // 2, kernel[1] // 2)
    module = nn.Conv2d(3, 3, kernel, padding=padding, groups=3, bias=bias).double()
    x = torch.randn(6, 2, 3, 9, 7, dtype=torch.float64)
    used: list[bool] = []
    real = runtime.is_stencil

    def asked(module: nn.Module, x: Tensor) -> bool:
        used.append(real(module, x))
        return used[-1]

    outcomes = []
    for stencil in (True, False):
        with monkeypatch.context() as patch:
            if stencil:
                patch.setattr(runtime, "is_stencil", asked)
            else:
                patch.setattr(runtime, "is_stencil", lambda *_: False)
            node = cls(
                y=copy.deepcopy(module), learnable=("decay", "v_threshold"), record=("v",), **given
            )
            node = node.double()
            leaf = x.clone().requires_grad_()
            values = [node(leaf), node.v_seq, node(leaf * 0.7), node.v]
            generator = torch.Generator().manual_seed(1)
            loss = sum(
                (y * torch.randn(y.shape, generator=generator, dtype=y.dtype)).sum() for y in values
            )
            assert isinstance(loss, Tensor)
            loss.backward()
            outcomes.append(
                [*(y.detach() for y in values), leaf.grad, *(p.grad for p in node.parameters())]
            )
    assert used == [True, True]
    for mine, theirs in zip(*outcomes, strict=True):
        assert mine is not None
        assert theirs is not None
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


def test_what_is_no_stencil_takes_the_loop() -> None:
    """A hook that wants to see the spikes sees them; other convolutions are right, too."""
    seen: list[Tensor] = []
    watched = conv(3)
    watched.register_forward_hook(lambda _module, given, _made: seen.append(given[0]))
    x = torch.randn(4, 2, 3, 6, 6)
    LISNN(y=watched)(x)
    assert len(seen) == 3
    torch.manual_seed(0)
    for other in (
        nn.Conv2d(3, 3, 3, padding=1),
        nn.Conv2d(3, 3, 3, padding=1, groups=3, padding_mode="circular"),
        nn.Conv2d(3, 3, 3, padding=2, dilation=2, groups=3),
    ):
        assert torch.equal(LISNN(y=other)(x), by_hand(other, x))


def test_the_stencil_of_nothing() -> None:
    for shape in ((0, 2, 3, 6, 6), (4, 0, 3, 6, 6)):
        assert LISNN(y=conv(3))(torch.zeros(shape)).shape == shape


def test_the_stencil_goes_on_from_what_inference_mode_left() -> None:
    x, found = torch.randn(4, 2, 3, 8, 8, generator=torch.Generator().manual_seed(2)), []
    node = LISNN(y=conv(3), backend="fused")
    for mode in (torch.no_grad, torch.inference_mode):
        node.reset()
        with mode():
            node(x)
        given = x.clone().requires_grad_()
        node(given).sum().backward()
        found.append(given.grad)
    assert torch.equal(*found)
