"""From offsets into a text to lines and columns."""

from __future__ import annotations

from bisect import bisect_right

from neurodsl.diagnostics.span import Span
from neurodsl.frontend.problem import Place


class LineTable:
    """The line starts of one text: turns offsets into spans."""

    def __init__(self, source: str, text: str) -> None:
        self._source = source
        self._starts = [0]
        position = text.find("\n")
        while position >= 0:
            self._starts.append(position + 1)
            position = text.find("\n", position + 1)

    def span(self, start: int, end: int) -> Span:
        """The span of the characters from `start` up to, and without, `end`."""
        starts = self._starts
        line = bisect_right(starts, start)
        column = start - starts[line - 1] + 1
        if line == len(starts) or end < starts[line]:
            return Span(self._source, line, column, line, end - starts[line - 1] + 1)
        last = bisect_right(starts, end)
        return Span(self._source, line, column, last, end - starts[last - 1] + 1)

    def place(self, place: Place) -> Span:
        """The span of a place."""
        return place if isinstance(place, Span) else self.span(*place)
