"""IF, LIF and PLIF against SpikingJelly 2.0.0's own classes: the same spikes, the same gradients."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import neuron as peers
from spikingjelly.activation_based import surrogate
from torch import Tensor, nn

from neurodsl import library

STEPS, BATCH, NEURONS = 48, 4, 300
INPUTS, SCALARS = 1e-5, 1e-4
"""Allowed differences of float32 gradients, norm-relative."""


@dataclass(frozen=True)
class Pair:
    """One of our neurons, and how SpikingJelly says the same."""

    ours: str
    theirs: str
    given: dict[str, Any]
    soft: bool = False


PAIRS = [
    Pair("IF", "IFNode", {}),
    Pair("IF", "IFNode", {"v_threshold": 0.7, "v_reset": -0.1}),
    Pair("SoftIF", "IFNode", {"v_threshold": 0.8}, soft=True),
    Pair("LIF", "LIFNode", {}),
    Pair("LIF", "LIFNode", {"tau": 3.0, "v_reset": 0.1}),
    Pair("LIF", "LIFNode", {"tau": 1.7, "decay_input": False}),
    Pair("SoftLIF", "LIFNode", {"tau": 2.5}, soft=True),
    Pair("SoftLIF", "LIFNode", {"decay_input": False}, soft=True),
    Pair("PLIF", "ParametricLIFNode", {"init_tau": 2.5}),
    Pair("PLIF", "ParametricLIFNode", {"decay_input": False, "v_reset": 0.1}),
    Pair("SoftPLIF", "ParametricLIFNode", {}, soft=True),
]

SURROGATES = [
    (None, lambda: surrogate.ATan(alpha=2.0)),
    ("sigmoid(alpha=4.0)", lambda: surrogate.Sigmoid(alpha=4.0)),
]


def run(node: nn.Module, x: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    x = x.clone().requires_grad_()
    spikes = node(x)
    parameters = list(node.parameters())
    gradients = torch.autograd.grad(spikes, [x, *parameters], upstream)
    return spikes.detach(), gradients[0], list(gradients[1:])


def apart(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("detach", [False, True], ids=["through the reset", "detached"])
@pytest.mark.parametrize("functions", SURROGATES, ids=["atan", "sigmoid"])
@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: f"{p.ours}{p.given or ''}")
def test_spikes_and_gradients(pair: Pair, functions: Any, detach: bool) -> None:
    text, theirs = functions
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(STEPS, BATCH, NEURONS, generator=generator) + 0.6
    upstream = torch.randn(x.shape, generator=generator)
    keywords = {**pair.given, **({"v_reset": None} if pair.soft else {})}
    peer = getattr(peers, pair.theirs)(
        **keywords, surrogate_function=theirs(), detach_reset=detach, step_mode="m"
    )
    ours = getattr(library, pair.ours)(
        **pair.given, surrogate=text, detach_reset=detach, backend="fused"
    )
    expected, found = run(peer, x, upstream), run(ours, x, upstream)
    assert 0.02 < float(expected[0].mean()) < 0.98
    assert torch.equal(found[0], expected[0])
    assert apart(found[1], expected[1]) < INPUTS
    assert len(found[2]) == len(expected[2]) == (1 if "PLIF" in pair.ours else 0)
    for mine, peers_own in zip(found[2], expected[2], strict=True):
        assert apart(mine.reshape(()), peers_own.reshape(())) < SCALARS


def test_from_the_command_line(tmp_path: Any) -> None:
    """`neurodsl compare --against` says the same; a wrong surrogate is found and named."""
    base = [sys.executable, "-m", "neurodsl", "compare", "LIF", "--steps", "32", "--neurons", "200"]
    base += ["--against", "spikingjelly.activation_based.neuron:LIFNode"]
    equal = subprocess.run(
        [*base, "--surrogate", "sigmoid(alpha=4.0)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert equal.returncode == 0, equal.stdout + equal.stderr
    assert "LIFNode" in equal.stdout
    other = subprocess.run(base, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert other.returncode == 1
    assert "--surrogate" in other.stdout + other.stderr
