"""What the peers have of our neurons: each pair of classes, run on the same input, and how far apart they come out.

`PYTHONPATH=tests python -m peers.agreement` prints the table of docs/peers.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from peers.theirs import (
    STEPS,
    Run,
    gated,
    integers,
    norse_li,
    norse_lsnn,
    sinabs,
    snntorch,
    spikingjelly,
)
from torch import Tensor

from neurodsl import library

BATCH, CHANNELS = 4, 50


@dataclass(frozen=True)
class Pair:
    """One of our neurons, how a peer says the same, and what both are given."""

    ours: str
    peer: str
    theirs: Callable[[], Run]
    given: dict[str, Any] = field(default_factory=dict)
    surrogate: str | None = "atan(alpha=2.0)"
    scale: float = 1.0
    shift: float = 0.4
    learnt: tuple[str, ...] = ()
    exact: bool = True
    """Whether outputs must be equal to the last bit in float32, too."""
    double: bool = True
    """Whether the peer computes in float64 throughout if its input is."""


@dataclass(frozen=True)
class Result:
    """Spikes that differ, the largest difference of outputs, and of gradients relative to their norm."""

    rate: float
    flips: int
    of: int
    output: float
    gradient: float
    params: float | None


def run_pair(pair: Pair, dtype: torch.dtype = torch.float64) -> Result:
    """Both on the same input, forward and backward."""
    generator = torch.Generator().manual_seed(5)
    shape = (STEPS, BATCH, CHANNELS)
    x = torch.randn(shape, generator=generator, dtype=torch.float64).add(pair.shift).mul(pair.scale)
    upstream = torch.randn(shape, generator=generator).to(dtype)
    node = getattr(library, pair.ours)(
        **pair.given, surrogate=pair.surrogate, learnable=pair.learnt
    )
    node = node.to(dtype)

    def mine(x: Tensor) -> tuple[Tensor, list[Tensor]]:
        outputs = node(x)
        first = outputs if isinstance(outputs, Tensor) else outputs[0]
        return first, list(node.parameters())

    a, b = (_one(run, x.to(dtype), upstream) for run in (mine, pair.theirs()))
    flips = int((a[0] != b[0]).sum())
    params = max((_apart(p, q) for p, q in zip(a[2], b[2], strict=True)), default=None)
    rate = float((b[0] != 0).double().mean())
    return Result(
        rate, flips, b[0].numel(), float((a[0] - b[0]).abs().max()), _apart(a[1], b[1]), params
    )


def _one(run: Run, x: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    x = x.clone().requires_grad_()
    y, params = run(x)
    wanted = [x, *params]
    if not y.requires_grad:
        return y.detach(), torch.zeros_like(x), []
    made = torch.autograd.grad(y, wanted, upstream.to(y.dtype), materialize_grads=True)
    return y.detach(), made[0], [g.reshape(-1) for g in made[1:]]


def _apart(found: Tensor, expected: Tensor) -> float:
    size = float(expected.norm())
    return float((found - expected).norm()) / size if size else float((found - expected).norm())


SJ = "SpikingJelly"
SOFT = {"v_reset": None}
PAIRS = [
    Pair("IF", f"{SJ} IFNode", spikingjelly("IFNode")),
    Pair("SoftIF", f"{SJ} IFNode(v_reset=None)", spikingjelly("IFNode", **SOFT)),
    Pair("LIF", f"{SJ} LIFNode", spikingjelly("LIFNode")),
    Pair("SoftLIF", f"{SJ} LIFNode(v_reset=None)", spikingjelly("LIFNode", **SOFT)),
    Pair("PLIF", f"{SJ} ParametricLIFNode", spikingjelly("ParametricLIFNode", params=True)),
    Pair(
        "SoftPLIF",
        f"{SJ} ParametricLIFNode(v_reset=None)",
        spikingjelly("ParametricLIFNode", params=True, **SOFT),
    ),
    Pair("QIF", f"{SJ} QIFNode", spikingjelly("QIFNode")),
    Pair("SoftQIF", f"{SJ} QIFNode(v_reset=None)", spikingjelly("QIFNode", **SOFT), scale=0.5),
    Pair("EIF", f"{SJ} EIFNode", spikingjelly("EIFNode"), exact=False),
    Pair(
        "SoftEIF",
        f"{SJ} EIFNode(v_reset=None)",
        spikingjelly("EIFNode", **SOFT),
        exact=False,
        scale=0.5,
        shift=-0.2,
    ),
    Pair(
        "Izhikevich",
        f"{SJ} IzhikevichNode",
        spikingjelly("IzhikevichNode", a=0.3, b=0.2),
        {"a": 0.3, "b": 0.2},
    ),
    Pair(
        "SoftIzhikevich",
        f"{SJ} IzhikevichNode(v_reset=None)",
        spikingjelly("IzhikevichNode", a=0.3, b=0.2, **SOFT),
        {"a": 0.3, "b": 0.2},
        scale=0.5,
    ),
    Pair("KLIF", f"{SJ} KLIFNode", spikingjelly("KLIFNode", params=True)),
    Pair(
        "KLIF",
        f"{SJ} KLIFNode(scale_reset=True)",
        spikingjelly("KLIFNode", params=True, scale_reset=True),
        {"scale_reset": True},
    ),
    Pair("SoftKLIF", f"{SJ} KLIFNode(v_reset=None)", spikingjelly("KLIFNode", params=True, **SOFT)),
    Pair("CUBALIF", f"{SJ} CUBALIFNode", spikingjelly("CUBALIFNode"), scale=0.5),
    Pair(
        "SoftCUBALIF",
        f"{SJ} CUBALIFNode(v_reset=None)",
        spikingjelly("CUBALIFNode", **SOFT),
        scale=0.5,
    ),
    Pair("CLIF", f"{SJ} ComplementaryLIFNode", spikingjelly("ComplementaryLIFNode"), exact=False),
    Pair(
        "LIAF",
        f"{SJ} LIAFNode(relu)",
        spikingjelly("LIAFNode", loop=True, act=torch.relu, threshold_related=True),
    ),
    Pair(
        "SoftLIAF",
        f"{SJ} LIAFNode(relu, v_reset=None)",
        spikingjelly("LIAFNode", loop=True, act=torch.relu, threshold_related=False, **SOFT),
        {"threshold_related": False},
    ),
    Pair("ILIF", f"{SJ} ILIFNode", integers, surrogate=None),
    Pair("TernaryIF", f"{SJ} TernaryIFNode", spikingjelly("TernaryIFNode")),
    Pair(
        "SoftTernaryIF", f"{SJ} TernaryIFNode(v_reset=None)", spikingjelly("TernaryIFNode", **SOFT)
    ),
    Pair("TernaryLIF", f"{SJ} TernaryLIFNode", spikingjelly("TernaryLIFNode")),
    Pair(
        "SoftTernaryLIF",
        f"{SJ} TernaryLIFNode(v_reset=None)",
        spikingjelly("TernaryLIFNode", **SOFT),
    ),
    Pair(
        "GatedLIF", f"{SJ} GatedLIFNode", lambda: gated(), {"T": STEPS, "steps": STEPS}, exact=False
    ),
    Pair("RAF", f"{SJ} RAFNode", spikingjelly("RAFNode")),
    Pair("SoftRAF", f"{SJ} RAFNode(v_reset=None)", spikingjelly("RAFNode", **SOFT)),
    Pair(
        "STBIF",
        f"{SJ} STBIFNode",
        spikingjelly("STBIFNode", q_threshold=0.5, level=8, sym=True),
        {"q_threshold": 0.5, "level": 8, "sym": True},
    ),
    Pair("HalfThresholdIF", f"{SJ} HalfThresholdIFNode", spikingjelly("HalfThresholdIFNode")),
    Pair(
        "ActivationAwareIF",
        f"{SJ} ActivationAwareIFNode, per channel",
        spikingjelly(
            "ActivationAwareIFNode",
            v_threshold=torch.linspace(0.5, 1.5, CHANNELS),
            v_offset=torch.linspace(-0.2, 0.3, CHANNELS),
        ),
        {
            "v_threshold": torch.linspace(0.5, 1.5, CHANNELS),
            "v_offset": torch.linspace(-0.2, 0.3, CHANNELS),
        },
    ),
    Pair("OTTTLIF", f"{SJ} OTTTLIFNode", spikingjelly("OTTTLIFNode", loop=True)),
    Pair("SLTTLIF", f"{SJ} SLTTLIFNode", spikingjelly("SLTTLIFNode", loop=True)),
    Pair("Leaky", "snnTorch Leaky", snntorch("Leaky", beta=0.9), double=False),
    Pair(
        "Synaptic",
        "snnTorch Synaptic",
        snntorch("Synaptic", alpha=0.9, beta=0.8),
        scale=0.5,
        double=False,
    ),
    Pair(
        "Alpha",
        "snnTorch Alpha",
        snntorch("Alpha", alpha=0.9, beta=0.8),
        exact=False,
        scale=4.0,
        double=False,
    ),
    Pair(
        "Lapicque",
        "snnTorch Lapicque",
        snntorch("Lapicque", beta=0.9, R=1.0),
        {"R": 1.0},
        exact=False,
        scale=4.0,
        double=False,
    ),
    Pair(
        "LSNN",
        "norse lsnn_feed_forward_step",
        norse_lsnn,
        surrogate="super_spike(alpha=1.0)",
        exact=False,
        scale=8.0,
    ),
    Pair(
        "ALIF",
        "sinabs ALIF",
        sinabs("ALIF", tau_mem=20.0, tau_adapt=100.0),
        surrogate="multi_gaussian()",
        exact=False,
        scale=20.0,
        double=False,
    ),
    Pair(
        "SoftIF",
        "sinabs IAF",
        sinabs("IAF", spike_fn="SingleSpike"),
        surrogate="multi_gaussian()",
        double=False,
    ),
    Pair("LI", "norse li_box_feed_forward_step", norse_li, {"tau": 10.0}, None, exact=False),
    Pair("ExpLeak", "sinabs ExpLeak", sinabs("ExpLeak", tau_mem=20.0), surrogate=None, exact=False),
]
"""Every neuron of the library that a peer has too."""


def table() -> str:
    """The results as a Markdown table."""
    lines = [
        "| neuron | against | active outputs | differ, float32 | differ, float64 | gradient of "
        "inputs | of parameters |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for pair in PAIRS:
        single, double = run_pair(pair, torch.float32), run_pair(pair)
        params = "" if double.params is None else f"{double.params:.0e}"
        lines.append(
            f"| `{pair.ours}` | {pair.peer} | {double.rate:.0%} | {single.flips} of {single.of} | "
            f"{double.flips} | {double.gradient:.0e} | {params} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
