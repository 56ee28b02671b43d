"""With `spiking=False` a spike is its surrogate's primitive: gradients are then those of finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import neurodsl
from neurodsl.library import names

STEP = 1e-5
ROUGH = {
    "LISNNLIF": "its surrogate has corners",
    "LISNN": "its surrogate has corners, and it needs a module",
    "ILIF": "its surrogate has corners",
    "STBIF": "it compares and rounds",
    "RefractoryLIF": "it compares what it has waited",
    "OTTTLIF": "it cuts gradients",
    "SLTTLIF": "it cuts gradients",
    "Leaky": "its reset has no gradient",
    "Synaptic": "its reset has no gradient",
    "Alpha": "its reset has no gradient",
    "Lapicque": "its reset has no gradient",
    "ALIF": "its spike has no gradient to the threshold",
}
"""Neurons whose gradients are not those of finite differences by their definition."""

SMOOTH = ["atan(alpha=2.0)", "sigmoid(alpha=4.0)", "erf(alpha=2.0)", "soft_sign(alpha=2.0)"]


def _check(neuron: str, surrogate: str | None, save: str) -> None:
    made = getattr(neurodsl.load(neuron, save=save), neuron)
    params = [p.python for p in made.definition.params if not p.boolean]
    sized = {"steps": 7} if any(p.shape for p in made.definition.params) else {}
    node = made(spiking=False, surrogate=surrogate, learnable=params, backend="fused", **sized)
    node = node.double()
    torch.manual_seed(3)
    shape = (7, 2, 5)
    inputs = tuple(
        torch.randn(shape, dtype=torch.float64).add(0.8).requires_grad_()
        for _ in made.definition.inputs
    )
    with torch.no_grad():
        rest = node.functional(tuple(x[:0] for x in inputs))[1]
    states = [(v + 0.2 * torch.rand_like(v)).requires_grad_() for v in rest]
    weights = torch.randn(shape, dtype=torch.float64)
    leaves: list[Tensor] = [*inputs, *states, *node.parameters()]

    def loss() -> Tensor:
        outputs, finals = node.functional(inputs, tuple(states))
        total = (outputs[0] * weights).sum()
        return total + sum((final * weights[0]).sum() for final in finals)

    gradients = torch.autograd.grad(loss(), leaves, materialize_grads=True)
    for leaf, gradient in zip(leaves, gradients, strict=True):
        direction = torch.randn_like(leaf)
        step = STEP * max(1.0, float(leaf.detach().abs().max()))
        with torch.no_grad():
            leaf += step * direction
            above = loss()
            leaf -= 2 * step * direction
            below = loss()
            leaf += step * direction
        expected = (above - below) / (2 * step)
        torch.testing.assert_close((gradient * direction).sum(), expected, rtol=2e-6, atol=1e-8)


@pytest.mark.parametrize("save", ["inputs", "membrane"])
@pytest.mark.parametrize("neuron", [n for n in names() if n not in ROUGH])
def test_every_smooth_neuron(neuron: str, save: str) -> None:
    _check(neuron, None, save)


@pytest.mark.parametrize("neuron", ["LIF", "LISNNLIF"])
@pytest.mark.parametrize("surrogate", SMOOTH)
def test_every_smooth_surrogate(neuron: str, surrogate: str) -> None:
    _check(neuron, surrogate, "inputs")
