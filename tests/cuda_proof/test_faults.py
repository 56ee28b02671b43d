"""How sharp the proof is: faults planted in copies of our texts are found."""

from __future__ import annotations

import pytest
from ptxsim import load_ptx

from cuda_proof.checking import compare
from cuda_proof.compiling import ptx_of
from cuda_proof.faults import BACKWARD_FAULTS, FORWARD_FAULTS, FOUND, TWO_STATES, Outcome, Planted
from cuda_proof.finding import ARCHITECTURE, cases_of, is_found
from cuda_proof.neurons import subject


def test_the_right_kernels_pass() -> None:
    for neuron, dtypes in (
        ("LIF", ("float32", "float64", "float16", "bfloat16")),
        ("CUBALIF", ("float32",)),
    ):
        for dtype in dtypes:
            module = load_ptx(ptx_of(subject(neuron).source, dtype, ARCHITECTURE))
            for which in ("forward", "forward_train", "plain", "full"):
                for case in cases_of(neuron, which, dtype):
                    compare(case, lambda part, module=module: module)


TEXTS = [*FORWARD_FAULTS, *BACKWARD_FAULTS, *TWO_STATES]


@pytest.mark.parametrize(
    "planted",
    [p if at % 3 == 0 else pytest.param(p, marks=pytest.mark.full) for at, p in enumerate(TEXTS)],
    ids=str,
)
def test_a_fault_in_the_text_is_found(planted: Planted) -> None:
    source = planted.planted(subject(planted.neuron).source)
    module = load_ptx(ptx_of(source, planted.dtype, ARCHITECTURE))
    found = is_found(planted, lambda part: module)
    reason = None if found else planted.unnoticed
    FOUND.append(Outcome(str(planted), found, reason))
    assert found or reason
