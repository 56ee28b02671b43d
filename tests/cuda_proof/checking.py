"""One case from its data to the comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ptxsim import Module

from cuda_proof import eager
from cuda_proof.cases import Case
from cuda_proof.comparing import compare_backward, compare_forward
from cuda_proof.compiling import module_of
from cuda_proof.given import given_for
from cuda_proof.neurons import subject
from cuda_proof.numbers import computed_in
from cuda_proof.running import run, second_stage, values_for

EXECUTED: Counter[str] = Counter()
"""Launches that were executed and found equal, by what they are counted by."""


def check(case: Case) -> None:
    """Execute and compare; count it if all is right."""
    launches = compare(
        case, lambda part: module_of(case.neuron, case.dtype, case.architecture, part)
    )
    EXECUTED["launches"] += launches
    EXECUTED[f"of {case.which}"] += 1
    EXECUTED[f"kernels: {case.neuron} {case.kernel} {case.dtype} {case.architecture}"] += 1


def compare(case: Case, modules: Callable[[str], Module]) -> int:
    """Execute and compare; how many launches that took. `modules` gives the kernels of a part.

    Raises:
        Fault: a kernel did what it must not.
        AssertionError: a result is not right.
    """
    of, given = subject(case.neuron), given_for(case)
    results = eager.forward(of, given, computed_in(case.dtype))
    done = run(case, modules(case.part), values_for(case, given, results))
    launches = 1
    if case.which.startswith("forward"):
        compare_forward(case, given, done, results)
    else:
        learnt = case.which != "plain"
        params = second_stage(case, modules("main"), done) if learnt else {}
        launches += learnt and any(role == "workspace" for role, _ in done.buffers)
        compare_backward(case, given, done, params)
    return launches
