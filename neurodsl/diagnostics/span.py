"""Where something stands in a source text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of a source text, lines and columns counted from 1 (columns in characters).

    `source` is the name of the text as the user knows it: a path, or `<text>`.
    """

    source: str
    line: int
    column: int
    end_line: int
    end_column: int

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of `other`."""
        return Span(self.source, self.line, self.column, other.end_line, other.end_column)


NOWHERE = Span("<built-in>", 1, 1, 1, 1)
"""The span of what the compiler itself wrote."""
