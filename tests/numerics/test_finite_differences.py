"""With `spiking=False` a spike is its surrogate's primitive: gradients are then those of finite differences."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import neurodsl
from neurodsl.library import LIF, names

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


LEARNT = """neuron Learnt:
    input x
    output s
    param width = 1.5
    state v = 0
    charge:
        v = 0.5 * v + x
    fire:
        s = spike(v - width, super_spike(alpha=width))
    reset:
        v = 0 if s else v
"""
"""Its surrogate's parameter is learnt, and stands in what the surrogate is taken of."""


def _second(node: Any, x: Tensor) -> None:
    """Second derivatives are finite differences of first ones whose values have no surrogate behind them."""
    generator = torch.Generator().manual_seed(5)
    leaves = [x, *node.parameters()]
    along = [torch.randn(x.shape, generator=generator, dtype=x.dtype) for x in leaves]

    def first(graph: bool) -> Tensor:
        outputs, finals = node.functional(x)
        total = sum(y.square().sum() for y in finals) + (outputs[0] * along[0]).sum()
        made = torch.autograd.grad(total, leaves, create_graph=graph)
        return sum((g * a).sum() for g, a in zip(made, along, strict=True))  # type: ignore[return-value]

    second = torch.autograd.grad(first(True), leaves)
    for leaf, found, direction in zip(leaves, second, along, strict=True):
        sides = []
        for step in (STEP, -STEP):
            with torch.no_grad():
                leaf += step * direction
            sides.append(first(False))
            with torch.no_grad():
                leaf -= step * direction
        expected = (sides[0] - sides[1]) / (2 * STEP)
        torch.testing.assert_close((found * direction).sum(), expected, rtol=1e-6, atol=1e-8)
        assert float(expected.abs()) > 0


@pytest.mark.parametrize("surrogate", [*SMOOTH, "super_spike(alpha=1.0)", "s2nn(alpha=4.0)"])
def test_second_derivatives_of_the_reference(surrogate: str) -> None:
    options = {"surrogate": surrogate, "learnable": ("tau", "v_threshold"), "detach_reset": True}
    node = LIF(backend="reference", **options).double()
    torch.manual_seed(4)
    _second(node, (2 * torch.rand(6, 2, 5, dtype=torch.float64)).requires_grad_())


def test_second_derivatives_by_a_surrogate_s_own_parameter() -> None:
    torch.manual_seed(4)
    x = (2 * torch.rand(6, 2, 5, dtype=torch.float64)).requires_grad_()
    options = {"learnable": ("width",), "detach_reset": True}
    node = neurodsl.load(LEARNT).Learnt(backend="reference", **options).double()
    _second(node, x)


def test_second_derivatives_through_resets() -> None:
    """As of a loop whose spikes are sigmoids with another value."""
    torch.manual_seed(4)
    x = (2 * torch.rand(6, 2, 5, dtype=torch.float64)).requires_grad_()
    node = LIF(backend="reference", surrogate="sigmoid(alpha=4.0)", v_reset=0.1)

    def by_hand(x: Tensor) -> tuple[Tensor, Tensor]:
        v, spikes = torch.full_like(x[0], 0.1), []
        for row in x:
            v = v + (row - (v - 0.1)) / 2
            smooth = torch.sigmoid(4 * (v - 1))
            s = smooth + ((v >= 1).to(v) - smooth).detach()
            v = s * 0.1 + (1 - s) * v
            spikes.append(s)
        return torch.stack(spikes), v

    def of_module(x: Tensor) -> tuple[Tensor, Tensor]:
        outputs, finals = node.functional(x)
        return outputs[0], finals[0]

    weights, found = torch.randn_like(x), []
    for run in (by_hand, of_module):
        spikes, v = run(x)
        total = (spikes * weights).sum() + v.square().sum()
        (first,) = torch.autograd.grad(total, x, create_graph=True)
        found.append((first, *torch.autograd.grad((first * weights.flip(0)).sum(), x)))
    for expected, made in zip(*found, strict=True):
        torch.testing.assert_close(made, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("surrogate", SMOOTH)
def test_one_step_has_the_second_derivative_of_the_smooth_one(surrogate: str) -> None:
    found = []
    for spiking in (True, False):
        node = LIF(backend="reference", surrogate=surrogate, spiking=spiking)
        x = torch.tensor([[1.5, 0.3, 2.5]], requires_grad=True)
        (first,) = torch.autograd.grad(node(x).sum(), x, create_graph=True)
        found.append(torch.autograd.grad(first.sum(), x)[0])
    torch.testing.assert_close(*found)
    assert found[0].all()
