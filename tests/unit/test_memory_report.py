"""memory_report counts exactly, and leaves no trace on the model."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import neurodsl
from neurodsl import compress_spikes, memory_report
from neurodsl.library import LIF, Izhikevich

T, B = 8, 4


class Steps(nn.Module):
    """A layer over the time steps and the batch at once."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def by_name(report: Any) -> dict[str, Any]:
    return {row.layer: row for row in report.rows}


@pytest.mark.parametrize("steps", [1, 16, 64])
def test_a_neuron_keeps_its_input_and_nothing_else(steps: int) -> None:
    """What the input is kept for counts 4 bytes a neuron-step; beyond it, 0; the initial state is a number."""
    x = torch.randn(steps, B, 512)
    row = by_name(memory_report(nn.Sequential(LIF()), x))["0"]
    assert row.plain == 4 * x.numel()
    assert row.elements == x.numel()


def test_a_state_that_goes_on_costs_one_step() -> None:
    node = LIF()
    x = torch.randn(T, B, 512, requires_grad=True)
    kept: dict[int, int] = {}
    node(x)

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = node(x)
    assert sum(kept.values()) == 4 * x.numel() + 4 * B * 512
    del y


@pytest.mark.parametrize("consumer", ["linear", "conv", "pooled", "two"])
def test_spikes_for_a_layer_cost_a_bit(consumer: str) -> None:
    spikes = T * B * 4 * 16 * 16
    layers = {
        "linear": [nn.Flatten(2), nn.Linear(4 * 16 * 16, 8)],
        "conv": [Steps(nn.Conv2d(4, 4, 3))],
        "pooled": [Steps(nn.AvgPool2d(2)), nn.Flatten(2), nn.Linear(4 * 8 * 8, 8)],
        "two": [Twice()],
    }
    model = nn.Sequential(Steps(nn.Conv2d(2, 4, 3, padding=1)), LIF(), *layers[consumer])
    report = memory_report(model, torch.randn(T, B, 2, 16, 16))
    rows = by_name(report)
    assert rows["1"].plain == rows["1"].compressed == 4 * spikes
    rest = [row for row in report.rows if row.layer[0] not in "01"]
    averages = (
        4 * spikes // 4 if consumer == "pooled" else 0
    )  # multiples of a quarter are no spikes
    assert sum(row.plain for row in rest) == 4 * spikes + averages
    assert sum(row.compressed for row in rest) == spikes // 8 + averages


class Twice(nn.Module):
    """Two layers that keep the same spikes, and one that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(1024, 8), nn.Linear(1024, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2)
        return self.one(x) + self.other(x) + self.one(x)


def test_a_layer_called_twice_has_one_row() -> None:
    layer = nn.Linear(64, 64)
    report = memory_report(nn.Sequential(layer, nn.Tanh(), layer), torch.randn(32, 64))
    rows = by_name(report)
    assert rows["0"].plain == 32 * 64 * 4  # its first input; its second is what Tanh keeps already
    assert rows["1"].plain == 32 * 64 * 4
    assert rows["0"].elements == 2 * 32 * 64
    assert len(report.rows) == 2


class Mixed(nn.Module):
    """Two inputs, one by name, operations of its own, a buffer, and a neuron of two states."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(32, 64)
        self.norm = nn.BatchNorm1d(64)
        self.drop = nn.Dropout(0.5)
        self.node = Izhikevich()
        self.calls: list[int] = []

    def forward(self, x: Tensor, *, scale: Tensor) -> Tensor:
        self.calls.append(len(x))
        self.seen = x
        h = self.drop(self.norm(self.linear(x.flatten(0, 1))))
        return self.node(h.unflatten(0, x.shape[:2]) * scale.exp())


@pytest.mark.parametrize("training", [True, False])
def test_nothing_of_the_model_changes(training: bool) -> None:
    model = Mixed().train(training)
    x, scale = torch.randn(T, B, 32), torch.randn(64)
    model(x[:3], scale=scale).sum().backward()
    before = copy.deepcopy(model.state_dict())
    buffers = [(buffer, buffer._version) for buffer in model.buffers()]
    grads = [(p.grad, p.grad.clone()) for p in model.parameters() if p.grad is not None]
    states = [getattr(model.node, name) for name in model.node.state_attributes]
    random = torch.get_rng_state()
    attributes = set(model.__dict__)
    report = memory_report(
        model, torch.randn(T, 2 * B, 32, generator=torch.Generator()), scale=scale
    )
    assert report.plain > 0
    assert torch.equal(torch.get_rng_state(), random)
    for (buffer, version), after in zip(buffers, model.buffers(), strict=True):
        assert after is buffer
        assert after._version == version
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    for (grad, value), p in zip(
        grads, [p for p in model.parameters() if p.grad is not None], strict=True
    ):
        assert p.grad is grad
        assert torch.equal(grad, value)
    assert len(states) == 2
    for name, state in zip(model.node.state_attributes, states, strict=True):
        assert getattr(model.node, name) is state
    assert model.calls == [3]
    assert set(model.__dict__) == attributes
    assert model.training == training
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())


def test_an_error_in_the_model_leaves_no_trace() -> None:
    model = nn.Sequential(nn.Linear(8, 16), LIF(), nn.Linear(99, 2))
    model[1](torch.randn(2, 3, 16))
    state = model[1].v
    with pytest.raises(RuntimeError):
        memory_report(model, torch.randn(T, B, 8))
    assert model[1].v is state
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    x = torch.randn(3, 8, requires_grad=True)
    assert torch.equal(torch.autograd.grad((x * x).sum(), x)[0], 2 * x)


def test_operations_between_layers_count_for_the_module_around_them() -> None:
    class Between(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(64, 64)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x).softmax(-1)

    rows = by_name(memory_report(nn.Sequential(Between()), torch.randn(32, 64)))
    assert rows["0"].plain == 32 * 64 * 4
    assert rows["0.linear"].plain == 32 * 64 * 4


def test_a_wrapped_model_is_counted_as_if_it_were_not() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 512), LIF(), nn.Linear(512, 8))
    x = torch.randn(T, B, 32)
    plain, wrapped = memory_report(model, x), memory_report(compress_spikes(model), x)
    assert (plain.plain, plain.compressed) == (wrapped.plain, wrapped.compressed)
    with compress_spikes():
        inside = memory_report(model, x)
    assert (plain.plain, plain.compressed) == (inside.plain, inside.compressed)


def test_the_table() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 512), LIF(), nn.Linear(512, 8))
    lines = str(memory_report(model, torch.randn(T, B, 32))).splitlines()
    assert lines[0].split()[:2] == ["layer", "kept"]
    assert lines[2].split() == ["1", "LIF", "65.54", "kB", "4.000", "65.54", "kB", "4.000"]
    assert lines[3].split() == ["2", "Linear", "65.54", "kB", "256.000", "2.05", "kB", "8.000"]
    assert lines[-1].split()[0] == "all"
    assert lines[-1].endswith("%")
    assert str(memory_report(nn.Identity(), torch.zeros(3))).splitlines()[-1].split() == [
        "all",
        "0",
        "B",
        "0",
        "B",
    ]


def test_checkpoints_keep_their_inputs() -> None:
    class Checkpointed(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return neurodsl.checkpoint(self.inner, x)

    block = Checkpointed(nn.Sequential(nn.Linear(512, 512), LIF()))
    model = nn.Sequential(nn.Linear(32, 512), LIF(), block, nn.Linear(512, 8))
    report = memory_report(model, torch.randn(T, B, 32))
    spikes = T * B * 512
    assert report.plain == 4 * T * B * 32 + 3 * 4 * spikes  # of the block the input alone
    assert report.compressed == 4 * T * B * 32 + 4 * spikes + 2 * spikes // 8
