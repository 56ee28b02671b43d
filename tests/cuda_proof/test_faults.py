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
from cuda_proof.faults import BACKWARD_FAULTS, FORWARD_FAULTS, FOUND, TWO_STATES, Outcome, Planted
from cuda_proof.neurons import subject
from cuda_proof.reduction import check_reduction
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
EACH = 15
"""Mutants of a kernel."""


def swapped(neuron: str, kernel: str) -> Iterator[tuple[str, str, str]]:
    """Some of the mutants that swap one instruction, the same each time; what, the line that it is of, and the text."""
    of = subject(neuron)
    ptx = ptx_of(of.source, "float32", ARCHITECTURE)
    entry = of.entry(kernel, "float32")
    assert entry is not None
    everything = list(mutants(ptx, entry["symbol"], SWAPS))
    lines = of.source.splitlines()
    for what, text in Random(7).sample(everything, min(EACH, len(everything))):
        place = next(
            at for at, pair in enumerate(zip(ptx, text, strict=False)) if pair[0] != pair[1]
        )
        number = ptx[ptx.rindex(".loc", 0, place) :].split(maxsplit=3)[2]
        yield what, lines[int(number) - 1].strip(), text


def why_unnoticed(kernel: str, what: str, line: str) -> str | None:
    """Why a swap need not be found; None if it must be."""
    if "fma.rz" in what and kernel.startswith("backward"):
        return "the rounding of a derivative is not promised, only its error"
    if "fma.rz" in what and "__fmaf_rn" in line:
        return "the remainder of a division is exact, however it is rounded"
    if "blocks_for" in line:
        return "what is added for negative numbers before a shift that divides; N is none"
    if what.startswith("bar.sync") and kernel == "reduce":
        return "a block adds up one scalar only, and nothing reads its parts after that"
    if "mul.wide.u32" in what and "gridDim" in line:
        return "no grid has 2^31 blocks"
    return None


@pytest.mark.parametrize(
    ("neuron", "kernel", "passes"),
    [k if k[0] == "LIF" else pytest.param(*k, marks=pytest.mark.full) for k in KERNELS],
)
def test_swapped_instructions_are_found(neuron: str, kernel: str, passes: str) -> None:
    alive = []
    for what, line, text in swapped(neuron, kernel):
        planted = Planted(f"{kernel}: {what}", "", "", tuple(passes.split("+")), neuron=neuron)
        module = load_ptx(text)
        found = is_found(planted, lambda part, module=module: module)
        reason = None if found else why_unnoticed(kernel, what, line)
        FOUND.append(Outcome(str(planted), found, reason))
        alive += [] if found or reason else [f"{what} of {line}"]
    assert not alive, "\n".join(alive)


def test_at_least_19_of_20_are_found() -> None:
    """Of those that were planted in this session; stands last."""
    assert sum(fault.found for fault in FOUND) >= 0.95 * len(FOUND)
