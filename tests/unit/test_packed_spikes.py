"""PackedSpikes, and neurons whose outputs take a byte or a bit a spike."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import neurodsl
from neurodsl import PackedSpikes
from neurodsl.library import LI, LIF, TernaryLIF
from neurodsl.runtime import attributes, forms

TEXTS = {
    "two outputs": """neuron Two:
    input x
    output s, q
    state v = 0
    charge:
        v = 0.5 * v + x
    fire:
        s = spike(v - 1, atan(alpha=2.0))
        q = spike(0 - v, atan(alpha=2.0))
    reset:
        v = 0 if s else v
""",
    "noise": """neuron Noisy:
    input x
    output s
    state v = 0
    noise e ~ normal(0, 1)
    charge:
        v = 0.5 * v + x + e
    fire:
        s = spike(v - 1, atan(alpha=2.0))
    reset:
        v = 0 if s else v
""",
    "time": """neuron Timed:
    input x
    output s
    param w[time] = 1.0
    state v = 0
    charge:
        v = 0.5 * v + w * x
    fire:
        s = spike(v - 1 + 0.1 * t, atan(alpha=2.0))
    reset:
        v = 0 if s else v
""",
    "membrane": """neuron Seen:
    input x
    output s, v
    state v = 0
    charge:
        v = 0.5 * v + x
    fire:
        s = spike(v - 1, atan(alpha=2.0))
    reset:
        v = 0 if s else v
""",
}


def made(name: str, **options: Any) -> Any:
    """A neuron of a text; where it has a param of the time, one that changes."""
    module = neurodsl.load(TEXTS[name])
    given = {"w": torch.linspace(0.5, 2, 21)} if name == "time" else {}
    return getattr(module, TEXTS[name].split()[1].rstrip(":"))(**given, **options)


def as_float(output: Any) -> Tensor:
    return (output.unpack() if isinstance(output, PackedSpikes) else output).float()


@pytest.fixture
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small tensors go in many stretches."""
    monkeypatch.setattr(forms, "STRETCH_BYTES", 256)


@pytest.mark.usefixtures("short_stretches")
@pytest.mark.parametrize("spikes", ["uint8", "bits"])
@pytest.mark.parametrize("name", ["two outputs", "noise", "time"])
def test_any_neuron_gives_the_same_spikes(name: str, spikes: str) -> None:
    x = 2 * torch.randn(21, 3, 37, generator=torch.Generator().manual_seed(0))
    plain, other = made(name), made(name, spikes=spikes)
    for part in (x, x):  # states go on
        results = []
        for node in (plain, other):
            torch.manual_seed(3)
            found = node(part)
            results.append([as_float(y) for y in (found if isinstance(found, tuple) else (found,))])
        for one, y in zip(*results, strict=True):
            assert torch.equal(one, y)
            assert 0 < one.mean() < 1
        if name == "time":
            break  # it has as many steps as its param
    assert torch.equal(plain.v, other.v)


@pytest.mark.usefixtures("short_stretches")
@pytest.mark.parametrize("spikes", ["uint8", "bits"])
@pytest.mark.parametrize(
    "shape", [(0, 2, 5), (3, 0, 5), (1, 1, 1), (17, 1, 3), (5, 2, 3, 7, 1), (9, 8)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_any_size(shape: tuple[int, ...], dtype: torch.dtype, spikes: str) -> None:
    x = (3 * torch.randn(shape, generator=torch.Generator().manual_seed(1))).to(dtype)
    found, expected = LIF(spikes=spikes)(x), LIF()(x)
    assert found.shape == expected.shape
    assert found.dtype is (dtype if spikes == "bits" else torch.uint8)
    assert torch.equal(as_float(found), expected.float())


@pytest.mark.parametrize("spikes", ["uint8", "bits"])
def test_one_step_a_call_and_recording(spikes: str) -> None:
    x = 2 * torch.randn(5, 3, 7, generator=torch.Generator().manual_seed(2))
    expected = LIF()(x)
    node = LIF(step_mode="s", spikes=spikes, record=("v",))
    assert torch.equal(torch.stack([as_float(node(step)) for step in x]), expected)
    assert node.v_seq.shape == x.shape


@pytest.mark.usefixtures("short_stretches")
def test_an_output_that_is_no_spikes_is_an_error_and_leaves_the_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attributes, "_fires_only", lambda _: True)
    node = made("membrane", spikes="bits")
    with pytest.raises(ValueError, match="Seen: an output holds values other than 0 and 1"):
        node(torch.randn(9, 2, 37))
    assert node.v is None


@pytest.mark.parametrize("spikes", ["uint8", "bits"])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (TernaryLIF, "TernaryLIF: spikes='.*' is for outputs that are spikes of 0 or 1"),
        (LI, "more than that: v"),
        (lambda **options: LIF(spiking=False, **options), "more than that: s"),
        (lambda **options: made("membrane", **options), "more than that: s, v"),
    ],
    ids=["ternary", "leaky integrator", "smooth", "membrane"],
)
def test_neurons_without_spikes_of_0_and_1_are_refused(
    make: Callable[..., Any], words: str, spikes: str
) -> None:
    with pytest.raises(ValueError, match=words):
        make(spikes=spikes)
    node = make()
    with pytest.raises(ValueError, match=words):
        node.spikes = spikes


def test_inputs_that_do_not_fit_say_so_as_without_it() -> None:
    with pytest.raises(TypeError, match="x"):
        LIF(spikes="bits")(torch.zeros(3, 4, dtype=torch.long))
    node = LIF(spikes="bits")
    node(torch.zeros(3, 4, 5))
    with pytest.raises(ValueError, match="reset"):
        node(torch.zeros(3, 4, 6))
    with pytest.raises(ValueError, match=r"bits.*float32|float32.*bits"):
        LIF(spikes="one bit")


def test_the_stretch_is_whole_bytes() -> None:
    for shape in ((64, 1 << 20), (64, 3, 7), (64, 1000), (64, 1 << 18)):
        x = torch.empty(0).expand(0) if not shape else torch.empty(shape, device="meta")
        steps = forms._steps_at_once(x)
        neurons = x[0].numel()
        assert steps * neurons % 8 == 0
        assert steps == 1 or neurons % 8 or steps * neurons * 4 <= forms.STRETCH_BYTES


@pytest.mark.parametrize(
    "wanted", [None, torch.float16, torch.float64, torch.bool, torch.int64, torch.uint8]
)
def test_unpacking_into_any_dtype(wanted: torch.dtype | None) -> None:
    x = (torch.rand(3, 5, 7) < 0.3).float()
    packed = PackedSpikes.pack(x)
    found = packed.unpack(wanted)
    assert found.dtype is (wanted or torch.float32)
    assert torch.equal(found.float(), x)


@pytest.mark.parametrize(
    "view",
    [lambda x: x.t(), lambda x: x[:, ::3], lambda x: x[:1].expand(5, -1), lambda x: x[0, 0]],
    ids=["transposed", "strided", "expanded", "scalar"],
)
def test_packing_any_view(view: Callable[[Tensor], Tensor]) -> None:
    x = view((torch.rand(11, 13) < 0.3).float())
    packed = PackedSpikes.pack(x)
    assert packed.nbytes == (x.numel() + 7) // 8
    assert torch.equal(packed.unpack(), x)
    assert torch.equal(pickle.loads(pickle.dumps(packed)).unpack(), x)
    assert torch.equal(packed.to("cpu").unpack(), x)
    assert str(tuple(x.shape)) in repr(packed)


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.int64, torch.int8, torch.uint8, torch.float16, torch.float8_e4m3fn]
)
def test_packing_any_dtype(dtype: torch.dtype) -> None:
    x = (torch.rand(11, 13) < 0.3).float()
    packed = PackedSpikes.pack(x.to(dtype))
    assert packed.dtype is dtype
    assert packed.unpack().dtype is dtype
    assert torch.equal(packed.unpack(torch.float32), x)


def test_packing_negative_zero_and_another_dtype() -> None:
    packed = PackedSpikes.pack(torch.tensor([-0.0, 1.0, 0.0])).to(torch.float64)
    assert packed.unpack().dtype is torch.float64
    assert packed.unpack().tolist() == [0, 1, 0]
    assert not packed.unpack().signbit().any()


def test_what_cannot_be_packed_says_why() -> None:
    with pytest.raises(TypeError, match="spikes must be a tensor, not list"):
        PackedSpikes.pack([0, 1])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="complex64"):
        PackedSpikes.pack(torch.zeros(3, dtype=torch.complex64))
    with pytest.raises(ValueError, match="other than 0 and 1"):
        PackedSpikes.pack(torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="other than 0 and 1"):
        PackedSpikes.pack(torch.tensor([0.0, 2.0]))
    with pytest.raises(ValueError, match=r"want uint8 \(2,\)"):
        PackedSpikes(torch.zeros(1, dtype=torch.uint8), (3, 3), torch.float32)
