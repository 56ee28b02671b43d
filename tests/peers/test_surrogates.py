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
    ("rect", "width", lambda alpha: theirs.Rect(alpha=1 / alpha), 1.0),
    ("piecewise_quadratic", "alpha", theirs.PiecewiseQuadratic, 1.0),
    ("piecewise_exp", "alpha", theirs.PiecewiseExp, 1.0),
    ("soft_sign", "alpha", theirs.SoftSign, 2.0),
    ("super_spike", "alpha", theirs.SuperSpike, 1.0),
    ("erf", "alpha", theirs.Erf, 2.0),
]

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
    ("name", "parameter", "peer", "default"), PAIRS, ids=[pair[0] for pair in PAIRS]
)
def test_derivative(name: str, parameter: str, peer: Any, default: float, factor: float) -> None:
    value = default * factor
    use = f"{name}()" if factor == 1.0 else f"{name}({parameter}={value})"
    node = neurodsl.load(PROGRAM.format(use=use)).Step(step_mode="s")
    u = points(1 / value)
    ours = derivative(lambda x: node(x[None])[0], u)
    expected = derivative(peer(alpha=value), u)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-15)
