"""How far the functions of one neuron are written out: a bound on depth and size, so that no text takes for ever."""

from __future__ import annotations

from dataclasses import dataclass

from neurodsl.diagnostics import Label, Report, Span
from neurodsl.frontend import ast

MAX_DEPTH = 250
"""How deep an expression may be nested with its functions put in; the front end allows 200 without."""

MAX_SIZE = 100_000
"""How many operations the functions of one neuron may be written out to."""


@dataclass(slots=True)
class Limits:
    """What has been written out so far. `quiet` stops without a word: for checks of functions that nobody calls."""

    depth: int = 0
    size: int = 0
    max_size: int = MAX_SIZE
    quiet: bool = False
    told: bool = False

    def reached(self, report: Report, first: ast.Identifier, span: Span) -> bool:
        """Count one operation of a function that is put in; True once there are too many, which is reported once."""
        self.size += 1
        if self.size <= self.max_size and self.depth <= MAX_DEPTH:
            return False
        if not self.told and not self.quiet:
            deep = self.depth > MAX_DEPTH
            report.add(
                "E0414",
                span,
                "functions within functions make this expression too "
                + ("deep" if deep else "large"),
                label=f"more than {MAX_DEPTH} operations within operations"
                if deep
                else f"more than {MAX_SIZE:,} operations",
                secondary=(Label(first.span, f"by way of `{first.name}`"),),
                help="give values names of their own on lines before it",
            )
        self.told = True
        return True
