"""How sharp the proof is: faults planted in copies of our kernels are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import pytest
from ptxsim import Fault, Module, PtxError, load_ptx
from ptxsim.mutation import mutants

from cuda_proof.cases import Case
from cuda_proof.checking import compare
from cuda_proof.compiling import ptx_of
from cuda_proof.faults import BACKWARD_FAULTS, FORWARD_FAULTS, TWO_STATES, Planted
from cuda_proof.neurons import subject
from cuda_proof.traffic import measure

ARCHITECTURE = 80
FOUND: list[tuple[str, bool]] = []
"""Each fault, and whether it was found."""

SHAPES = [
    # T, N, grid, aligned, data, optional, kept
    (19, 640, 1, True, "random", "usual", True),
    (9, 641, 1, True, "threshold", "some", True),
    (19, 640, 1, True, "threshold", "usual", True),
    (11, 640, 1, True, "other params", "usual", True),
    (11, 640, 1, True, "other arms", "usual", True),
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
    (0, 640, 1, True, "random", "usual", True),
    (1, 1, None, True, "random", "given", True),
]

UNNOTICED = {
    # nothing but time depends on these
}
"""Faults that need not be found, and why."""


def cases_of(neuron: str, which: str, dtype: str) -> list[Case]:
    return [Case(neuron, which, dtype, ARCHITECTURE, *shape, False) for shape in SHAPES]


def is_found(planted: Planted, modules: Callable[[str], Module]) -> bool:
    """Whether the proof's cases, or the width of accesses, tell that something is wrong."""
    for which in planted.passes:
        try:
            for case in cases_of(planted.neuron, which, planted.dtype):
                compare(case, modules)
            width = 16 if planted.dtype == "float32" and which != "full" else None
            found = measure(planted.neuron, which, planted.dtype, modules("main"))
            if width and set(found.widths.values()) != {width}:
                return True
        except (AssertionError, Fault, PtxError, ValueError, KeyError, IndexError):
            return True
    return False


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


@pytest.mark.parametrize("planted", [*FORWARD_FAULTS, *BACKWARD_FAULTS, *TWO_STATES], ids=str)
def test_a_fault_in_the_text_is_found(planted: Planted) -> None:
    source = planted.planted(subject(planted.neuron).source)
    module = load_ptx(ptx_of(source, planted.dtype, ARCHITECTURE))
    found = is_found(planted, lambda part: module)
    FOUND.append((str(planted), found))
    assert found


SWAPS = [
    ("add.rn.f32", "sub.rn.f32"),
    ("sub.rn.f32", "add.rn.f32"),
    ("add.f32", "sub.f32"),
    ("sub.f32", "add.f32"),
    ("mul.rn.f32", "add.rn.f32"),
    ("mul.f32", "add.f32"),
    ("fma.rn.f32", "fma.rz.f32"),
    ("setp.ge.f32", "setp.gt.f32"),
    ("setp.leu.f32", "setp.ltu.f32"),
    ("setp.lt.s64", "setp.le.s64"),
    ("setp.gt.s64", "setp.ge.s64"),
    ("setp.eq.s64", "setp.ne.s64"),
    ("setp.ne.s64", "setp.eq.s64"),
    ("setp.ge.s64", "setp.gt.s64"),
    ("setp.lt.s32", "setp.le.s32"),
    ("setp.gt.s32", "setp.ge.s32"),
    ("shl.b64", "shr.b64"),
    ("add.s64", "sub.s64"),
    ("add.s32", "sub.s32"),
    ("mul.wide.u32", "mul.wide.s32"),
    ("selp.f32", "min.f32"),
    ("st.global.v4.b32", "st.global.v2.b32"),
    ("bar.sync", "// bar.sync"),
]
KERNELS = [
    ("LIF", "forward", "forward"),
    ("LIF", "forward_train", "forward_train"),
    ("LIF", "backward", "plain+full"),
    ("CUBALIF", "forward_train", "forward_train"),
    ("CUBALIF", "backward", "plain+full"),
    ("LIF", "reduce", "full"),
]
EACH = 12


def swapped(neuron: str, kernel: str) -> Iterator[tuple[str, str]]:
    """Some of the mutants that swap one instruction, the same each time."""
    of = subject(neuron)
    ptx = ptx_of(of.source, "float32", ARCHITECTURE)
    entry = of.entry(kernel, "float32")
    assert entry is not None
    everything = list(mutants(ptx, entry["symbol"], SWAPS))
    yield from Random(7).sample(everything, min(EACH, len(everything)))


@pytest.mark.parametrize(("neuron", "kernel", "passes"), KERNELS)
def test_swapped_instructions_are_found(neuron: str, kernel: str, passes: str) -> None:
    alive = []
    for what, text in swapped(neuron, kernel):
        planted = Planted(f"{kernel}: {what}", "", "", tuple(passes.split("+")), neuron=neuron)
        module = load_ptx(text)
        found = is_found(planted, lambda part, module=module: module)
        FOUND.append((str(planted), found))
        alive += [] if found else [what]
    assert not alive
