"""The covering selection: what nvcc made, executed, gives what eager PyTorch gives."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from cuda_proof.cases import FACTORS, Case, compiled_for, dtypes_of, possible, selection
from cuda_proof.checking import EXECUTED, check
from cuda_proof.compiling import module_of
from cuda_proof.neurons import SUFFIXES
from cuda_proof.pairwise import Pair, Row, pairs_of
from cuda_proof.reduction import check_reduction


@pytest.mark.parametrize("case", selection(), ids=str)
def test_executed_it_gives_what_pytorch_gives(case: Case) -> None:
    check(case)


@pytest.mark.full
@pytest.mark.sharded
@pytest.mark.parametrize("case", selection(all_of_them=True), ids=str)
def test_in_every_dtype_it_gives_what_pytorch_gives(case: Case) -> None:
    check(case)


EVERY_RUN = [(n, d) for n in FACTORS["neuron"] for d in dtypes_of(n, all_of_them=False)]
REST = [(n, d) for n in FACTORS["neuron"] for d in SUFFIXES if (n, d) not in EVERY_RUN]


@pytest.mark.parametrize(
    ("neuron", "dtype"), [*EVERY_RUN, *(pytest.param(*r, marks=pytest.mark.full) for r in REST)]
)
def test_the_second_stage_adds_all_parts(neuron: str, dtype: str) -> None:
    module = module_of(neuron, dtype, compiled_for(neuron, dtype))
    for neurons in (1, 640, 70_000, 300_000):
        launches = check_reduction(neuron, dtype, neurons, module)
        EXECUTED["launches"] += launches
        EXECUTED["of reduce"] += launches
    EXECUTED[f"kernels: {neuron} reduce {dtype} {compiled_for(neuron, dtype)}"] += 1


def test_every_architecture_meets_every_pass_and_dtype() -> None:
    met = {(c.architecture, c.which) for c in selection()}
    assert met == set(product(FACTORS["architecture"], FACTORS["which"]))
    met = {(c.architecture, c.dtype) for c in selection()}
    assert met == set(product(FACTORS["architecture"], FACTORS["dtype"]))


def test_every_two_values_but_of_neuron_and_architecture_meet() -> None:
    rows = [vars(case) for case in selection(all_of_them=True)]
    others = {name: values for name, values in FACTORS.items() if name != "architecture"}
    assert not list(_apart(rows, others))


def test_every_run_misses_pairs_of_neuron_and_dtype_only() -> None:
    rows = [vars(case) for case in selection()]
    others = {name: values for name, values in FACTORS.items() if name != "architecture"}
    missed = set(_apart(rows, others))
    assert missed == {(("neuron", n), ("dtype", d)) for n, d in REST}


def _apart(rows: list[Row], factors: dict[str, Any]) -> Iterator[Pair]:
    for first, second in pairs_of(factors, possible):
        if not any(r[first[0]] == first[1] and r[second[0]] == second[1] for r in rows):
            yield first, second
