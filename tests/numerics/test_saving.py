"""What forward keeps for backward: nothing, checkpoints for many steps, a cut of each step in four bytes or in two."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import neurodsl
from neurodsl.library import names
from neurodsl.tools.making import filled_in

EVERY = 32


def gradients(node: Any, inputs: list[Tensor], upstream: Tensor) -> list[Tensor]:
    wanted = [*inputs, *node.parameters()]
    output = node(*inputs)
    output = output[0] if isinstance(output, tuple) else output
    found = torch.autograd.grad((output * upstream).sum(), wanted, allow_unused=True)
    return [output.detach(), *(torch.zeros(()) if g is None else g for g in found)]


def made(neuron: str, steps: int, neurons: int, **options: Any) -> tuple[Any, list[Tensor], Tensor]:
    module = neurodsl.load(neuron, **options)
    manifest = module.__manifest__["neurons"][neuron]
    node = getattr(module, neuron)(**filled_in(manifest, steps, neurons)).double()
    random = torch.Generator().manual_seed(1)
    count = len(node.definition.inputs)
    shape = (steps, 1, neurons)
    inputs = [
        (0.8 * torch.randn(shape, generator=random, dtype=torch.float64) + 0.3).requires_grad_()
        for _ in range(count)
    ]
    return node, inputs, torch.randn(shape, generator=random, dtype=torch.float64)


def kept_rows(node: Any, inputs: list[Tensor]) -> set[int]:
    """First sizes of what autograd keeps besides the inputs."""
    seen: set[int] = set()
    given = {x.untyped_storage().data_ptr() for x in inputs}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in given and tensor.dim():
            seen.add(tensor.shape[0])
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        node(*inputs)
    node.reset()
    return seen


CHECKPOINTED = [
    pytest.param(name, marks=[] if name in ("LIF", "Izhikevich", "CubaLI") else pytest.mark.full)
    for name in names()
]


@pytest.mark.parametrize("neuron", CHECKPOINTED)
def test_checkpoints_change_no_bit(neuron: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Backward from checkpoints, against backward from the first step; around multiples of their distance."""
    from neurodsl.runtime import launch

    for steps in (EVERY - 1, EVERY, EVERY + 1, 2 * EVERY, 3 * EVERY + 5):
        found = []
        for above in (10**9, 0):
            rows = lambda self, count, above=above: (  # noqa: E731
                count if self.every == 1 else -(-count // self.every) - 1 if count > above else 0
            )
            monkeypatch.setattr(launch.Saved, "rows", rows)
            monkeypatch.setattr("neurodsl.runtime.native.extension", lambda: None)
            node, inputs, upstream = made(neuron, steps, 200)
            found.append(gradients(node, inputs, upstream))
        for without, with_them in zip(*found, strict=True):
            torch.testing.assert_close(with_them, without, rtol=0, atol=0, equal_nan=True)


def test_nothing_is_kept_up_to_64_steps_and_checkpoints_beyond() -> None:
    for neuron in ("LIF", "Izhikevich", "AdEx"):
        entries = neurodsl.load(neuron, save="inputs").__manifest__["neurons"][neuron]["kernels"]
        train = next(e for e in entries if e["pass"] == "forward_train" and e["target"] == "cpp")
        (above,) = {a["above"] for a in train["arguments"] if a["role"] == "saved"}
        assert above >= 64
        node, inputs, _ = made(neuron, 64, 96, save="inputs")
        assert not kept_rows(node, inputs)
        node, inputs, _ = made(neuron, above + 1, 96, save="inputs")
        assert kept_rows(node, inputs) == {-(-(above + 1) // EVERY) - 1}


@pytest.mark.parametrize("native", ["1", "0"])
def test_long_sequences_are_the_reference_s(native: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 steps: checkpoints are in use, in C++ and from Python."""
    if native == "0":
        monkeypatch.setattr("neurodsl.runtime.native.extension", lambda: None)
    node, inputs, upstream = made("LIF", 1000, 70)
    assert kept_rows(node, inputs) == {31}
    found = gradients(node, inputs, upstream)
    reference = neurodsl.load("LIF").LIF(backend="reference").double()
    expected = gradients(reference, inputs, upstream)
    assert torch.equal(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("neuron", ["LIF", "SoftLIF", "PLIF", "TernaryIF", "ALIF", "SoftLIAF"])
def test_two_bytes_a_value(neuron: str) -> None:
    """The same outputs; gradients within what 8 bits of a distance are worth, under surrogates without jumps."""
    if neuron not in names():
        pytest.fail(f"the library has no {neuron}")
    exact, inputs, upstream = made(neuron, 8, 3000, save="membrane")
    half, _, _ = made(neuron, 8, 3000, save="bfloat16")
    expected, found = gradients(exact, inputs, upstream), gradients(half, inputs, upstream)
    assert torch.equal(found[0], expected[0])
    for a, b in zip(found[1:], expected[1:], strict=True):
        assert float((a - b).norm()) <= 5e-3 * max(float(b.norm()), 1e-6)
    assert any(not torch.equal(a, b) for a, b in zip(found[1:], expected[1:], strict=True))


def test_two_bytes_keep_which_side_of_the_threshold() -> None:
    """Just below, at, and just above: the reset's arm in backward is the one taken in forward."""
    below = torch.nextafter(torch.tensor(2.0), torch.tensor(0.0))
    tiny = torch.tensor([2.0, float(below), 2.0 + 2**-20, 1.999, 0.0, 5.0])
    x = tiny.reshape(1, 1, -1).repeat(2, 1, 1).requires_grad_()
    found = []
    for save in ("membrane", "bfloat16"):
        node = neurodsl.load("LIF", save=save).LIF(surrogate="rect(width=1e-30)")
        state = node.functional(x)[1][0]
        found.append(torch.autograd.grad(state.sum(), x)[0])
    assert torch.equal(*found)
