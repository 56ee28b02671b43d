"""Every neuron of the library: fused against the eager reference, spikes to the last one, gradients to 1e-10."""

from __future__ import annotations

import pytest

import neurodsl
from neurodsl.library import names
from neurodsl.tools.compare import ComparisonResult, compare

SAVED = ("LIF", "PLIF", "Izhikevich", "GatedLIF", "CubaLI", "TernaryIF")
"""Neurons that are run with every policy, and not by the marker `full` alone."""

ANALOG = ("LI", "CubaLI", "ExpLeak", "LIAF", "SoftLIAF")
"""Neurons whose outputs are no spikes."""

POLICIES = ("inputs", "membrane", "all")


def failures(result: ComparisonResult) -> str:
    return "\n".join(str(row) for row in result.differences if not row.passed)


def check(neuron: str, *, steps: int, neurons: int, dtype: str, save: str, detach: bool) -> None:
    module = neurodsl.load(neuron, save=save)
    result = compare(
        module,
        neuron,
        given={"detach_reset": True} if detach else {},
        steps=steps,
        neurons=neurons,
        dtype=dtype,
    )
    assert result.passed, failures(result)
    quantities = {row.quantity for row in result.differences}
    assert {"output 0", "gradient of input 0"} <= quantities
    spiking = [row for row in result.differences if row.of is not None]
    if not module.__manifest__["neurons"][neuron]["functions"]:
        assert all(row.spikes == 0 for row in spiking)
        assert all(row.error == 0 for row in result.differences if row.quantity == "output 0")
    assert not result.notes  # a NaN equals itself
    if neuron in ANALOG:
        assert not spiking
    else:
        assert spiking
        assert result.firing_rate is not None
        assert 0.005 < result.firing_rate < 0.99


@pytest.mark.parametrize("neuron", names())
def test_spikes_are_the_reference_s(neuron: str) -> None:
    """10^5 neuron-steps in float32."""
    check(neuron, steps=64, neurons=1600, dtype="float32", save="inputs", detach=False)


@pytest.mark.parametrize("detach", [False, True], ids=["through", "detached"])
@pytest.mark.parametrize(
    ("neuron", "save"),
    [
        pytest.param(
            neuron, save, marks=[] if save == "inputs" or neuron in SAVED else pytest.mark.full
        )
        for neuron in names()
        for save in POLICIES
    ],
)
def test_float64_gradients(neuron: str, save: str, detach: bool) -> None:
    """Inputs, initial states, every param; float64 tolerances of the comparison are 1e-10, norm-relative."""
    check(neuron, steps=24, neurons=200, dtype="float64", save=save, detach=detach)


@pytest.mark.full
@pytest.mark.parametrize("save", POLICIES)
@pytest.mark.parametrize("neuron", names())
def test_ten_million_neuron_steps(neuron: str, save: str) -> None:
    check(neuron, steps=64, neurons=160_000, dtype="float32", save=save, detach=False)
