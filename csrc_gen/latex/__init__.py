"""Mathematics: a neuron's step and its adjoint as LaTeX."""

from __future__ import annotations

from neurodsl.csrc_gen.latex.adjoint import adjoint_latex
from neurodsl.csrc_gen.latex.equations import latex

__all__ = ["adjoint_latex", "latex"]
