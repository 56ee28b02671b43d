"""How sharp the proof is: single instructions swapped in what nvcc made of our kernels are found.

The rounding of a derivative is not promised, only its error: that of fma is changed in forward kernels alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from ptxsim import load_ptx
from ptxsim.mutation import mutants

from cuda_proof.compiling import ptx_of
from cuda_proof.faults import FOUND, Outcome, Planted
from cuda_proof.finding import ARCHITECTURE, is_found, is_reached
from cuda_proof.neurons import subject

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


def swapped(neuron: str, kernel: str) -> Iterator[tuple[str, str, str, str]]:
    """Some of the mutants that swap one instruction, the same each time.

    What, the line that it is of, the text, and a text with a trap in that place.
    """
    of = subject(neuron)
    ptx = ptx_of(of.source, "float32", ARCHITECTURE)
    entry = of.entry(kernel, "float32")
    assert entry is not None
    swaps = SWAPS if kernel.startswith("forward") else [s for s in SWAPS if s[1] != "fma.rz.f32"]
    everything = list(mutants(ptx, entry["symbol"], swaps))
    lines = of.source.splitlines()
    for what, text in Random(7).sample(everything, min(EACH, len(everything))):
        place = next(
            at for at, pair in enumerate(zip(ptx, text, strict=False)) if pair[0] != pair[1]
        )
        number = ptx[ptx.rindex(".loc", 0, place) :].split(maxsplit=3)[2]
        start = ptx.rindex("\n", 0, place) + 1
        trapped = f"{ptx[:start]}trap;\n{ptx[start:]}"
        yield what, lines[int(number) - 1].strip(), text, trapped


def why_unnoticed(kernel: str, what: str, line: str) -> str | None:
    """Why a swap need not be found; None if it must be."""
    if "fma.rz" in what and "__fmaf_rn" in line:
        return "the remainder of a division is exact, however it is rounded"
    if "blocks_for" in line:
        return "what is added for negative numbers before a shift that divides; N is none"
    if what.startswith("bar.sync") and kernel == "reduce":
        return "a block adds up one scalar only, and nothing reads its parts after that"
    if what.startswith("setp.gt.s32") and ", 15;" in what and "begin -= K" in line:
        return "where a segment of 8 steps begins is a multiple of 8, and never 15"
    if "mul.wide.u32" in what and "gridDim" in line:
        return "no grid has 2^31 blocks"
    return None


@pytest.mark.parametrize(
    ("neuron", "kernel", "passes"),
    [k if k[0] == "LIF" else pytest.param(*k, marks=pytest.mark.full) for k in KERNELS],
)
def test_swapped_instructions_are_found(neuron: str, kernel: str, passes: str) -> None:
    alive = []
    for what, line, text, trapped in swapped(neuron, kernel):
        planted = Planted(f"{kernel}: {what}", "", "", tuple(passes.split("+")), neuron=neuron)
        module = load_ptx(text)
        found = is_found(planted, lambda part, module=module: module)
        reason = None if found else why_unnoticed(kernel, what, line)
        if not found and reason is None and not is_reached(planted, load_ptx(trapped)):
            reason = "no launch reaches it: the last row of a segment that is shorter"
        FOUND.append(Outcome(str(planted), found, reason, equivalent=reason is not None))
        alive += [] if found or reason else [f"{what} of {line}"]
    assert not alive, "\n".join(alive)


def test_at_least_19_of_20_are_found() -> None:
    """Of all that were planted in this session, in texts too, and are faults; stands last."""
    faults = [outcome for outcome in FOUND if not outcome.equivalent]
    assert sum(outcome.found for outcome in faults) >= 0.95 * len(faults)
