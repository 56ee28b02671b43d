"""The arm not taken gets a gradient of exactly 0, fused and in the reference, whatever it computes."""

from __future__ import annotations

import pytest
import torch

import neurodsl

ARMS = [
    ("log(x) ** 2 if x > 0 else 0 * x", "log at and below 0"),
    ("w * sqrt(x) if x > 0 else x", "sqrt at 0, with a param"),
    ("1 / x if x > 0.1 else 0.5 * x", "a quotient at 0"),
    ("exp(300 * x) if x < 0.2 else x ** 2", "an overflow"),
    ("(log(x) if x > 0.5 else x) if x > 0 else 2 * x", "one in the other"),
]


SPIKES = [
    ("sqrt(max(x, 0)) if z else x", "sqrt at 0"),
    ("x if z else w * pow(abs(x - 0.5), 0.5)", "a power in the other arm"),
    ("(log(max(x, 0.1)) if x > 0.5 else x) if z else 2 * x", "a boolean one in it"),
]
CASES = [
    *(("", *arm) for arm in ARMS),
    *(("        z = spike(x >= 0.3)\n", *arm) for arm in SPIKES),
]


@pytest.mark.parametrize(
    ("before", "expression"), [c[:2] for c in CASES], ids=[f"{bool(c[0])}-{c[2]}" for c in CASES]
)
def test_no_gradient_is_nan(before: str, expression: str) -> None:
    source = (
        "neuron N:\n    input x\n    param w = 0.5 learnable\n    state v = 0.0\n    output s\n"
        f"    charge:\n{before}        v = w * v + ({expression})\n"
        "    fire:\n        s = spike(v - 1.0)\n    reset:\n        v = v - s\n"
    )
    x = torch.linspace(-1, 2, 4 * 31, dtype=torch.float64).round(decimals=2).view(4, 31)
    x[0, :3] = 0.0
    results = []
    for backend in ("reference", "fused"):
        node = neurodsl.load(source).N(backend=backend).double()
        given = x.clone().requires_grad_()
        output = node(given)
        loss = (output * x).sum() + node.v.sum()
        gradients = torch.autograd.grad(loss, [given, node.w], allow_unused=True)
        results.append((output, *(g for g in gradients if g is not None)))
    for reference, fused in zip(*results, strict=True):
        assert torch.isfinite(reference).all()
        torch.testing.assert_close(reference, fused, rtol=1e-9, atol=1e-12)
