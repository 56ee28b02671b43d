"""The product of neurons, passes, dtypes, architectures and sizes, in shares."""

from __future__ import annotations

import pytest

from cuda_proof.cases import FACTORS, everything
from cuda_proof.checking import check


@pytest.mark.full
@pytest.mark.sharded
@pytest.mark.parametrize("architecture", FACTORS["architecture"])
@pytest.mark.parametrize("dtype", FACTORS["dtype"])
@pytest.mark.parametrize("neuron", FACTORS["neuron"])
def test_every_pass_and_size(neuron: str, dtype: str, architecture: int) -> None:
    wrong = []
    for case in everything(neuron, dtype, architecture):
        try:
            check(case)
        except Exception as error:  # the others are executed, too
            wrong.append(f"{case}: {type(error).__name__}: {error}")
    assert not wrong, "\n".join(wrong)
