"""Whether the proof tells that a kernel is not right: its cases, and the width of its accesses."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from ptxsim import Fault, Module, PtxError

from cuda_proof import eager
from cuda_proof.cases import Case
from cuda_proof.checking import compare
from cuda_proof.faults import Planted
from cuda_proof.given import given_for
from cuda_proof.neurons import subject
from cuda_proof.numbers import computed_in
from cuda_proof.reduction import check_reduction
from cuda_proof.running import run, values_for
from cuda_proof.traffic import measure

ARCHITECTURE = 80
SHAPES = [
    # T, N, grid, aligned, data, optional, kept
    (19, 640, 1, True, "random", "usual", True),
    (9, 641, 1, True, "threshold", "some", True),
    (19, 640, 1, True, "threshold", "usual", True),
    (15, 640, 1, True, "other params", "usual", True),
    (15, 640, 1, True, "other arms", "usual", True),
    (19, 640, 1, True, "random", "given", True),
    (19, 640, 1, True, "random", "usual", False),
    (3, 640, 1, True, "random", "without grad_x", True),
    (3, 640, 1, True, "random", "without grad_s", True),
    (3, 640, 1, "v_0", "random", "usual", True),
    (9, 640, 1, "v_every_8", "random", "usual", True),
    (8, 640, 1, True, "other params", "some", False),
    (19, 640, 1, True, "other arms", "some", False),
    (9, 640, 2, False, "random", "given", False),
    (3, 258, 2, True, "nonfinite", "some", True),
    (9, 640, 1, False, "threshold", "usual", False),
    (6, 33, None, False, "random", "given", True),
    (17, 256, None, True, "other arms", "given", True),
    (17, 256, None, True, "other params", "some", True),
    (11, 256, 1, False, "other params", "usual", False),
    (11, 256, 1, False, "other arms", "some", False),
    (5, 128, 1, True, "far params", "usual", True),
    (5, 256, 1, True, "far params", "given", True),
    (15, 256, 1, True, "far params, other arms", "usual", True),
    (11, 640, 1, True, "threshold, other arms", "usual", True),
    (15, 640, 1, True, "threshold, sevenths", "usual", True),
    (15, 640, 1, True, "threshold, sevenths", "given", True),
    (11, 641, 1, True, "threshold, other arms", "usual", False),
    (0, 640, 1, True, "random", "usual", True),
    (1, 1, None, True, "random", "given", True),
]


def cases_of(neuron: str, which: str, dtype: str) -> list[Case]:
    return [Case(neuron, which, dtype, ARCHITECTURE, *shape, False) for shape in SHAPES]


def is_found(planted: Planted, modules: Callable[[str], Module]) -> bool:
    """Whether the proof's cases, or the width of accesses, tell that something is wrong."""
    for which in planted.passes:
        try:
            for case in cases_of(planted.neuron, which, planted.dtype):
                compare(case, modules)
            width = 16 if planted.dtype == "float32" and which != "full" else None
            if which == "full":
                for neurons in (640, 70_000, 300_000):
                    check_reduction(planted.neuron, planted.dtype, neurons, modules("main"))
            found = measure(planted.neuron, which, planted.dtype, modules("main"))
            if width and set(found.widths.values()) != {width}:
                return True
        except (AssertionError, Fault, PtxError, ValueError, KeyError, IndexError):
            return True
    return False


def is_reached(planted: Planted, trapped: Module) -> bool:
    """Whether a launch comes to an instruction in front of which a trap was put."""
    kinds = ("random", "other params", "other arms", "far params, other arms")
    for which, data, steps, neurons in product(
        planted.passes, kinds, (7, 8, 15, 16, 23, 24), (640, 641)
    ):
        of = subject(planted.neuron)
        at = (steps, neurons, 1, True, data, "usual", True, False)
        case = Case(planted.neuron, which, planted.dtype, ARCHITECTURE, *at)
        given = given_for(case)
        results = eager.forward(of, given, computed_in(case.dtype))
        try:
            run(case, trapped, values_for(case, given, results))
        except Fault:
            return True
    return False
