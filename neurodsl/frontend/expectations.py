"""From what the parser could not read to words."""

from __future__ import annotations

from lark import UnexpectedCharacters, UnexpectedInput

from neurodsl.frontend.layout import Layout
from neurodsl.frontend.problem import SyntaxProblem


def explain(error: UnexpectedInput, layout: Layout) -> SyntaxProblem:
    """The problem behind an exception of the parser."""
    start = error.pos_in_stream or 0
    return SyntaxProblem("E0101", (start, start + 1), "unexpected text " + repr(layout.text[start:start+10]))
