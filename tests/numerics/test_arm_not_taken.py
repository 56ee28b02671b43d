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
    ("inf if x > 100 else x", "infinity"),
    ("-inf if x > 100 else (w * x if x < 50 else inf)", "infinities on both sides"),
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


@pytest.mark.parametrize("begin", ["-inf", "inf", "-1e300 * 1e300"])
def test_a_state_that_begins_at_infinity(begin: str) -> None:
    """The time of the last spike: a spike chooses between it and `t`, with a gradient of 0 times infinity."""
    source = (
        f"neuron N:\n    input x\n    output s\n    state v = 0\n    state last = {begin}\n"
        "    charge:\n        since = t - last\n        v = 0.5 * v + x if abs(since) > 2 else v\n"
        "    fire:\n        s = spike(v - 1)\n"
        "    reset:\n        v = 0 if s else v\n        last = t if s else last\n"
    )
    gradients = []
    for backend in ("reference", "fused"):
        x = torch.full((5, 3), 0.8, dtype=torch.float64, requires_grad=True)
        node = neurodsl.load(source).N(backend=backend).double()
        output = node(x)
        assert output[:, 0].tolist() == [0, 1, 0, 0, 0]
        output.sum().backward()
        gradients.append(x.grad)
    reference, fused = gradients
    assert torch.isfinite(reference).all()
    assert reference[:2].min() > 0
    torch.testing.assert_close(fused, reference, rtol=1e-12, atol=0)
