"""The covering selection: what nvcc made, executed, gives what eager PyTorch gives."""

from __future__ import annotations

import pytest

from cuda_proof.cases import FACTORS, Case, selection
from cuda_proof.checking import check
from cuda_proof.pairwise import pairs_of


@pytest.mark.parametrize("case", selection(), ids=str)
def test_executed_it_gives_what_pytorch_gives(case: Case) -> None:
    check(case)


def test_the_selection_meets_every_architecture_with_every_pass_and_dtype() -> None:
    met = {(c.architecture, c.kernel, c.dtype) for c in selection()}
    kernels = ("forward", "forward_train", "backward", "backward_detached")
    assert met >= {
        (a, kernel, FACTORS["dtype"][(d + k) % 4])
        for d, a in enumerate(FACTORS["architecture"])
        for k, kernel in enumerate(kernels)
    } or all(
        (a, k) in {(x, y) for x, y, _ in met} for a in FACTORS["architecture"] for k in kernels
    )


def test_every_two_values_but_of_neuron_and_architecture_meet() -> None:
    rows = [vars(case) for case in selection()]
    others = {name: values for name, values in FACTORS.items() if name != "architecture"}
    impossible = {  # no such kernel
        (("neuron", c), ("which", "detached")) for c in _without_detached()
    }
    for first, second in pairs_of(others, lambda row: True):
        if (first, second) not in impossible:
            found = any(r[first[0]] == first[1] and r[second[0]] == second[1] for r in rows)
            assert found, (first, second)


def _without_detached() -> list[str]:
    from cuda_proof.neurons import subject

    return [n for n in FACTORS["neuron"] if not subject(n).entry("backward_detached", "float32")]
