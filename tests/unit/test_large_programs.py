"""Long and deep programs go all the way to generated text, in seconds and without deep recursion."""

from __future__ import annotations

import time

import pytest
from unit.analysing import program

from neurodsl.driver import compile_text
from neurodsl.files import disk_loader
from neurodsl.options import Options

LONG = {
    "assignments": "\n".join(["v = v + x"] * 3_000),
    "brackets": "v = " + "(x + " * 190 + "v" + ")" * 190,
    "calls": "v = " + "sin(" * 190 + "x" + ")" * 190,
    "selections": "v = " + "(x if v > 1 else " * 95 + "v" + ")" * 95,
    "functions": "v = f0(x)",
}
FUNCTIONS = "".join(f"function f{i}(z) = f{i + 1}(z) + 1\n" for i in range(110))


def seconds(charge: str) -> float:
    start = time.perf_counter()
    text = program(top=f"{FUNCTIONS}function f110(z) = z", charge=charge)
    assert compile_text(text, "long.neuron", Options(), disk_loader).files
    return time.perf_counter() - start


@pytest.mark.parametrize("charge", LONG.values(), ids=LONG)
def test_compiles_in_seconds(charge: str) -> None:
    assert seconds(charge) < 20


@pytest.mark.full
def test_a_sum_of_20_000_terms() -> None:
    assert seconds("v = v + " + " + ".join(["x"] * 20_000)) < 20
