"""Every library neuron on a GPU: the CPU's spikes to the bit, its gradients as far as the dtype goes."""

from __future__ import annotations

import pytest
import torch
from gpu.cases import (
    DTYPES,
    LAYOUTS,
    Case,
    against,
    every_shape,
    make,
    outcome,
    problems,
    with_nonfinite,
)

from neurodsl.library import names

pytestmark = pytest.mark.gpu

CUDA, CPU = torch.device("cuda"), torch.device("cpu")
LAID = ("LIF", "SoftLIF", "PLIF", "CLIF", "Izhikevich", "GatedLIF", "ConductanceLIF", "OTTTLIF")
"""One state and several, one input and two, params with gradients, and with one value a step."""


def ids(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("neuron", names())
def test_every_shape(neuron: str, dtype: torch.dtype) -> None:
    """All T with all N; what fails is listed for all of them."""
    found = [said for case in every_shape(neuron, dtype) for said in against(case, CUDA)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("neuron", LAID)
def test_every_layout(neuron: str, layout: str, dtype: torch.dtype) -> None:
    found: list[str] = []
    for steps, neurons in ((1, 33), (6, 258), (19, 641), (9, 4096)):
        found += against(Case(neuron, dtype, steps, neurons, layout), CUDA)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("neuron", names())
def test_detached_resets(neuron: str, dtype: torch.dtype) -> None:
    assert not against(Case(neuron, dtype, 19, 641, detach=True), CUDA)


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("neuron", ["IF", "LIF", "SoftLIF", "PLIF"])
def test_numbers_that_are_no_numbers(neuron: str, dtype: torch.dtype) -> None:
    case = Case(neuron, dtype, 9, 641)
    given = with_nonfinite(case)
    both = [outcome(make(case, "fused"), given, case, device) for device in (CUDA, CPU)]
    found = [said for said in problems(*both, case) if "output" in said]
    assert not found, "\n".join(found)
