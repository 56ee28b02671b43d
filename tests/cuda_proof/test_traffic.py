"""At 16 time steps the kernels move what they must and no more, 16 bytes an access."""

from __future__ import annotations

import pytest

from cuda_proof.neurons import SUFFIXES, subject
from cuda_proof.traffic import measure
from neurodsl.library import names

EVERY_RUN = (
    "LIF",
    "SoftLIF",
    "PLIF",
    "CUBALIF",
    "ILIF",
    "STBIF",
    "GatedLIF",
    "LSNN",
    "HodgkinHuxley",
    "CubaLI",
)
"""The others by the marker `full`."""

HALVES = ("float16", "bfloat16")
"""Their states are moved by two instructions that touch half of each sector: that is counted twice without a cache."""

PARAMS_IN_PACKS = ("PLIF", "SoftPLIF", "GatedLIF")
"""Their params are learnable by default, and two neurons a thread do not take more registers than there are."""

NEURONS = [n if n in EVERY_RUN else pytest.param(n, marks=pytest.mark.full) for n in names()]
DTYPES = [d if d == "float32" else pytest.param(d, marks=pytest.mark.full) for d in SUFFIXES]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("which", ["forward", "forward_train"])
@pytest.mark.parametrize("neuron", NEURONS)
def test_forward_moves_every_array_once(neuron: str, which: str, dtype: str) -> None:
    found = measure(neuron, which, dtype)
    assert found.cached == 1.0
    assert dtype in HALVES or round(found.uncached, 2) == 1.0
    assert dtype != "float32" or set(found.widths.values()) == {16}, found.widths


PASSES = [
    pytest.param(neuron, which, marks=[] if neuron in EVERY_RUN else pytest.mark.full)
    for neuron in names()
    for which in ("plain", "full", "detached")
    if which != "detached" or subject(neuron).entry("backward_detached", "float32") is not None
]
"""Of neurons whose reset makes no difference to the gradient, there is no detached kernel."""


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("neuron", "which"), PASSES)
def test_backward_moves_every_array_once(neuron: str, which: str, dtype: str) -> None:
    found = measure(neuron, which, dtype)
    assert found.cached <= 1.02
    assert dtype in HALVES or found.uncached <= 1.02
    packs = which == "plain" or (which == "full" and neuron in PARAMS_IN_PACKS)
    assert dtype in HALVES or not packs or set(found.widths.values()) <= {8, 16}, found.widths
