"""neurodsl.checkpoint: the same gradients; neurons begin again where they began; buffers are left alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as pytorch_checkpoint

import neurodsl
from neurodsl.library import LIF, LISNN

X = 2 * torch.randn(6, 5, 32, generator=torch.Generator().manual_seed(0))


class Normed(nn.Module):
    """A normalisation over time steps and batch."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(64)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Linear(32, 64), Normed(), LIF(), nn.Linear(64, 64), LIF(record=("v",))),
        nn.Sequential(nn.Dropout(0.2), nn.Linear(64, 64), Normed(), LIF(learnable=("tau",))),
        nn.Linear(64, 4),
    )


def plainly(model: nn.Sequential, x: Tensor) -> Tensor:
    return model(x)


def checkpointed(model: nn.Sequential, x: Tensor) -> Tensor:
    return model[2](neurodsl.checkpoint(model[1], neurodsl.checkpoint(model[0], x)))


def results(run: Callable[..., Tensor], block: Any, chunks: int) -> list[Tensor]:
    """Gradients, buffers and states after `chunks` calls that hand their states on."""
    model = network()
    torch.manual_seed(1)
    with block:
        total = torch.zeros(())
        for chunk in X.chunk(chunks):
            total = total + run(model, chunk).square().sum()
    total.backward()
    found = [p.grad for p in model.parameters()]
    found += [*model.buffers(), model[0][2].v, model[0][4].v, model[0][4].v_seq, model[1][3].v]
    assert all(value is not None for value in found)
    return found


@pytest.mark.parametrize("chunks", [1, 3])
@pytest.mark.parametrize("compressed", [False, True])
def test_everything_is_the_same_to_the_bit(chunks: int, compressed: bool) -> None:
    block = neurodsl.compress_spikes() if compressed else nullcontext()
    expected, found = results(plainly, nullcontext(), chunks), results(checkpointed, block, chunks)
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one, other)
    assert any(bool(g.abs().sum() > 0) for g in expected[:2])


def test_pytorch_alone_would_begin_from_other_states() -> None:
    """The reason why there is a checkpoint of ours; if this fails, it has none any more."""

    def alone(model: nn.Sequential, x: Tensor) -> Tensor:
        x = x.requires_grad_()
        return model[2](model[1](pytorch_checkpoint(model[0], x, use_reentrant=True)))

    expected, found = results(plainly, nullcontext(), 1), results(alone, nullcontext(), 1)
    assert not torch.equal(expected[0], found[0])


@pytest.mark.parametrize("reentrant", [False, True])
def test_pytorchs_checkpoints_compose_where_neurons_are_reset(reentrant: bool) -> None:
    class Whole(nn.Module):
        """Whole sequences: neurons forget before each."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(32, 64), LIF(), nn.Linear(64, 64), LIF())

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                if isinstance(layer, LIF):
                    layer.reset()
            return self.layers(x)

    torch.manual_seed(0)
    model, last = Whole(), nn.Linear(64, 4)
    parameters = [*model.parameters(), *last.parameters()]

    def gradients(run: Callable[[Tensor], Tensor]) -> list[Tensor]:
        for p in parameters:
            p.grad = None
        x = X.clone().requires_grad_()
        run(x).square().sum().backward()
        assert x.grad is not None
        return [x.grad, *(p.grad.clone() for p in parameters)]

    def composed(x: Tensor) -> Tensor:
        with neurodsl.compress_spikes():
            return last(pytorch_checkpoint(model, x, use_reentrant=reentrant))

    for one, other in zip(gradients(lambda x: last(model(x))), gradients(composed), strict=True):
        assert torch.equal(one, other)


def test_feedback_begins_again_too() -> None:
    def run(through: Callable[..., Tensor]) -> list[Tensor]:
        torch.manual_seed(0)
        node = LISNN(y=nn.Conv2d(3, 3, 3, padding=1, groups=3))
        model = nn.Sequential(node, LIF())
        x = (2 * torch.rand(4, 2, 3, 8, 8)).requires_grad_()
        first = through(model, x).sum()
        (first + through(model, x).square().sum()).backward()
        return [x.grad, node.y.weight.grad]

    expected = run(lambda model, x: model(x))
    for one, other in zip(expected, run(neurodsl.checkpoint), strict=True):
        assert torch.equal(one, other)


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(TypeError, match="takes a module"):
        neurodsl.checkpoint(torch.tanh, X)  # type: ignore[arg-type]
