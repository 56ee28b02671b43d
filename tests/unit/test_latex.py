"""Equations as mathematics: balanced, one line a statement, solvers by their derivatives, the adjoint beside them."""

from __future__ import annotations

import pytest

from neurodsl import library
from neurodsl.library import find, names
from neurodsl.options import Options
from neurodsl.tools.show import stage_text


def shown(name: str) -> str:
    found = find(name)
    assert found is not None
    return stage_text(found[1], found[0], "latex", Options())[0]


@pytest.mark.parametrize("name", names())
def test_every_neuron_of_the_library(name: str) -> None:
    text = shown(name)
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert body.count("{") == body.count("}")
    assert body.count(r"\left(") == body.count(r"\right)")
    for environment in ("aligned", "cases"):
        assert body.count(rf"\begin{{{environment}}}") == body.count(rf"\end{{{environment}}}")
    assert "adjoint of" in text
    assert all(line.count("&") for line in body.splitlines() if line.endswith(r"\\"))


def test_a_solver_is_shown_by_its_derivatives() -> None:
    text = shown("FitzHughNagumo")
    assert r"\frac{\mathrm{d} v}{\mathrm{d}t} &= " in text
    assert "k2" not in text.split("% adjoint")[0]
    assert r"\frac{\mathrm{d} i}{\mathrm{d}t}" in shown("CubaLI")


def test_the_docstring_renders() -> None:
    doc = library.LIF.__doc__ or ""
    assert ".. math::" in doc
    assert r"\begin{aligned}" in doc
