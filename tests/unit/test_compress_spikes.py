"""Spikes as bits: the same gradients to the bit, from fewer bytes; what is not spikes is left alone."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import neurodsl
from neurodsl import PackedSpikes, compress_spikes, memory_report
from neurodsl.library import LIF
from neurodsl.memory import bits as bits_module
from neurodsl.memory.bits import DTYPES, pack_bits, unpack_bits


@pytest.fixture(params=["native", "torch"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extension and without it."""
    if request.param == "torch":
        monkeypatch.setattr(bits_module, "extension", lambda: None)


class Steps(nn.Module):
    """A layer over the time steps and the batch at once."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def convolutional() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        Steps(nn.Conv2d(2, 8, 3, padding=1)),
        LIF(),
        Steps(nn.MaxPool2d(2)),
        Steps(nn.Conv2d(8, 8, 3, padding=1)),
        LIF(learnable=("tau",)),
        Steps(nn.BatchNorm2d(8)),
        Steps(nn.AvgPool2d(2)),
        Steps(nn.Unfold(2)),
        nn.Flatten(2),
        Steps(nn.Linear(8 * 4, 32)),
        LIF(),
        Steps(nn.Linear(32, 5)),
    )


def gradients(
    model: nn.Module, x: Tensor, run: Callable[[nn.Module, Tensor], Tensor]
) -> list[Tensor]:
    for module in model.modules():
        if isinstance(module, LIF):
            module.reset()
    model.zero_grad()
    given = x.clone().requires_grad_()
    run(model, given).square().sum().backward()
    assert given.grad is not None
    return [given.grad, *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


def plainly(model: nn.Module, x: Tensor) -> Tensor:
    return model(x)


def compressed(model: nn.Module, x: Tensor) -> Tensor:
    with compress_spikes():
        return model(x)


def under_autocast(model: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return model(x).float()


def autocast_compressed(model: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return compressed(model, x).float()


def checkpointed(model: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(model, nn.Sequential)
    with compress_spikes():
        return model[2:](checkpoint(model[:2], x, use_reentrant=False))


X = 2 * torch.randn(4, 3, 2, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("run", "against"),
    [(compressed, plainly), (autocast_compressed, under_autocast), (checkpointed, plainly)],
    ids=["alone", "autocast", "checkpoint"],
)
def test_gradients_are_the_same_to_the_bit(
    run: Callable[[nn.Module, Tensor], Tensor], against: Callable[[nn.Module, Tensor], Tensor]
) -> None:
    model = convolutional()
    expected, found = gradients(model, X, against), gradients(model, X, run)
    assert len(expected) == len(found) > 6
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one, other)
    assert any(bool(g.abs().sum() > 0) for g in expected[:2])


def test_a_wrapped_module_does_the_same() -> None:
    model = convolutional()
    wrapped = compress_spikes(model)
    assert isinstance(wrapped, nn.Module)
    again = pickle.loads(pickle.dumps(copy.deepcopy(wrapped)))
    expected = gradients(model, X, plainly)
    for one in (wrapped, again):
        assert all(
            torch.equal(a, b) for a, b in zip(expected, gradients(one, X, plainly), strict=True)
        )


def test_a_layer_fed_by_spikes_keeps_an_eighth_of_a_byte() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 512), LIF(), nn.Linear(512, 512))
    report = memory_report(model, 2 * torch.randn(8, 16, 32))
    spikes = 8 * 16 * 512
    linear = next(row for row in report.rows if row.layer == "2")
    assert linear.plain == 4 * spikes
    assert linear.compressed == spikes // 8
    neuron = next(row for row in report.rows if row.layer == "1")
    assert neuron.plain == 4 * spikes  # its input, and nothing else
    assert "12.5" not in str(report).splitlines()[0]
    assert str(report).splitlines()[-1].startswith("all")


def test_one_tensor_is_packed_once() -> None:
    x = (torch.rand(64, 64) < 0.5).float()
    from neurodsl.memory.compress import Packed, Packer

    packer = Packer()
    kept = [packer.pack(x), packer.pack(x.flatten()), packer.pack(x.t())]
    assert all(isinstance(one, Packed) for one in kept)
    assert len({id(one.bits) for one in kept}) == 1
    for one, expected in zip(kept, (x, x.flatten(), x.t()), strict=True):
        assert torch.equal(packer.unpack(one), expected)
    x[0, 0] = 1 - x[0, 0]
    again = packer.pack(x)
    assert again.bits is not kept[0].bits
    assert torch.equal(packer.unpack(again), x)


def test_a_freed_address_is_not_taken_for_the_tensor_that_was_there() -> None:
    from neurodsl.memory.compress import Packer

    packer = Packer()
    for seed in range(200):
        x = (torch.rand(2048, generator=torch.Generator().manual_seed(seed)) < 0.3).float()
        kept = packer.pack(x)
        assert torch.equal(packer.unpack(kept), x)
        if seed % 3:
            del x


@pytest.mark.parametrize("values", [[0.0, 1.0, 0.5], [0.0, -0.0], [1.0, float("nan")], [2.0, 1.0]])
@pytest.mark.usefixtures("either_way")
def test_other_values_are_left_alone(values: list[float]) -> None:
    from neurodsl.memory.compress import Packer, Unpacked

    x = torch.zeros(3000)
    x[-len(values) :] = torch.tensor(values)
    assert isinstance(Packer().pack(x), Unpacked)
    if values[1] == 0:  # PackedSpikes does not keep the sign of -0.0
        assert torch.equal(PackedSpikes.pack(x).unpack(), x)
        return
    with pytest.raises(ValueError, match="other than 0 and 1"):
        PackedSpikes.pack(x)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("count", [0, 1, 7, 8, 63, 64, 65, 1000, 70001])
def test_bits_come_back(dtype: torch.dtype, count: int) -> None:
    x = (torch.rand(count, generator=torch.Generator().manual_seed(count)) < 0.3).to(dtype)
    bits = pack_bits(x)
    assert bits is not None
    assert bits.numel() == (count + 7) // 8
    for first in (0, 1, 5, 8, 64, 67):
        if first <= count:
            assert torch.equal(unpack_bits(bits, first, count - first, dtype), x[first:])
    numbers = [
        sum(int(v) << place for place, v in enumerate(x[i : i + 8]))
        for i in range(0, min(count, 64), 8)
    ]
    assert bits[: len(numbers)].tolist() == numbers


@pytest.mark.parametrize("spikes", ["uint8", "bits"])
@pytest.mark.parametrize("shape", [(3, 2, 5), (40, 4, 700), (9, 1, 3, 33, 41)])
def test_spikes_in_another_form_are_the_same_spikes(spikes: str, shape: tuple[int, ...]) -> None:
    x = 2 * torch.randn(shape, generator=torch.Generator().manual_seed(2))
    plain, other = LIF(), LIF(spikes=spikes)
    with torch.no_grad():
        for part in (x, x[: shape[0] // 2]):
            expected, found = plain(part), other(part)
            if spikes == "bits":
                assert isinstance(found, PackedSpikes)
                assert found.nbytes == (part.numel() + 7) // 8
                found = found.unpack()
            else:
                assert found.dtype is torch.uint8
            assert torch.equal(found.float(), expected)
            assert torch.equal(other.v, plain.v)


def test_spikes_in_another_form_carry_no_gradient() -> None:
    node = LIF(spikes="bits")
    with pytest.raises(neurodsl.runtime.errors.UnsupportedError, match="no_grad"):
        node(torch.randn(3, 2, 5, requires_grad=True))
    with pytest.raises(ValueError, match="spikes"):
        LIF(spikes="bit")


def test_a_report_counts_every_storage_once() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    report = memory_report(model, torch.randn(32, 64))
    # Linear keeps its input; ReLU keeps its output, which the second Linear keeps too.
    assert report.plain == 2 * 32 * 64 * 4
    assert report.compressed == report.plain
    assert [row.layer for row in report.rows] == ["0", "1", "2"]
