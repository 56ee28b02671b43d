"""The library's surrogates against SpikingJelly 2.0.0's: the same derivative everywhere, kinks included."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from spikingjelly.activation_based import surrogate as theirs
from torch import Tensor

import neurodsl

PAIRS = [
    ("atan", "alpha", theirs.ATan, 2.0),
    ("sigmoid", "alpha", theirs.Sigmoid, 4.0),
    ("rect", "width", lambda alpha, **more: theirs.Rect(alpha=1 / alpha, **more), 1.0),
    ("piecewise_quadratic", "alpha", theirs.PiecewiseQuadratic, 1.0),
    ("piecewise_exp", "alpha", theirs.PiecewiseExp, 1.0),
    ("soft_sign", "alpha", theirs.SoftSign, 2.0),
    ("super_spike", "alpha", theirs.SuperSpike, 1.0),
    ("erf", "alpha", theirs.Erf, 2.0),
    ("nonzero_sign_log_abs", "alpha", theirs.NonzeroSignLogAbs, 1.0),
    ("piecewise_leaky_relu", "w", lambda alpha, **m: theirs.PiecewiseLeakyReLU(w=alpha, **m), 1.0),
    ("piecewise_leaky_relu", "c", lambda alpha, **m: theirs.PiecewiseLeakyReLU(c=alpha, **m), 0.01),
    ("s2nn", "alpha", theirs.S2NN, 4.0),
    ("s2nn", "beta", lambda alpha, **more: theirs.S2NN(beta=alpha, **more), 1.0),
    ("q_pseudo_spike", "alpha", theirs.QPseudoSpike, 2.5),
    ("leaky_k_relu", "leak", lambda alpha, **more: theirs.LeakyKReLU(leak=alpha, **more), 0.1),
    ("leaky_k_relu", "k", lambda alpha, **more: theirs.LeakyKReLU(k=alpha, **more), 1.0),
    (
        "fake_numerical_gradient",
        "alpha",
        lambda alpha, spiking=True: theirs.FakeNumericalGradient(alpha),
        0.3,
    ),
    ("log_tailed_relu", "alpha", theirs.LogTailedReLU, 0.1),
]
NO_PRIMITIVE = ("super_spike", "fake_numerical_gradient")
"""Theirs have none."""

PROGRAM = """\
neuron Step:
    input  u
    output s

    fire:
        s = spike(u, {use})
"""


def derivative(function: Any, u: Tensor) -> Tensor:
    u = u.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(u).sum(), u)
    return gradient


def points(scale: float) -> Tensor:
    kinks = torch.tensor([0.0, 0.5, 1.0, 2.0, 0.25], dtype=torch.float64) * scale
    spread = torch.linspace(-6, 6, 100_000, dtype=torch.float64)
    return torch.cat([spread, kinks, -kinks, kinks / scale, -kinks / scale])


@pytest.mark.parametrize("factor", [1.0, 0.5, 3.0])
@pytest.mark.parametrize(
    ("name", "parameter", "peer", "default"), PAIRS, ids=[f"{pair[0]}-{pair[1]}" for pair in PAIRS]
)
def test_derivative(name: str, parameter: str, peer: Any, default: float, factor: float) -> None:
    value = default * factor
    use = f"{name}({parameter}={value})"
    node = neurodsl.load(PROGRAM.format(use=use)).Step(step_mode="s")
    u = points(1 / value)
    if name == "fake_numerical_gradient":
        u = u[(u != 0) | ~u.signbit()]  # theirs is minus infinity at -0.0
    ours = derivative(lambda x: node(x[None])[0], u)
    expected = derivative(peer(alpha=value), u)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "parameter", "peer", "default"),
    [pair for pair in PAIRS if pair[0] not in NO_PRIMITIVE],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_primitive(name: str, parameter: str, peer: Any, default: float) -> None:
    """With spiking=False; of s2nn theirs adds 1e-5 in the logarithm."""
    module = neurodsl.load(PROGRAM.format(use=f"{name}({parameter}={default})"))
    node = module.Step(step_mode="s", spiking=False)
    u = points(1 / default)
    expected = peer(alpha=default, spiking=False)(u)
    tolerance = 2e-5 if name == "s2nn" else 1e-13
    torch.testing.assert_close(node(u[None])[0], expected, rtol=tolerance, atol=tolerance)


def test_levels() -> None:
    """Integer-valued firing: values and the window of its gradient, kinks included."""
    node = neurodsl.load(PROGRAM.format(use="multi_level(n=4)")).Step(step_mode="s")
    u = torch.cat([points(1.0), torch.arange(-1, 6, dtype=torch.float64) + 0.5])
    peer = theirs.MultiLevelSpikeCount(4)
    assert torch.equal(node(u[None])[0], peer(u))
    assert torch.equal(derivative(lambda x: node(x[None])[0], u), derivative(peer, u))


def test_straight_through() -> None:
    """DeterministicPass: the gradient is 1."""
    node = neurodsl.load(PROGRAM.format(use="straight_through()")).Step(step_mode="s")
    u = points(1.0)
    assert torch.equal(node(u[None])[0], theirs.DeterministicPass()(u))
    assert torch.equal(derivative(lambda x: node(x[None])[0], u), torch.ones_like(u))
