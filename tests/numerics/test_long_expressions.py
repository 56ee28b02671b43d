"""Sums, products and maxima of many terms: the same to the bit in every back end, and derivatives that stay small."""

from __future__ import annotations

import pytest
import torch
from numerics.comparing import check_fused

import neurodsl
from neurodsl.driver import analyse_text
from neurodsl.files import disk_loader
from neurodsl.ir.lower import lower
from neurodsl.ir.trees import measure
from neurodsl.options import Options
from neurodsl.symbolic.partials import partials

SUM = " + ".join(f"{i} * 1e-3 * v" for i in range(150)).replace("+ 7 *", "- 7 *")
PRODUCT = " * ".join(f"(1 + {i} * 1e-5 * v)" for i in range(150)).replace(
    " * (1 + 9 ", " / (1 + 9 "
)
QUOTIENTS = " / ".join("w" for _ in range(120)) + " / (1 + v * v)"
LARGEST = "max(" + ", ".join(f"v - {i}" for i in range(1, 40)) + ", x)"
NESTED = "min(" * 30 + "v + x" + "".join(f", {30 - i} * w)" for i in range(30))


@pytest.mark.parametrize(
    "expression",
    [SUM, PRODUCT, QUOTIENTS, LARGEST, NESTED],
    ids=["sum", "product", "quotients", "largest", "nested"],
)
def test_many_terms(expression: str) -> None:
    source = (
        "neuron N:\n    input x\n    param w = 1.25 learnable\n    state v = 0.1\n    output s\n"
        f"    charge:\n        v = 0.5 * v + x + w * 1e-2 * ({expression})\n"
        "    fire:\n        s = spike(v - 1.0)\n    reset:\n        v = v - s\n"
    )
    module = neurodsl.load(source)
    x = torch.randn(5, 3, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    check_fused(lambda backend: module.N(backend=backend), x)


def test_a_sum_longer_than_python_nests() -> None:
    terms = " + ".join("1e-3 * v" for _ in range(4000))
    source = f"neuron N:\n    input x\n    state v = 1\n    output v\n    charge:\n        v = x + {terms}\n"
    node = neurodsl.load(source).N(backend="reference").double()
    expected = 0.5
    for _ in range(4000):
        expected += 1e-3
    assert node(torch.full((1, 1), 0.5, dtype=torch.float64)).item() == expected


def test_a_maximum_s_derivative_does_not_double_with_each_argument() -> None:
    listed = ", ".join(f"v - {i}" for i in range(1, 26))
    source = (
        "neuron N:\n    input x\n    state v = 1\n    output v\n"
        f"    charge:\n        v = x + max({listed}, x)\n"
    )
    model = analyse_text(source, "n.neuron", Options(), disk_loader).model.neurons[0]
    step = lower(model, spiking=True, detach_reset=False).step
    sizes = [measure(e)[1] for assign in step for _, e in partials(assign.value, frozenset())]
    assert max(sizes) < 100
